"""What a database consists of: tables, columns, types and keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
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

    def only(self, wanted: Collection[ColumnRef]) -> Schema:
        """The part of it with these columns, the keys of their tables, and no other tables."""
        names = {ref.table for ref in wanted}
        return replace(
            self,
            tables=tuple(
                replace(
                    table,
                    columns=tuple(
                        column
                        for column in table.columns
                        if column.name in table.keys or ColumnRef(table.name, column.name) in wanted
                    ),
                )
                for table in self.tables
                if table.name in names
            ),
        )

    def plain(self, *, types: bool, keys: bool) -> Schema:
        """It without its types, or without its keys, or without both."""
        return replace(
            self,
            tables=tuple(
                replace(
                    table,
                    columns=tuple(replace(each, type=each.type if types else "") for each in table.columns),
                    primary_key=table.primary_key if keys else (),
                    foreign_keys=table.foreign_keys if keys else (),
                )
                for table in self.tables
            ),
        )
