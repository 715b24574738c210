"""What all selectors agree on: who may win, what a number that is not there means, and how ties end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context

Worth: TypeAlias = Literal["score", "logprob", "support"]
"""A number that a candidate may carry: what a judge gave it, its own mean token log-probability, or its share of an
earlier vote."""


class Voter(NamedTuple):
    """A candidate that may win.

    Attributes:
        candidate: The candidate.
        place: Where it stood among all that were given; the last resort of every tie.
    """

    candidate: Candidate
    place: int

    @property
    def tie_key(self) -> tuple[float, int, int, int]:
        """Equals are ordered by higher score, then more votes, fewer tokens, and place; the unscored come last."""
        one, score = self.candidate, worth(self.candidate, "score")
        return (math.inf if score is None else -score, -(one.votes or 0), one.tokens, self.place)


def voters(given: Candidates, ctx: Context) -> list[Voter]:
    """The candidates that agree with somebody or could; when there is none the log says ``no_consensus``."""
    found = [Voter(each, place) for place, each in enumerate(given) if each.group is not None]
    if not found:
        ctx.note("no_consensus", candidates=len(given))
    return found


def worth(candidate: Candidate, by: Worth) -> float | None:
    """The number, or ``None`` when it is not known; not a number is not known."""
    value: float | None = getattr(candidate, by)
    return None if value is None or math.isnan(value) else value


def scaled(values: Sequence[float]) -> list[float]:
    """Min-max scaled to 0..1; all 1 when they are equal."""
    low, high = min(values), max(values)
    return [1.0 if high == low else (value - low) / (high - low) for value in values]
