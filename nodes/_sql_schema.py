"""What the prompts of SQL nodes say of the task's database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode
from archloom.nodes._task import Messages, Task
from archloom.tools import ToolError
from archloom.tools.sql import ColumnRef, Schema, quoted, render_schema, samples_of, schema_of, values_of

_LANGUAGES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
_VALUE, _REMEMBERED = 100, 4096


@dataclass(frozen=True)
class Asked:
    """A task's question to a database.

    Attributes:
        question: The question alone; the task's own words where it has no database.
        evidence: What else the asker tells.
        language: Name of the SQL to write.
        database: Where the database is; ``None`` for a task that has none.
    """

    question: str
    evidence: str
    language: str
    database: str | None

    @classmethod
    def of(cls, task: Task) -> Asked:
        """What a Text2SQL task asks."""
        context = task.context
        database = context.get("database")
        return cls(
            str(context.get("asked") or task.question),
            str(context.get("evidence") or ""),
            _LANGUAGES.get(str(context.get("dialect")), "SQL"),
            database if isinstance(database, str) and database else None,
        )


class SchemaNode(ModelNode):
    """A node whose prompt shows the schema of the task's database, as far as these fields say.

    A schema, its values and its texts are read once in a process.
    """

    template_names: ClassVar[frozenset[str]] = frozenset(
        {"question", "asked", "evidence", "language", "schema", "values", "linked", "candidates"}
    )

    schema_holds: Literal["names", "types", "keys"] = "keys"
    """Names of tables and columns; also the columns' types; also primary and foreign keys."""
    schema_samples: Annotated[int, Field(ge=0, le=10)] = 3
    """Values of each column that are shown."""
    schema_tokens: Annotated[int, Field(ge=50)] | None = 3000
    """About how many tokens the schema may have; what the question is about stays in longest. No limit when null."""
    values: Annotated[int, Field(ge=0, le=20)] = 0
    """Values of the database that are shown because they are like something in the question."""

    async def read_database(self, ctx: Context) -> None:
        """Reads what the prompts need, in a thread: after it they are made without waiting.

        Raises:
            ToolError: the database cannot be read.
        """
        if (database := Asked.of(ctx.task).database) is not None:
            await asyncio.to_thread(self._read, database)

    def sql_messages(self, task: Task, given: Candidates = (), **values: object) -> Messages:
        """The conversation with this node's prompt about this task, its schema narrowed to what was linked."""
        asked = Asked.of(task)
        linked = [candidate for candidate in given if candidate.kind == "document"]
        schema = self._schema(asked, [each.answer for each in linked])
        return self.messages(
            task,
            self.built_in(),
            asked=asked.question,
            evidence=asked.evidence,
            language=asked.language,
            schema=schema,
            values=self._values(asked),
            linked=bool(linked),
            candidates=tuple(candidate for candidate in given if candidate.kind != "document"),
            **values,
        )

    def _read(self, database: str) -> None:
        schema_of(database)
        if self.schema_samples:
            samples_of(database, self.schema_samples)
        if self.values:
            values_of(database)

    def _schema(self, asked: Asked, links: list[str | None]) -> str:
        """The schema as text; empty where there is none to be read, which :meth:`read_database` reports."""
        if asked.database is None:
            return ""
        about = f"{asked.question}\n{asked.evidence}"
        said = (self.schema_holds, self.schema_samples, self.schema_tokens)
        try:
            return _schema_text(asked.database, about, tuple(link for link in links if link), *said)
        except ToolError:
            return ""

    def _values(self, asked: Asked) -> tuple[str, ...]:
        """Lines such as ``city.name = 'Oslo'``."""
        if asked.database is None or not self.values:
            return ()
        try:
            return _value_lines(asked.database, f"{asked.question}\n{asked.evidence}", self.values)
        except ToolError:
            return ()


@lru_cache(maxsize=_REMEMBERED)
def _schema_text(
    database: str, about: str, links: tuple[str, ...], holds: str, samples: int, tokens: int | None
) -> str:
    """Remembered, because a prompt is made several times for each task: to bound its cost, and to ask."""
    whole = schema_of(database)
    wanted = {ref for link in links for ref in parse_link(link, whole)}
    part = whole.only(wanted) if wanted else whole
    part = part.plain(types=holds != "names", keys=holds == "keys")
    shown = samples_of(database, samples) if samples else {}
    return render_schema(part, question=about, tokens=tokens, samples=shown)


@lru_cache(maxsize=_REMEMBERED)
def _value_lines(database: str, about: str, most: int) -> tuple[str, ...]:
    found = values_of(database).search(about, limit=most)
    return tuple(f"{_place(match.column)} = {_text(match.value)}" for match in found)


def parse_link(text: str, schema: Schema) -> frozenset[ColumnRef]:
    """The columns that a JSON object of tables and lists of their columns names, spelled as the schema does.

    Empty when the text is no such object, or when it names anything that the schema does not have: what a model
    chose is taken whole or not at all. A table with an empty list stands for all of its columns.
    """
    try:
        found = json.loads(text)
    except ValueError:
        return frozenset()
    if not isinstance(found, dict) or not all(isinstance(each, list) for each in found.values()):
        return frozenset()
    refs = list(_refs(found, schema))
    return frozenset() if None in refs else frozenset(ref for ref in refs if ref)


def _refs(found: dict[str, list[object]], schema: Schema) -> Iterator[ColumnRef | None]:
    """The columns that are named; ``None`` for one that is not there."""
    tables = {table.name.lower(): table for table in schema.tables}
    for name, columns in found.items():
        table = tables.get(name.lower())
        if table is None:
            yield None
            continue
        known = {column.name.lower(): ColumnRef(table.name, column.name) for column in table.columns}
        yield from (known.get(str(column).lower()) for column in columns) if columns else known.values()


def _place(ref: ColumnRef) -> str:
    return ".".join(name if name.isidentifier() else quoted(name) for name in ref)


def _text(value: str) -> str:
    return "'" + value[:_VALUE].replace("'", "''") + "'"
