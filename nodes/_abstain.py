"""Abstain: says nothing rather than something that is probably wrong."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._selection import worth
from archloom.nodes._task import Task


@register("abstain")
class Abstain(Node):
    """Lets candidates through that are sure enough; when there is none, gives one that declines to answer.

    An output bouncer (Mathews and Nagappan, Is Your Automated Software Engineer Trustworthy?, 2025). What counts is
    the ``support`` that a vote gave, the ``score``, or that the last verdict ``accepted``. A candidate of which that
    is not known does not pass. The candidate that declines has the ``text`` given here and is marked as not accepted;
    the log says ``abstained``. Whether that beats a wrong answer depends on what a wrong answer costs. With nothing
    before it it always declines: a branch of ``route`` for tasks that are not to be answered. Cost: no calls.
    """

    needs_input: ClassVar[bool] = False

    type: Literal["abstain"] = "abstain"
    """Declines to answer when no candidate is sure enough."""
    by: Literal["support", "score", "accepted"] = "support"
    """What says how sure a candidate is."""
    threshold: Annotated[float, Field(ge=0)] = 0.5
    """The least support or score that passes; ``accepted`` does not use it."""
    text: str = ""
    """What is answered instead; nothing when left out."""

    def longest(self, given: Candidates) -> Candidates:
        """All of them, or the one that declines."""
        return (*given, Candidate(id="longest#0", text=self.text)) if self.text or not given else given

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Keeps those at or above the threshold, in their order."""
        sure = tuple(candidate for candidate in given if self._passes(candidate))
        if sure:
            return sure
        ctx.note("abstained", by=self.by, threshold=self.threshold, candidates=len(given), best=self._best(given))
        declined = Candidate(
            id=f"{ctx.node}#0",
            text=self.text,
            answer=ctx.answer(self.text) if self.text else None,
            parents=tuple(candidate.id for candidate in given),
            accepted=False,
        )
        return (declined,)

    def _passes(self, candidate: Candidate) -> bool:
        if self.by == "accepted":
            return candidate.accepted is True
        known = worth(candidate, self.by)
        return known is not None and known >= self.threshold - 1e-9

    def _best(self, given: Candidates) -> float | None:
        if self.by == "accepted":
            return None
        return max((known for each in given if (known := worth(each, self.by)) is not None), default=None)
