"""Fuser: writes one better answer out of several."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode, written
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task


@register("fuser")
class Fuser(ModelNode):
    """Synthesises the candidates into new answers, with or without what critics wrote about them.

    Archon (Saad-Falcon et al., 2024). A bare fuser can lower accuracy where answers can be checked: that
    paper's own table has GPT-4o ×10 falling from 87.5 to 82.0 on MixEval; search decides. Cost: ``samples`` calls.
    """

    template: ClassVar[str] = "fuser"

    type: Literal["fuser"] = "fuser"
    """Writes new answers out of all candidates."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Fused answers that are written."""
    critiques: bool = True
    """Show what critics wrote about the candidates."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation over all candidates, ``samples`` times."""
        shown = given if self.critiques else tuple(replace(candidate, critiques=()) for candidate in given)
        return (Request(self.messages(task, self.built_in(), candidates=shown), self.samples),)

    def longest(self, given: Candidates) -> Candidates:
        """One candidate a sample."""
        return self.placeholders(self.samples)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Writes the fused answers; annotations of the parents stay with the parents."""
        [replies] = await self.ask(ctx, self.requests(task, given))
        samples = self.enough(replies, ctx)
        return tuple(written(sample, ctx, number=sample.index, parents=given) for sample in samples)
