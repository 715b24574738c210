"""Words that tell how sure a line of thought is of itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean, pstdev

from archloom.nodes._candidate import Candidate

_HEDGES = re.compile(r"\b(?:maybe|perhaps|possibly|probably|might|not sure|i guess|i think|seems?)\b", re.IGNORECASE)
_THINKING = re.compile(r"\b(?:wait|hmm+|alternatively|actually|let me (?:check|re-?check|think))\b", re.IGNORECASE)


def doubts(candidates: Sequence[Candidate]) -> list[float]:
    """How much each speaks against itself: z(length) + z(hedging) + z(thinking), within these candidates.

    Wang et al., *Think Deep, Think Fast*, 2025: correct answers of reasoning models are shorter, and have fewer
    hedging ("maybe") and thinking ("wait") words per thousand tokens. The word lists and the plain sum are ours; a
    feature in which all are equal says nothing.
    """
    lengths = [float(each.tokens) for each in candidates]
    features = [lengths, *([_per_thousand(each, words) for each in candidates] for words in (_HEDGES, _THINKING))]
    return [round(sum(of_one), 9) for of_one in zip(*map(_z, features), strict=True)]


def _per_thousand(candidate: Candidate, words: re.Pattern[str]) -> float:
    return 1000 * len(words.findall(candidate.text)) / max(candidate.tokens, 1)


def _z(values: Sequence[float]) -> list[float]:
    mean, deviation = fmean(values), pstdev(values)
    return [(value - mean) / deviation if deviation > 1e-9 else 0.0 for value in values]
