"""How likely a verdict was: the probability that the model gave to its two words where it wrote one of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from archloom.nodes._sample import TokenLogprob

_YES = ("correct", "right", "yes", "true")
_NO = ("incorrect", "wrong", "no", "false")
_WORD = re.compile(rf"\b(?:{'|'.join((*_YES, *_NO))})\b", re.IGNORECASE)
_DECORATION = " \t\n*_`\"':."


def verdict_odds(tokens: Sequence[TokenLogprob]) -> float | None:
    """P(yes) / (P(yes) + P(no)) at the word of the last verdict (GenRM, Zhang et al., 2024).

    A verdict word may be spread over tokens: its first token counts, and so do alternatives to it that begin a word
    for yes or one for no.

    Returns:
        ``None`` without a verdict, or where only one of the two is among the alternatives.
    """
    text = "".join(token.text for token in tokens)
    label = text.lower().rfind("verdict")
    word = _WORD.search(text, label) if label >= 0 else None
    if word is None:
        return None
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > word.start():
            break
    alternatives = {**dict(token.top), token.text: token.logprob}
    yes, no = (sum(math.exp(p) for said, p in alternatives.items() if _begins(said, words)) for words in (_YES, _NO))
    return yes / (yes + no) if yes and no else None


def _begins(said: str, words: Sequence[str]) -> bool:
    start = said.strip(_DECORATION).lower()
    return bool(start) and any(word.startswith(start) for word in words)
