"""PostgreSQL databases behind the :class:`~archloom.tools.sql.Database` protocol; needs the extra ``postgres``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from archloom.tools.errors import ToolError
from archloom.tools.sql._database import Dialect, FailureKind, Rows, SqlFailure, SqlLimits, SqlResult, Value
from archloom.tools.sql._schema import Column, ForeignKey, Schema, Table
from archloom.tools.sql._statements import read_statement

if TYPE_CHECKING:
    from psycopg import Connection

DEFAULT = SqlLimits()
_CONNECT_S, _LOCK_WAIT_MS, _MESSAGE = 5, 1000, 500
_DANGEROUS = "pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"
_RIGHTS = """
    SELECT rolname FROM pg_roles WHERE rolname = current_user AND rolsuper
    UNION ALL SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(oid, 'MEMBER')"""
_COLUMNS = """
    SELECT c.table_name, t.table_type = 'VIEW', c.column_name, c.data_type, c.is_nullable = 'NO'
    FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = ANY(current_schemas(false)) ORDER BY c.table_name, c.ordinal_position"""
_KEYS = """
    SELECT own.relname, k.contype::text, other.relname,
      ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(n, at)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at),
      ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(n, at)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.at)
    FROM pg_constraint k JOIN pg_class own ON own.oid = k.conrelid LEFT JOIN pg_class other ON other.oid = k.confrelid
    JOIN pg_namespace s ON s.oid = own.relnamespace
    WHERE k.contype IN ('p', 'f') AND s.nspname = ANY(current_schemas(false)) ORDER BY own.relname, k.conname"""


class PostgresDatabase:
    """A PostgreSQL database, through a role without rights over the server.

    A query runs alone in a read-only transaction that is rolled back, in a session that is reset afterwards; the
    extended protocol takes one statement. What such a role may read, queries may read: give it no more than that.

    Args:
        conninfo: How to connect, as libpq takes it: ``host=... dbname=... user=...`` or a ``postgresql://`` URL.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @property
    def dialect(self) -> Dialect:
        """PostgreSQL's."""
        return "postgres"

    @property
    def name(self) -> str:
        """Database and host, without the password."""
        from psycopg.conninfo import conninfo_to_dict

        parts = conninfo_to_dict(self._conninfo)
        return f"{parts.get('dbname', '')}@{parts.get('host', '')}"

    def execute(self, sql: str, *, limits: SqlLimits = DEFAULT) -> SqlResult:
        """The result of one query; see :class:`~archloom.tools.sql.Database`.

        Raises:
            ToolError: psycopg is not installed, or the role has rights that a query must not have.
        """
        size = len(sql.encode("utf-8", "surrogatepass"))
        if size > limits.sql_bytes:
            return SqlFailure("too_long", f"{size} bytes of SQL are more than {limits.sql_bytes}")
        statement = read_statement(sql, "postgres", limits=limits)
        if isinstance(statement, SqlFailure) and statement.outcome != "error":
            return statement
        started = time.monotonic()
        try:
            with self._connection() as connection:
                return _run(connection, sql, limits)
        except _errors() as exc:
            return SqlFailure(_kind(exc), str(exc)[:_MESSAGE], time.monotonic() - started)

    def schema(self) -> Schema:
        """Tables and views on the search path; see :class:`~archloom.tools.sql.Database`."""
        try:
            with self._connection() as connection, _read_only(connection, DEFAULT):
                columns, keys = connection.execute(_COLUMNS).fetchall(), connection.execute(_KEYS).fetchall()
        except _errors() as exc:
            raise ToolError(f"{self.name} cannot be read ({_kind(exc)}): {exc}") from exc
        return Schema("postgres", tuple(_tables(columns, keys)))

    def close(self) -> None:
        """Closes idle connections; a later query opens new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection in a fresh session; one that is broken is not used again."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        try:
            yield connection
            connection.execute("DISCARD ALL")
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)

    def _connect(self) -> Connection:
        import psycopg

        connection = psycopg.connect(
            self._conninfo, autocommit=True, prepare_threshold=None, connect_timeout=_CONNECT_S
        )
        rights = connection.execute(_RIGHTS, [list(_DANGEROUS)]).fetchall()
        if rights:
            connection.close()
            raise ToolError(
                f"{self.name}: the role has rights over the server ({rights[0][0]}), so it runs no unknown queries.",
                hint="CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; and connect as reader.",
            )
        return connection


def _errors() -> tuple[type[Exception], ...]:
    """What psycopg raises for a query or a connection that fails.

    Raises:
        ToolError: psycopg is not installed.
    """
    try:
        import psycopg
    except ImportError as exc:
        raise ToolError("PostgreSQL needs the package psycopg.", hint="pip install 'archloom[postgres]'") from exc
    return psycopg.Error, UnicodeError


@contextmanager
def _read_only(connection: Connection, limits: SqlLimits) -> Iterator[None]:
    """A transaction in which nothing can be written, and which is rolled back."""
    connection.execute("BEGIN READ ONLY")
    try:
        connection.execute(f"SET LOCAL statement_timeout = {max(1, round(limits.timeout_s * 1000))}".encode())
        connection.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}".encode())
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")


def _run(connection: Connection, sql: str, limits: SqlLimits) -> SqlResult:
    """The result; a failure that leaves the connection usable is a value, another one is raised."""
    started = time.monotonic()
    try:
        with _read_only(connection, limits):
            return _rows(connection, sql, limits, started)
    except _errors() as exc:
        if connection.closed:
            raise
        return SqlFailure(_kind(exc), str(exc)[:_MESSAGE], time.monotonic() - started)


def _rows(connection: Connection, sql: str, limits: SqlLimits, started: float) -> SqlResult:
    """Reads rows one by one, so that a result over a limit is never held as a whole."""
    rows: list[tuple[Value, ...]] = []
    size = 0
    with connection.cursor() as cursor:
        for row in cursor.stream(sql.encode()):
            values = tuple(map(_value, row))
            size += 16 * len(values) + sum(len(value) for value in values if isinstance(value, (str, bytes)))
            if len(rows) == limits.rows:
                return SqlFailure("row_cap", f"more than {limits.rows} rows", time.monotonic() - started)
            if size > limits.result_bytes:
                return SqlFailure("too_large", "the result is too large", time.monotonic() - started)
            rows.append(values)
        columns = tuple(column.name for column in cursor.description or ())
    return Rows(columns, tuple(rows), time.monotonic() - started)


def _value(value: object) -> Value:
    """A value as SQLite would have it: exact numbers that are whole stay exact, dates are text, the rest is JSON."""
    match value:
        case None | int() | float() | str() | bytes():
            return value
        case Decimal():
            return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
        case dict() | list():
            return json.dumps(value, default=str)
        case _:
            return str(value)


def _kind(exc: Exception) -> FailureKind:
    from psycopg import errors

    kinds: tuple[tuple[type[Exception], FailureKind], ...] = (
        (errors.QueryCanceled, "timeout"),
        (errors.LockNotAvailable, "locked"),
        (errors.ReadOnlySqlTransaction, "not_read_only"),
        (errors.InsufficientPrivilege, "not_read_only"),
        (errors.InsufficientResources, "too_large"),
        (errors.ProgramLimitExceeded, "too_large"),
    )
    for cls, kind in kinds:
        if isinstance(exc, cls):
            return kind
    if isinstance(exc, errors.SyntaxError) and "multiple commands" in str(exc):
        return "several_statements"
    # A connection that failed has no SQLSTATE of a query.
    return "unavailable" if isinstance(exc, errors.OperationalError) and _no_query(exc) else "error"


def _no_query(exc: Exception) -> bool:
    state = getattr(exc, "sqlstate", None)
    return state is None or str(state).startswith(("08", "57P"))


def _tables(columns: list[tuple[object, ...]], keys: list[tuple[object, ...]]) -> Iterator[Table]:
    for name, found in groupby(columns, key=itemgetter(0)):
        own = list(found)
        primary = [_names(key[3]) for key in keys if key[0] == name and key[1] == "p"]
        yield Table(
            str(name),
            tuple(Column(str(column), str(type), not_null=bool(not_null)) for _, _, column, type, not_null in own),
            primary_key=primary[0] if primary else (),
            foreign_keys=tuple(
                ForeignKey(_names(key[3]), str(key[2]), _names(key[4]))
                for key in keys
                if key[0] == name and key[1] == "f"
            ),
            is_view=bool(own[0][1]),
        )


def _names(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(map(str, value))
