"""A database as nodes and scorers see it: one query in, rows or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from archloom.tools.sql._schema import Schema

Value: TypeAlias = int | float | str | bytes | None
"""One value of a result. Bytes of a text that are not UTF-8 are kept as lone surrogates (``surrogateescape``)."""

Row: TypeAlias = tuple[Value, ...]

Dialect: TypeAlias = Literal["sqlite", "postgres"]
"""Of SQL, by the names that sqlglot has for them."""

FailureKind: TypeAlias = Literal[
    "no_statement",
    "several_statements",
    "not_read_only",
    "too_long",
    "error",
    "timeout",
    "too_large",
    "row_cap",
    "locked",
    "unavailable",
    "crashed",
]
"""Why a query has no result.

====================== ======================================================================
``no_statement``       nothing, or comments only
``several_statements`` more than one
``not_read_only``      anything but a query of the opened database: writes, DDL, PRAGMA, ATTACH
``too_long``           more SQL text than the limit
``error``              the database does not accept it: syntax, unknown names, types
``timeout``            it ran out of time and was stopped
``too_large``          a value, the result or its working memory is over the limit
``row_cap``            more rows than the limit; none are handed out, so that none are compared
``locked``             another process holds the database
``unavailable``        the database is missing, is none, is damaged, or cannot be reached
``crashed``            the process that ran it died
====================== ======================================================================
"""


@dataclass(frozen=True)
class SqlLimits:
    """What one query may take.

    Attributes:
        timeout_s: Seconds until it is stopped.
        rows: Rows of its result. One row more, and there is no result.
        result_bytes: Bytes of texts and blobs in its result, plus 16 for every value.
        sql_bytes: Bytes of its text.
    """

    timeout_s: float = 30.0
    rows: int = 100_000
    result_bytes: int = 64 * 2**20
    sql_bytes: int = 100_000


@dataclass(frozen=True)
class Rows:
    """The whole result of a query.

    Attributes:
        columns: Names of its columns, which need not be distinct.
        rows: Its rows, in the order in which the database gave them.
        duration_s: Seconds inside the database.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    duration_s: float = 0.0

    @property
    def outcome(self) -> Literal["ok", "empty"]:
        """``empty`` when there are no rows."""
        return "ok" if self.rows else "empty"


@dataclass(frozen=True)
class SqlFailure:
    """Why a query has no result.

    Attributes:
        outcome: The class of failure.
        message: What the database, or the check, said; at most a few hundred characters.
        duration_s: Seconds it took to fail.
    """

    outcome: FailureKind
    message: str
    duration_s: float = 0.0


SqlResult: TypeAlias = Rows | SqlFailure


class Database(Protocol):
    """Runs queries of unknown origin; they can neither change nor reach anything but their own result.

    All calls block and may come from several threads at once; async code calls them through
    :func:`asyncio.to_thread`.
    """

    @property
    def dialect(self) -> Dialect:
        """Of SQL."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def execute(self, sql: str, *, limits: SqlLimits = ...) -> SqlResult:
        """The result of one query. Whatever the text is, and whatever happens to it, is a value, no exception."""

    def schema(self) -> Schema:
        """Its tables and views.

        Raises:
            ToolError: the database cannot be read.
        """
