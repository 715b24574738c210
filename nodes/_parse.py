"""Reading what models write: a typed result, or ``Unparsed``, and never an invented default."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Unparsed:
    """A reply that does not say what it was asked for.

    Attributes:
        why: What is missing or contradictory.
    """

    why: str


_RANKING = re.compile(r"ranking\W*:\W*(?P<list>.+)", re.IGNORECASE)
_VERDICT = re.compile(r"verdict\W*:\W*(?P<word>correct|incorrect|right|wrong|yes|no)\b(?!\s+or\b)", re.IGNORECASE)


def parse_ranking(reply: str, count: int) -> tuple[int, ...] | Unparsed:
    """Positions, best first, from a line such as ``Ranking: 2 > 1 > 3``.

    Decorations around the numbers (``[2]``, ``Response 2``, ``**2**``) and other separators are read; a ranking
    that leaves a response out, names one twice or names one that does not exist is not.

    Args:
        reply: What the model wrote; the last ranking in it counts.
        count: Number of responses; they are numbered from 1.

    Returns:
        Zero-based positions.
    """
    lines = [match["list"] for match in _RANKING.finditer(reply)]
    if not lines:
        return Unparsed("no line 'Ranking: ...' in the reply")
    numbers = [int(number) for number in re.findall(r"\d+", lines[-1])]
    if sorted(numbers) != list(range(1, count + 1)):
        return Unparsed(f"the ranking {lines[-1].strip()[:80]!r} does not order the responses 1 to {count}")
    return tuple(number - 1 for number in numbers)


def parse_verdict(reply: str) -> bool | Unparsed:
    """True or false from a line ``Verdict: correct`` or ``Verdict: incorrect``; the last one counts."""
    words = [match["word"].lower() for match in _VERDICT.finditer(reply)]
    if not words:
        return Unparsed("no line 'Verdict: correct' or 'Verdict: incorrect' in the reply")
    return words[-1] in {"correct", "right", "yes"}
