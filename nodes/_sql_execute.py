"""SQL execute: runs each candidate's query on the task's database."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates, Executed
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._sql_schema import Asked
from archloom.nodes._task import Task
from archloom.tools.sql import (
    LONGEST_SHOWN,
    Database,
    Rows,
    SqlLimits,
    find_sql,
    is_ordered,
    open_database,
    result_key,
    show_result,
)

_WORST = Executed("error", None, "x " * (LONGEST_SHOWN // 2))
"""Stands in for a result before a run: as long as one can be, and the one that asks for a repair."""


@register("sql_execute")
class SqlExecute(Node):
    """Runs the query in each candidate and annotates it with the result; nodes after it group, show or repair that.

    Whatever happens to a query is an outcome and no failure of the node: ``ok``, ``empty`` (no rows), ``no_sql``
    (there is none in the text), ``timeout``, ``row_cap``, ``error``, or another of those that ``docs/text2sql.md``
    lists. Two results are equal when they are the same bag of rows; the order of columns counts, their names do not,
    and all empty results are equal. A result that is over a limit is no result: it agrees with nothing. A query is
    run once, however many candidates have it, and a candidate that was run before is not run again. A task without
    a database leaves the candidates as they are, and the log says ``not_applicable``. Cost: no calls.
    """

    type: Literal["sql_execute"] = "sql_execute"
    """Runs each candidate's query on the task's database."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Seconds a query may run."""
    rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Rows a result may have."""
    rows_shown: Annotated[int, Field(ge=0, le=100)] = 5
    """Rows that prompts and readers see."""
    order: bool = False
    """The order of rows counts in a result whose query states one."""
    keep: Literal["all", "ok"] = "all"
    """Pass on all candidates, or those with rows, unless none has any."""

    def longest(self, given: Candidates) -> Candidates:
        """The same candidates, each with a result of the greatest length."""
        return tuple(candidate.annotated(executed=_WORST) for candidate in given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Runs all queries at once, as many as there are processes for."""
        location = Asked.of(task).database
        if location is None:
            ctx.note("not_applicable", why="the task has no database")
            return given
        queries = [None if each.executed else find_sql(each.text) for each in given]
        results = await self._run_all(open_database(location), dict.fromkeys(each for each in queries if each))
        nothing = Executed("no_sql", None, "there is no SQL in it")
        done = tuple(
            candidate
            if candidate.executed
            else candidate.annotated(executed=nothing if query is None else results[query])
            for candidate, query in zip(given, queries, strict=True)
        )
        for candidate in done:
            if candidate.executed and candidate.executed.outcome not in {"ok", "empty"}:
                ctx.note(candidate.executed.outcome, candidate=candidate.id, detail=candidate.executed.shown[:200])
        kept = tuple(each for each in done if each.executed and each.executed.outcome == "ok")
        return kept if kept and self.keep == "ok" else done

    async def _run_all(self, database: Database, queries: dict[str, None]) -> dict[str, Executed]:
        async with asyncio.TaskGroup() as group:
            runs = {query: group.create_task(asyncio.to_thread(self._run, database, query)) for query in queries}
        return {query: run.result() for query, run in runs.items()}

    def _run(self, database: Database, query: str) -> Executed:
        result = database.execute(query, limits=SqlLimits(timeout_s=self.timeout_s, rows=self.rows))
        shown = show_result(result, rows=self.rows_shown)
        if not isinstance(result, Rows):
            return Executed(result.outcome, None, shown)
        ordered = self.order and is_ordered(query, database.dialect)
        return Executed(result.outcome, result_key(result, ordered=ordered), shown)
