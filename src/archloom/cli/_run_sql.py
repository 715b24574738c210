"""``archloom run --database``: a question to a database, and its answer as a query with its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archloom.nodes import Task
    from archloom.orchestrator import RunResult

_ROWS = 20


class SqlAnswer(NamedTuple):
    """A query and what came of it.

    Attributes:
        sql: The query; ``None`` when the answer holds none.
        outcome: ``ok``, ``empty``, or why there is no result.
        shown: The result as a table, or what the database said.
    """

    sql: str | None
    outcome: str
    shown: str


def question_to(question: str, database: str) -> Task:
    """The question as a Text2SQL task.

    Raises:
        TaskError: the database cannot be read.
    """
    from archloom.tasks.text2sql import text2sql_task

    return text2sql_task(question, database)


def sql_answer(result: RunResult, database: str) -> SqlAnswer:
    """The query in the answer, with its result: that of the workflow where it ran the query, else of running it now."""
    from archloom.tools.sql import find_sql, open_database, show_result

    sql = find_sql(result.text)
    if sql is None:
        return SqlAnswer(None, "no_sql", "")
    if result.candidate is not None and (executed := result.candidate.executed) is not None:
        return SqlAnswer(sql, executed.outcome, executed.shown)
    found = open_database(database).execute(sql)
    return SqlAnswer(sql, found.outcome, show_result(found, rows=_ROWS))
