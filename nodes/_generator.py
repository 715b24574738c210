"""Generator: proposes answers, alone or with earlier proposals in view."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode, written
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task


@register("generator")
class Generator(ModelNode):
    """Draws independent proposals.

    Without ``after`` it is asked the task as it is. With ``after`` the candidates of its predecessors are shown
    to it as material to improve on, as a proposer of a later layer in Mixture-of-Agents (Wang et al., 2024).
    Cost: ``samples`` calls.
    """

    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "generator"
    offers_tools: ClassVar[bool] = True

    type: Literal["generator"] = "generator"
    """Proposes answers."""
    samples: Annotated[int, Field(ge=1, le=4096)] = 1
    """Candidates drawn per task."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation, ``samples`` times."""
        messages = self.messages(task, self.built_in() if given else None, candidates=given)
        return (Request(messages, self.samples),)

    def longest(self, given: Candidates) -> Candidates:
        """One candidate a sample."""
        return self.placeholders(self.samples)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Draws the samples; those that fail are dropped, down to ``min_success``."""
        [replies] = await self.ask(ctx, self.requests(task, given))
        samples = self.enough(replies, ctx)
        return tuple(written(sample, ctx, number=sample.index, parents=given) for sample in samples)
