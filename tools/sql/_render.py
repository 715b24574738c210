"""A schema as text for a prompt, within a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from archloom.tools.sql._database import Database, Rows, SqlLimits, Value
from archloom.tools.sql._relevance import Relevance
from archloom.tools.sql._schema import Column, ColumnRef, Schema, Table

Samples: TypeAlias = Mapping[ColumnRef, tuple[Value, ...]]
"""Some values of each column."""

NO_SAMPLES: Samples = MappingProxyType({})
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
_SHOWN, _LOOKED_AT = 40, 1000
_QUICK = SqlLimits(timeout_s=5.0)


def approximate_tokens(text: str) -> int:
    """Tokens of a text at four characters a token, when there is no tokenizer at hand."""
    return ceil(len(text) / 4)


def sample_values(database: Database, schema: Schema, *, each: int = 3) -> Samples:
    """The smallest distinct values of each column among its first thousand rows; none where they cannot be read."""
    found = {}
    for table, column in schema.columns():
        name, source = quoted(column.name), quoted(table.name)
        first = f"SELECT {name} AS v FROM {source} LIMIT {_LOOKED_AT}"
        result = database.execute(
            f"SELECT DISTINCT v FROM ({first}) AS t WHERE v IS NOT NULL ORDER BY v LIMIT {each}", limits=_QUICK
        )
        if isinstance(result, Rows):
            found[ColumnRef(table.name, column.name)] = tuple(value for (value,) in result.rows)
    return found


def render_schema(
    schema: Schema,
    *,
    question: str = "",
    tokens: int | None = None,
    samples: Samples = NO_SAMPLES,
    count: Callable[[str], int] = approximate_tokens,
) -> str:
    """One line a table: ``singer(id INTEGER key, name TEXT 'Ada' 'Bo', band_id INTEGER -> band.id)``.

    Where that is too long, the tables that the question is about come first, with their keys, then their other
    columns and values, then other tables; ``...`` stands where columns are left out, and the last line says how
    many tables are.

    Args:
        schema: What is rendered.
        question: Decides what is left out; without one, later tables and columns are.
        tokens: The most the text may have; no limit when ``None``.
        samples: Values to show.
        count: Counts the tokens of a text.

    Returns:
        The text; empty when not even one table fits.
    """
    pieces = sorted(_pieces(schema, Relevance(schema, question), samples), key=lambda piece: piece.rank)
    everything = _text(schema, set(pieces), samples)
    if tokens is None or count(everything) <= tokens:
        return everything
    chosen: list[_Piece] = []
    left = tokens
    for piece in pieces:
        cost = count(piece.text) + (count(_left_out(len(schema.tables))) if not chosen else 0)
        if cost <= left and (piece.column is None or _Piece.of_table(piece.table) in chosen):
            chosen.append(piece)
            left -= cost
    while chosen and count(text := _text(schema, set(chosen), samples)) > tokens:
        chosen.pop()
    return text if chosen else ""


def quoted(name: str) -> str:
    """A name as it is written in SQL."""
    return '"' + name.replace('"', '""') + '"'


class _Piece(NamedTuple):
    """Something that is shown or left out: a table with its keys, a column, or a column's values.

    Two are equal when they are the same thing: rank and text are not part of that.
    """

    table: str
    column: str | None
    values: bool
    rank: tuple[int, float, int] = (0, 0.0, 0)
    text: str = ""

    @classmethod
    def of_table(cls, table: str) -> _Piece:
        return cls(table, None, values=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Piece) and self[:3] == other[:3]

    def __hash__(self) -> int:
        return hash(self[:3])


def _pieces(schema: Schema, relevance: Relevance, samples: Samples) -> Iterator[_Piece]:
    for place, table in enumerate(schema.tables):
        tier = 0 if table.name in relevance.wanted else 3
        keys = [column for column in table.columns if column.name in table.keys]
        header = _line(table, keys, frozenset(), samples, complete=False)
        yield _Piece(table.name, None, False, (tier, -relevance.tables[table.name], place), header)
        for at, column in enumerate(table.columns):
            ref = ColumnRef(table.name, column.name)
            rank = -relevance.columns[ref]
            if column.name not in table.keys:
                yield _Piece(table.name, column.name, False, (tier + 1, rank, at), _column(table, column, ()) + ", ")
            if samples.get(ref):
                yield _Piece(table.name, column.name, True, (tier + 2, rank, at), _values(samples[ref]))


def _text(schema: Schema, chosen: set[_Piece], samples: Samples) -> str:
    lines = []
    for table in schema.tables:
        if _Piece.of_table(table.name) in chosen:
            shown = [
                each
                for each in table.columns
                if each.name in table.keys or _Piece(table.name, each.name, False) in chosen
            ]
            valued = frozenset(each.name for each in shown if _Piece(table.name, each.name, True) in chosen)
            lines.append(_line(table, shown, valued, samples, complete=len(shown) == len(table.columns)))
    missing = len(schema.tables) - len(lines)
    return "\n".join([*lines, *([_left_out(missing)] if missing else [])])


def _left_out(tables: int) -> str:
    return f"-- {tables} more tables"


def _line(table: Table, shown: list[Column], valued: frozenset[str], samples: Samples, *, complete: bool) -> str:
    columns = [
        _column(table, column, samples.get(ColumnRef(table.name, column.name), ()) if column.name in valued else ())
        for column in shown
    ]
    pairs = [
        f"({', '.join(map(_name, key.columns))}) -> {_name(key.table)}({', '.join(map(_name, key.targets))})"
        for key in table.foreign_keys
        if len(key.columns) > 1
    ]
    return f"{_name(table.name)}({', '.join([*columns, *pairs, *([] if complete else ['...'])])})"


def _column(table: Table, column: Column, values: tuple[Value, ...]) -> str:
    words = [_name(column.name), column.type, "key" if column.name in table.primary_key else ""]
    words += [
        f"-> {_name(key.table)}.{_name(key.targets[0])}" for key in table.foreign_keys if key.columns == (column.name,)
    ]
    return " ".join(filter(None, words)) + _values(values)


def _values(values: tuple[Value, ...]) -> str:
    return "".join(f" {_literal(value)}" for value in values)


def _literal(value: Value) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if not isinstance(value, str):
        return str(value)
    text = " ".join(value.encode("utf-8", "replace").decode().split())
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return "'" + text.replace("'", "''") + "'"


def _name(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)
