"""A question to a database as a task."""

from __future__ import annotations

from archloom.nodes import Task
from archloom.tasks.errors import TaskError
from archloom.tools import ToolError
from archloom.tools.sql import open_database, render_schema, samples_of, schema_of

_LANGUAGES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
_SAMPLES = 3


def text2sql_task(
    question: str,
    database: str,
    *,
    evidence: str = "",
    id: str = "task",
    db_id: str = "",
    schema_tokens: int = 3000,
) -> Task:
    """The task of answering a question with one query to a database.

    Args:
        question: What is asked.
        database: The path of an SQLite file, or a ``postgresql://`` URL.
        evidence: What else the asker tells.
        id: Name of the task.
        db_id: Name of the database.
        schema_tokens: Most tokens of the schema in the task's text; 0 leaves it out.

    Raises:
        TaskError: the schema cannot be read.
    """
    dialect = open_database(database).dialect
    parts = [
        f"Write one {_LANGUAGES[dialect]} query that answers the question. "
        "Give it in a block that starts with ```sql and ends with ```."
    ]
    if schema_tokens:
        try:
            schema, samples = schema_of(database), samples_of(database, _SAMPLES)
        except ToolError as exc:
            raise TaskError(f"{id}: {exc.message}", hint=exc.hint) from exc
        text = render_schema(schema, question=question, tokens=schema_tokens, samples=samples)
        parts.append(f"Tables:\n{text}")
    if evidence:
        parts.append(f"Evidence: {evidence}")
    parts.append(f"Question: {question}")
    context = {"db_id": db_id, "database": database, "dialect": dialect, "asked": question, "evidence": evidence}
    return Task(id, ({"role": "user", "content": "\n\n".join(parts)},), context)
