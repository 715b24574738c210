"""SQL generator: proposes queries, with as much of the database in its prompt as its fields say."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._node import written
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._sql_schema import SchemaNode
from archloom.nodes._task import Task


@register("sql_generator")
class SqlGenerator(SchemaNode):
    """Draws independent queries that answer the task's question to its database.

    The prompt is made from the task's context (its database, question and evidence), not from the text that the
    task set wrote, so what it shows can be searched. After a ``schema_link`` the schema is narrowed to what that
    chose; other candidates before it are shown as earlier attempts, with what came of executing them. For a task
    without a database its text is the question, and there is no schema. Cost: ``samples`` calls.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"answer", "document"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "sql_generator"
    template_names: ClassVar[frozenset[str]] = SchemaNode.template_names | {"style", "may_abstain"}

    type: Literal["sql_generator"] = "sql_generator"
    """Proposes queries."""
    samples: Annotated[int, Field(ge=1, le=4096)] = 1
    """Candidates drawn per task."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature."""
    style: Literal["direct", "steps", "parts"] = "direct"
    """Asks for the query alone; for reasons first; or for simpler questions that are answered first and combined."""
    may_abstain: bool = False
    """Tells the model to write ``SELECT 'unanswerable'`` where the tables do not hold the answer."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation, ``samples`` times."""
        messages = self.sql_messages(task, given, style=self.style, may_abstain=self.may_abstain)
        return (Request(messages, self.samples),)

    def longest(self, given: Candidates) -> Candidates:
        """One candidate a sample."""
        return self.placeholders(self.samples)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Draws the samples; those that fail are dropped, down to ``min_success``."""
        await self.read_database(ctx)
        [replies] = await self.ask(ctx, self.requests(task, given))
        samples = self.enough(replies, ctx)
        parents = tuple(candidate for candidate in given if candidate.kind == "answer")
        return tuple(written(sample, ctx, number=sample.index, parents=parents) for sample in samples)
