"""Splitter: breaks a task into subtasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidate, Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._parse_lists import parse_tests
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task


@register("splitter")
class Splitter(AskingNode):
    """Has a model break the task into subtasks, one candidate of kind ``subtask`` for each, in order.

    ``map`` runs a graph on each of its subtasks. What it is given are drafts of such a list, of which it writes out the
    best. A reply that is no numbered list, or a JSON list of texts, is asked for again up to ``reasks`` times; after
    that the node gives nothing, which is a failure. Cost: one call, up to ``1 + reasks``.
    """

    gives: ClassVar[frozenset[Kind]] = frozenset({"subtask"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "splitter"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "subtasks", "candidates"})

    type: Literal["splitter"] = "splitter"
    """Breaks a task into subtasks."""
    subtasks: Annotated[int, Field(ge=1, le=64)] = 4
    """The most subtasks that are asked for and kept."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation about the task, and about drafts where there are some."""
        return (Request(self.messages(task, self.built_in(), subtasks=self.subtasks, candidates=given)),)

    def longest(self, given: Candidates) -> Candidates:
        """As many subtasks as are kept, each as long as a reply."""
        del given
        return tuple(replace(candidate, kind="subtask") for candidate in self.placeholders(self.subtasks))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Writes the list."""
        [lists] = await self.read(
            ctx,
            self.requests(task, given),
            lambda sample: parse_tests(sample.text, self.subtasks, complete=sample.finish != "length"),
        )
        return tuple(
            Candidate(f"{ctx.node}#{number}", text, kind="subtask")
            for number, text in enumerate(lists[0] if lists else ())
        )
