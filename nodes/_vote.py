"""Vote: the answer that most candidates agree on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._task import Task


@dataclass(frozen=True)
class _Group:
    """Candidates with one answer."""

    members: Candidates
    weight: float

    @property
    def tie_key(self) -> tuple[float, int]:
        """Ties go to the higher total score, then fewer tokens, then the earlier candidate."""
        score = sum(member.score or 0.0 for member in self.members)
        return (-score, min(member.tokens for member in self.members))


@register("vote")
class Vote(Node):
    """Groups candidates by their answer, or by the result of executing it, and keeps one of the largest group.

    Self-consistency (Wang et al., 2022); with ``weight: score`` each candidate counts with its score, min-max
    scaled within the task (weighted voting). Candidates without an answer never vote and never win; when none
    has one, all pass on unchanged and the log says ``no_consensus``. A tie is decided by total score, then
    fewest tokens, then draw order, and is noted. Cost: no calls.
    """

    type: Literal["vote"] = "vote"
    """Keeps the answer that most candidates agree on."""
    weight: Literal["none", "score"] = "none"
    """Each candidate counts one, or with its score (every candidate must then have been scored)."""

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Counts and chooses."""
        voters = [candidate for candidate in given if candidate.group is not None]
        if not voters:
            ctx.note("no_consensus", candidates=len(given))
            return given
        weights = self._weights(voters, ctx)
        groups: dict[str, list[int]] = defaultdict(list)
        for index, voter in enumerate(voters):
            groups[str(voter.group)].append(index)
        ranked = sorted(
            (
                _Group(tuple(voters[i] for i in members), sum(weights[i] for i in members))
                for members in groups.values()
            ),
            key=lambda group: (-round(group.weight, 9), *group.tie_key),
        )
        best = ranked[0]
        if len(ranked) > 1 and abs(ranked[1].weight - best.weight) < 1e-9:
            ctx.note("tie", answers=[group.members[0].answer for group in ranked if group.weight == best.weight])
        winner = min(best.members, key=lambda member: (-(member.score or 0.0), member.tokens))
        return (winner.annotated(votes=len(best.members)),)

    def _weights(self, voters: list[Candidate], ctx: Context) -> list[float]:
        scores = [voter.score for voter in voters]
        known = [score for score in scores if score is not None]
        if self.weight == "none":
            return [1.0] * len(voters)
        if len(known) < len(scores):
            ctx.note("unscored", candidates=len(scores) - len(known), counted_as="majority")
            return [1.0] * len(voters)
        low, high = min(known), max(known)
        return [1.0 if high == low else (score - low) / (high - low) for score in known]
