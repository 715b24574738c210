"""Reading the number of one response, or a score for each, out of a reply."""

from __future__ import annotations

import re

from archloom.nodes._parse import Unparsed

_CHOICE = re.compile(
    r"best\W*[:：]\W*(?:(?:response|answer|candidate|number)\W*)?#?(?P<number>\d+)\b(?!\s*(?:or\b|and\b|/|,|-|–|\.\d))",
    re.IGNORECASE,
)
_SCORES = re.compile(r"scores?\W*?[:：](?P<list>[^\n]*\d[^\n]*)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:\s*/\s*(?P<of>\d+))?")
_LABEL = re.compile(r"(?:response|answer|candidate)\s*#?\d+\s*[:=]|\b\d+\s*[:=]", re.IGNORECASE)


def parse_choice(reply: str, count: int) -> int | Unparsed:
    """Zero-based position from a line ``Best: 2``; the last one counts, and it must name one of the responses."""
    numbers = [int(match["number"]) for match in _CHOICE.finditer(reply)]
    if not numbers:
        return Unparsed("no line 'Best: ...' in the reply that names one response")
    if not 1 <= numbers[-1] <= count:
        return Unparsed(f"response {numbers[-1]} is named, and there are {count}")
    return numbers[-1] - 1


def parse_scores(reply: str, count: int, low: float, high: float) -> tuple[float, ...] | Unparsed:
    """A score for each response from a line ``Scores: 7, 3, 9``; the last one counts.

    Labels (``Response 1: 7``) and scales (``7/10``) around the numbers are read. A line that leaves a response out,
    or gives one more than the scale has, is none.
    """
    lines = [match["list"] for match in _SCORES.finditer(reply)]
    if not lines:
        return Unparsed("no line 'Scores: ...' in the reply")
    scores = tuple(float(match[0].partition("/")[0]) for match in _NUMBER.finditer(_LABEL.sub(" ", lines[-1])))
    if len(scores) != count:
        return Unparsed(f"{len(scores)} scores for {count} responses")
    if not all(low <= score <= high for score in scores):
        return Unparsed(f"a score that is not from {low:g} to {high:g}: {lines[-1].strip()[:80]!r}")
    return scores
