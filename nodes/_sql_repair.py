"""SQL repair: a new query for each candidate whose query failed or found nothing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import written
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, succeeded
from archloom.nodes._sql_schema import SchemaNode
from archloom.nodes._task import Task
from archloom.tools.sql import find_sql

Reason: TypeAlias = Literal["error", "empty", "timeout"]
_OWN = ("ok", "empty", "timeout")


@register("sql_repair")
class SqlRepair(SchemaNode):
    """Asks for a new query in the place of each that failed, shown with what the database said of it.

    Execution-guided repair as in the self-correction module of DIN-SQL (Pourreza and Rafiei, 2023), but told what
    happened. Candidates whose query is fine pass on unchanged, and so do those that were not executed and those
    whose call failed. A new query has not been executed: ``sql_execute`` comes next. Cost: one call per candidate
    that is repaired.
    """

    template: ClassVar[str] = "sql_repair"
    template_names: ClassVar[frozenset[str]] = (SchemaNode.template_names - {"candidates"}) | {"candidate", "query"}

    type: Literal["sql_repair"] = "sql_repair"
    """Asks for a new query where one failed or found nothing."""
    repairs: Annotated[tuple[Reason, ...], Field(min_length=1)] = ("error", "empty", "timeout")
    """What is repaired: any failure but a timeout, results without rows, timeouts."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation for each candidate that is repaired."""
        return tuple(self._request(task, candidate) for candidate in given if self._broken(candidate))

    def longest(self, given: Candidates) -> Candidates:
        """The same number of candidates, each the longer of the old and the new."""
        news = self.placeholders(len(given))
        return tuple(max(pair, key=lambda each: len(each.text)) for pair in zip(given, news, strict=True))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks for all new queries at once; each takes the place of the old one."""
        places = [place for place, candidate in enumerate(given) if self._broken(candidate)]
        if not places:
            return given
        await self.read_database(ctx)
        replies = await self.ask(ctx, self.requests(task, given))
        self.enough([reply for asked in replies for reply in asked], ctx)
        out = list(given)
        for place, asked in zip(places, replies, strict=True):
            for sample in succeeded(asked):
                out[place] = written(sample, ctx, number=place, parents=(given[place],))
        return tuple(out)

    def _broken(self, candidate: Candidate) -> bool:
        if candidate.executed is None:
            return False
        outcome = candidate.executed.outcome
        return outcome in self.repairs or ("error" in self.repairs and outcome not in _OWN)

    def _request(self, task: Task, candidate: Candidate) -> Request:
        query = find_sql(candidate.text) or ""
        return Request(self.sql_messages(task, (), candidate=candidate, query=query))
