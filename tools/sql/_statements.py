"""What an SQL text is, without running it: one statement, a query, and which tables and columns it reads."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archloom.tools.sql._database import Dialect, SqlFailure, SqlLimits
from archloom.tools.sql._schema import ColumnRef, Schema

if TYPE_CHECKING:
    from sqlglot.expressions import Expr
    from sqlglot.optimizer.scope import Scope

_ORDER_BY = re.compile(r"\border\s+by\b", re.IGNORECASE)
_MESSAGE = 500
_log = logging.getLogger("sqlglot")


@dataclass(frozen=True)
class Statement:
    """A single query.

    Attributes:
        dialect: The SQL it is written in.
        tables: Tables it reads, each once, in alphabetical order; common table expressions are none.
        is_ordered: It states the order of its rows.
        tree: What sqlglot made of it.
    """

    dialect: Dialect
    tables: tuple[str, ...]
    is_ordered: bool
    tree: Expr

    def columns(self, schema: Schema) -> frozenset[ColumnRef]:
        """Columns of the schema's tables that it names, spelled as the schema does; ``*`` names none."""
        from sqlglot.optimizer.scope import traverse_scope

        return frozenset(ref for scope in traverse_scope(self.tree) for ref in _columns(scope, Names(schema)))


class Names:
    """Tables and columns of a schema by their names, in which case does not count."""

    def __init__(self, schema: Schema) -> None:
        self._tables = {
            table.name.lower(): {column.name.lower(): ColumnRef(table.name, column.name) for column in table.columns}
            for table in schema.tables
        }

    def find(self, table: str, column: str) -> ColumnRef | None:
        """The column, or ``None`` where the table, or the schema, has none of this name."""
        return self._tables.get(table.lower(), {}).get(column.lower())


def read_statement(sql: str, dialect: Dialect, *, limits: SqlLimits | None = None) -> Statement | SqlFailure:
    """The query that a text is, or why it is none.

    A failure with the outcome ``error`` only says that sqlglot does not understand the text. The database may,
    so for execution it is no verdict. All other failures are.
    """
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    _log.setLevel(logging.ERROR)  # it warns of every statement that is no query, which is what we ask it
    longest = (limits or SqlLimits()).sql_bytes
    if len(sql) > longest:
        return SqlFailure("too_long", f"{len(sql)} characters of SQL are more than {longest} bytes")
    try:
        parsed = parse(sql, dialect=dialect)
        trees = [tree for tree in parsed if tree is not None and not isinstance(tree, exp.Semicolon)]
        if not trees:
            return SqlFailure("no_statement", "there is no statement")
        if len(trees) > 1:
            return SqlFailure("several_statements", f"{len(trees)} statements")
        [tree] = trees
        if not all(isinstance(each.unnest(), (exp.Query, exp.Values)) for each in _operands(tree)):
            return SqlFailure("error", "something other than queries is combined")
        writes = tree.find(exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)
        if not isinstance(tree, (exp.Query, exp.Values)) or (writes and not isinstance(writes, exp.Query)):
            return SqlFailure("not_read_only", f"{(writes or tree).key.upper()} is no query")
        return Statement(dialect, _tables(tree), _is_ordered(tree), tree)
    except (SqlglotError, RecursionError, ValueError) as exc:
        return SqlFailure("error", str(exc)[:_MESSAGE] or type(exc).__name__)


def is_ordered(sql: str, dialect: Dialect) -> bool:
    """Whether a query states the order of its rows. An ORDER BY inside it counts only where sqlglot is at a loss."""
    statement = read_statement(sql, dialect)
    return _ORDER_BY.search(sql) is not None if isinstance(statement, SqlFailure) else statement.is_ordered


def _operands(tree: Expr) -> Iterator[Expr]:
    """What UNION, INTERSECT and EXCEPT combine; sqlglot lets that be anything."""
    from sqlglot import exp

    for each in tree.find_all(exp.SetOperation):
        yield from (each.left, each.right)


def _tables(tree: Expr) -> tuple[str, ...]:
    from sqlglot import exp

    named = {each.alias.lower() for each in tree.find_all(exp.CTE)}
    tables = [table for table in tree.find_all(exp.Table) if table.db or table.name.lower() not in named]
    return tuple(sorted({table.name for table in tables} - {""}))


def _is_ordered(tree: Expr) -> bool:
    from sqlglot import exp

    while isinstance(tree, exp.Subquery) and not tree.args.get("order"):
        tree = tree.this
    return bool(tree.args.get("order"))


def _columns(scope: Scope, names: Names) -> Iterator[ColumnRef]:
    """Columns of tables that a scope itself names. An unqualified name belongs to the first table that has it."""
    from sqlglot import exp

    sources = {alias.lower(): source.name for alias, source in scope.sources.items() if isinstance(source, exp.Table)}
    for column in scope.columns:
        tables = [sources[column.table.lower()]] if column.table.lower() in sources else []
        for table in tables or ([] if column.table else sources.values()):
            if found := names.find(table, column.name):
                yield found
                break
