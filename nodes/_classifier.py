"""Classifier: names the class that a task is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidate, Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._node import written
from archloom.nodes._parse import Unparsed
from archloom.nodes._parse_class import parse_class
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, Sample
from archloom.nodes._task import Task


@register("classifier")
class Classifier(AskingNode):
    """Has a model say which of these classes a task is of; ``route`` goes by it.

    It works on the task alone and gives one candidate of kind ``observation``, whose answer is the class. A reply
    that does not end by naming one class is asked for again up to ``reasks`` times; after that the candidate has
    no answer, or the node fails. Cost: one call, up to ``1 + reasks``.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset()
    gives: ClassVar[frozenset[Kind]] = frozenset({"observation"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "classifier"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "classes"})

    type: Literal["classifier"] = "classifier"
    """Names the class that a task is of."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """The classes; a branch of ``route`` has the name of its class."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation about the task."""
        del given
        return (Request(self.messages(task, self.built_in(), classes=self.classes)),)

    def longest(self, given: Candidates) -> Candidates:
        """One reply."""
        del given
        return tuple(replace(candidate, kind="observation") for candidate in self.placeholders(1))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks for the class."""
        [read] = await self.read(ctx, self.requests(task, given), lambda sample: _read(sample, self.classes))
        if not read:
            return (Candidate(f"{ctx.node}#0", "", kind="observation"),)
        sample, named = read[0]
        return (replace(written(sample, ctx, number=0), kind="observation", answer=named),)


def _read(sample: Sample, classes: Sequence[str]) -> tuple[Sample, str] | Unparsed:
    named = parse_class(sample.text, classes)
    return named if isinstance(named, Unparsed) else (sample, named)
