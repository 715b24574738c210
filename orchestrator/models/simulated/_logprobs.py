"""Token log-probabilities of simulated replies."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from archloom.nodes import TokenLogprob

_PIECE = re.compile(r"\s*\S+|\s+$")
_SURPRISAL = 0.3
"""Median over replies of the mean nats a token, half-way between right and wrong ones."""
_RATE = 0.35
"""Fall of the logarithm of the surprisal by unit of confidence."""
_EXTRA = 0.3
"""Share of words that are two tokens."""
_OTHERS = (" add", " then", " so", " we", " the", " sum", " is", " of", " take", " next", " to", " by", " now", " a",
           " at", " in", " on", " for", " it", " as", " or")  # fmt: skip


class Choice(NamedTuple):
    """A word that could have been another one.

    Attributes:
        word: What was written, the last word of the reply.
        chances: The words that could stand there and their probabilities.
    """

    word: str
    chances: tuple[tuple[str, float], ...]


def token_logprobs(
    draws: random.Random, text: str, count: int, right: bool, calibration: float, choice: Choice | None, top: int
) -> tuple[TokenLogprob, ...]:
    """One for each of ``count`` tokens of a whole reply; those without text are ends of words and of the reply.

    The mean is ``-0.3 exp(-0.35 (c - calibration / 2))`` with the confidence c normal with variance 1 around
    ``calibration`` for right replies and around 0 for wrong ones: the area under the ROC curve is
    Phi(calibration / sqrt 2). The word of a choice has its own probability.
    """
    confidence = draws.gauss(calibration if right else 0.0, 1.0) - calibration / 2
    mean = _SURPRISAL * math.exp(-_RATE * confidence)
    words = _PIECE.findall(text)
    pieces = list(_pieces(words, whole_last=choice is not None))
    last = len(pieces) - 1
    pieces += [""] * (count - len(pieces))
    rough = [draws.expovariate(1.0) for _ in pieces]
    factor = -mean * len(rough) / sum(rough)
    return tuple(
        _chosen(piece, choice, top)
        if choice is not None and index == last and piece.strip() == choice.word
        else TokenLogprob(piece, factor * each, _alternatives(piece, factor * each, top))
        for index, (piece, each) in enumerate(zip(pieces, rough, strict=True))
    )


def shown_tokens(tokens: Sequence[TokenLogprob], text: str, count: int) -> tuple[TokenLogprob, ...]:
    """The tokens of a text that the whole begins with, and as many without text as make up the count."""
    shown, left = [], len(text)
    for token in tokens[:count]:
        shown.append(token if len(token.text) <= left else token._replace(text=token.text[:left]))
        left -= len(shown[-1].text)
    return tuple(shown)


def _pieces(words: Sequence[str], *, whole_last: bool) -> list[str]:
    pieces = []
    for index, word in enumerate(words):
        split = int((index + 1) * _EXTRA + 1e-9) > int(index * _EXTRA + 1e-9) and len(word) > 1
        if split and not (whole_last and index == len(words) - 1):
            half = (len(word) + 1) // 2
            pieces += [word[:half], word[half:]]
        else:
            pieces.append(word)
    return pieces


def _chosen(piece: str, choice: Choice, top: int) -> TokenLogprob:
    space = piece[: len(piece) - len(piece.lstrip())]
    ranked = sorted((each for each in choice.chances if each[1] > 0), key=lambda each: -each[1])
    logs = [(space + word, math.log(chance)) for word, chance in ranked]
    return TokenLogprob(piece, dict(logs)[piece], tuple(logs[:top]))


def _alternatives(piece: str, logprob: float, top: int) -> tuple[tuple[str, float], ...]:
    """Halves of what is left, in turn."""
    if top == 0:
        return ()
    left = math.log(-math.expm1(logprob)) if logprob < 0 else -math.inf
    others = [each for each in _OTHERS if each != piece]
    rest = [(other, left - (place + 1) * math.log(2)) for place, other in enumerate(others[:top])]
    return tuple(sorted([(piece, logprob), *rest], key=lambda each: -each[1])[:top])
