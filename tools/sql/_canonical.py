"""Queries in a canonical form: equal texts are the same query."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from archloom.tools.sql._database import Dialect, SqlFailure
from archloom.tools.sql._find import find_sql
from archloom.tools.sql._statements import read_statement

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

_DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")


@lru_cache(maxsize=4096)
def canonical_sql(sql: str) -> str | None:
    """A query in its canonical form, or ``None`` when the text is not one statement that only reads.

    White space, comments, the case of keywords and of names without quotes, and a last semicolon do not count.
    The dialect is the first of SQLite's and PostgreSQL's in which the text can be read; a text that sqlglot cannot
    read in either may still be a query, and is taken as it is but for its white space.
    """
    for dialect in _DIALECTS:
        statement = read_statement(sql, dialect)
        if isinstance(statement, SqlFailure):
            if statement.outcome != "error":
                return None
        elif written := _written(statement.tree, dialect):
            return written
    return " ".join(sql.split()).rstrip("; ") or None


def stated_query(text: str, *, complete: bool = True) -> str | None:
    """The query that a text gives as its answer, in canonical form; ``None`` when it gives none.

    Args:
        text: What a model wrote.
        complete: False for a text cut by ``max_tokens``: only a closed block counts.
    """
    sql = find_sql(text, complete=complete)
    return None if sql is None else canonical_sql(sql)


def _written(tree: Expr, dialect: Dialect) -> str | None:
    """The tree as text; ``None`` for what is too deep to be written, which sqlglot can read all the same."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    def folded(node: Expr) -> Expr:
        if isinstance(node, exp.Identifier) and not node.quoted:
            node.set("this", node.name.lower())
        return node

    try:
        return str(tree.transform(folded, copy=False).sql(dialect=dialect, comments=False, copy=False))
    except (SqlglotError, RecursionError, ValueError):
        return None
