"""Schema link: chooses the tables and columns that a question needs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidate, Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._node import written
from archloom.nodes._parse import Unparsed
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, Sample
from archloom.nodes._sql_schema import Asked, SchemaNode, parse_link
from archloom.nodes._task import Task
from archloom.tools.sql import schema_of

_OBJECT = re.compile(r"\{[^{}]*\}")


@register("schema_link")
class SchemaLink(SchemaNode, AskingNode):
    """Asks which tables and columns a question needs; the ``sql_generator`` after it shows only these and all keys.

    Schema linking as in DIN-SQL (Pourreza and Rafiei, 2023). What several samples choose is put together. A reply is
    read when its last JSON object names tables of the schema with lists of their columns and nothing else; otherwise
    it is unparsed and chooses nothing, and where no reply chooses anything the whole schema stays. Cost: ``samples``
    calls.
    """

    gives: ClassVar[frozenset[Kind]] = frozenset({"document"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "sql_link"
    template_names: ClassVar[frozenset[str]] = SchemaNode.template_names - {"candidates", "linked"}

    type: Literal["schema_link"] = "schema_link"
    """Chooses the tables and columns that a question needs."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Choices drawn per task; more than one needs a temperature above 0."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation, ``samples`` times."""
        del given
        return (Request(self.sql_messages(task), self.samples),)

    def longest(self, given: Candidates) -> Candidates:
        """One candidate a sample."""
        return tuple(replace(each, kind="document") for each in self.placeholders(self.samples))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Draws the choices; the answer of each candidate is what it chose, as JSON."""
        await self.read_database(ctx)
        [links] = await self.read(ctx, self.requests(task, given), lambda sample: self._link(task, sample, ctx))
        return tuple(links) or (Candidate(id=f"{ctx.node}#0", text="", kind="document"),)

    def _link(self, task: Task, sample: Sample, ctx: Context) -> Candidate | Unparsed:
        database = Asked.of(task).database
        found = _OBJECT.findall(sample.text.rpartition("</think>")[2])
        if database is None or not found:
            return Unparsed("there is no JSON object of tables and columns in the reply")
        if not parse_link(found[-1], schema_of(database)):
            return Unparsed(f"{found[-1][:80]!r} does not name tables and columns of the schema")
        return replace(written(sample, ctx, number=sample.index), kind="document", answer=found[-1])
