"""What a database consists of: tables, columns, types and keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from archloom.tools.sql._database import Dialect


@dataclass(frozen=True)
class Column:
    """A column, with the type it is declared with."""

    name: str
    type: str
    not_null: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to the columns of another table, in this order."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table or a view."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    is_view: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """Names of the columns that are part of a key."""
        return frozenset(self.primary_key).union(*(key.columns for key in self.foreign_keys))


class ColumnRef(NamedTuple):
    """A column by the name of its table and its own."""

    table: str
    column: str


@dataclass(frozen=True)
class Schema:
    """All tables and views of a database."""

    dialect: Dialect
    tables: tuple[Table, ...]

    def columns(self) -> Iterator[tuple[Table, Column]]:
        """Each column with its table."""
        for table in self.tables:
            for column in table.columns:
                yield table, column
