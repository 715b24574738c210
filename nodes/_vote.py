"""Vote: the answers that candidates agree on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._selection import Voter, scaled, voters, worth
from archloom.nodes._task import Task

By: TypeAlias = Literal["sum", "mean", "max"]
_TOGETHER: Mapping[By, Callable[[Sequence[float]], float]] = {"sum": sum, "mean": fmean, "max": max}


@dataclass(frozen=True)
class _Group:
    """Candidates with one answer; ``weights`` has those that are known, in the order of its members."""

    members: tuple[Voter, ...]
    weights: tuple[float, ...]

    def worth(self, by: By) -> float:
        """What it counts; one of which nothing is known comes after all others."""
        return round(_TOGETHER[by](self.weights), 9) if self.weights else -math.inf

    @property
    def tie_key(self) -> tuple[int, float, int, int]:
        """Ties go to more votes, then the higher total score, then fewer tokens, then the earlier candidate."""
        score = sum(worth(each.candidate, "score") or 0.0 for each in self.members)
        tokens = min(each.candidate.tokens for each in self.members)
        return (-len(self.members), -round(score, 9), tokens, min(each.place for each in self.members))


@register("vote")
class Vote(Node):
    """Groups candidates by their answer, or by the result of executing it, and keeps one of the best group.

    A group counts with the sum, the mean or the highest of its members' weights. That makes the usual votes:
    self-consistency (Wang et al., 2022) is ``weight: none``; weighted voting is ``weight: score``; best-of-majority
    (Di et al., 2025) is ``weight: score, by: mean`` with a ``min_share``; ``by: max`` alone is best-of-N; ``weight:
    logprob`` sums probabilities instead of counting. A group is represented by its member of the highest score, then
    the shortest.

    Candidates without an answer never vote and never win; when none has one, all pass on unchanged and the log says
    ``no_consensus``. One without a score has no weight: a sum then counts heads instead, a mean and a maximum leave it
    out, and the log says ``unscored``. A tie is decided by votes, total score, fewest tokens, then draw order, and is
    noted. Each candidate passed on has the ``votes`` of its answer and its ``support``, the share of all votes (of all
    weights, for a sum). Cost: no calls.
    """

    type: Literal["vote"] = "vote"
    """Keeps the answer that most candidates agree on."""
    weight: Literal["none", "score", "logprob", "support"] = "none"
    """A candidate counts one, or with its score (min-max scaled within the task), or with the exponential of its mean
    token log-probability, or with its support in the vote that it won."""
    by: By = "sum"
    """How the weights of a group are put together."""
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Answers that fewer of the voters gave than this share cannot win, unless that leaves none."""
    keep: Annotated[int, Field(ge=1)] = 1
    """Different answers passed on, the best first; there may be fewer."""

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Counts and chooses."""
        voting = voters(given, ctx)
        if not voting:
            return given
        groups = self._groups(voting, ctx)
        allowed = [group for group in groups if len(group.members) >= self.min_share * len(voting) - 1e-9]
        if not allowed:
            ctx.note("no_majority", min_share=self.min_share, largest=max(len(group.members) for group in groups))
        ranked = sorted(allowed or groups, key=lambda group: (-group.worth(self.by), group.tie_key))
        kept, rest = ranked[: self.keep], ranked[self.keep :]
        if rest and rest[0].worth(self.by) == kept[-1].worth(self.by):
            tied = [group for group in ranked if group.worth(self.by) == rest[0].worth(self.by)]
            ctx.note("tie", answers=[group.members[0].candidate.answer for group in tied])
        whole = sum(sum(group.weights) for group in groups) if self.by == "sum" else len(voting)
        return tuple(self._representative(group, whole) for group in kept)

    def _groups(self, voting: Sequence[Voter], ctx: Context) -> list[_Group]:
        weights = self._weights(voting, ctx)
        groups: dict[str, list[int]] = {}
        for index, voter in enumerate(voting):
            groups.setdefault(str(voter.candidate.group), []).append(index)
        return [
            _Group(
                tuple(voting[i] for i in members),
                tuple(known for i in members if (known := weights[i]) is not None),
            )
            for members in groups.values()
        ]

    def _weights(self, voting: Sequence[Voter], ctx: Context) -> Sequence[float | None]:
        """What each counts; ``None`` where that is not known and need not be."""
        if self.weight == "none":
            return [1.0] * len(voting)
        numbers = [worth(voter.candidate, self.weight) for voter in voting]
        known = [number for number in numbers if number is not None]
        heads = not known or (self.by == "sum" and len(known) < len(numbers))
        if len(known) < len(numbers):
            ctx.note("unscored", candidates=len(numbers) - len(known), counted_as="majority" if heads else "left out")
        if heads:
            return [1.0] * len(voting)
        match self.weight:
            case "score":
                weights = iter(scaled(known))
            case "logprob":
                weights = map(math.exp, known)
            case "support":
                weights = iter(known)
        return [None if number is None else next(weights) for number in numbers]

    def _representative(self, group: _Group, whole: float) -> Candidate:
        best = min(group.members, key=self._first)
        share = (sum(group.weights) if self.by == "sum" else len(group.members)) / whole
        return best.candidate.annotated(votes=len(group.members), support=round(share, 9))

    def _first(self, voter: Voter) -> tuple[float, ...]:
        likely = worth(voter.candidate, "logprob") if self.weight == "logprob" else 0.0
        return (math.inf if likely is None else -likely, *voter.tie_key)
