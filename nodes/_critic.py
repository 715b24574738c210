"""Critic: writes what is strong and weak about each candidate."""

from __future__ import annotations

from typing import ClassVar, Literal

from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, succeeded
from archloom.nodes._task import Task


@register("critic")
class Critic(ModelNode):
    """Annotates each candidate with its strengths and weaknesses (Archon's critic, one call a candidate).

    The text of a candidate is not changed. A candidate whose critique failed goes on without one.
    Cost: one call per candidate.
    """

    template: ClassVar[str] = "critic"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "candidate"})

    type: Literal["critic"] = "critic"
    """Writes a critique of each candidate."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation a candidate."""
        return tuple(Request(self.messages(task, self.built_in(), candidate=candidate)) for candidate in given)

    def longest(self, given: Candidates) -> Candidates:
        """The same candidates with a critique each."""
        [critique] = self.placeholders(1)
        return tuple(candidate.annotated(critique=critique.text) for candidate in given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks for all critiques at once."""
        replies = await self.ask(ctx, self.requests(task, given))
        self.enough([reply for asked in replies for reply in asked], ctx)
        out = []
        for candidate, asked in zip(given, replies, strict=True):
            critique = next((reply.text.strip() for reply in succeeded(asked)), "")
            if not critique:
                self.unparsed(ctx, "", f"no critique of {candidate.id}")
            out.append(candidate.annotated(critique=critique or None))
        return tuple(out)
