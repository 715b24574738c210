"""SQLite files behind the :class:`~archloom.tools.sql.Database` protocol."""

from __future__ import annotations

import json
from pathlib import Path

from archloom.tools.errors import ToolError
from archloom.tools.sql._database import Dialect, Rows, SqlFailure, SqlLimits, SqlResult
from archloom.tools.sql._pool import QueryPool, shared_pool
from archloom.tools.sql._schema import Column, ForeignKey, Schema, Table

DEFAULT = SqlLimits()
_HIDDEN = {1}
"""What ``PRAGMA table_xinfo`` calls a column of a virtual table that ``SELECT *`` leaves out."""


class SQLiteDatabase:
    """An SQLite file. Queries run in a pool of processes, each of which can read that file and nothing else.

    Args:
        path: The file.
        pool: Workers; by default those that the whole process shares.
    """

    def __init__(self, path: Path, *, pool: QueryPool | None = None) -> None:
        self._path = path.absolute()
        self._pool = pool or shared_pool()

    @property
    def dialect(self) -> Dialect:
        """SQLite's."""
        return "sqlite"

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def execute(self, sql: str, *, limits: SqlLimits = DEFAULT) -> SqlResult:
        """The result of one query; see :class:`~archloom.tools.sql.Database`."""
        size = len(sql.encode("utf-8", "surrogatepass"))
        if size > limits.sql_bytes:
            return SqlFailure("too_long", f"{size} bytes of SQL are more than {limits.sql_bytes}")
        reply = self._ask(sql, limits)
        if isinstance(reply, SqlFailure):
            return reply
        (columns, rows), duration_s = reply
        return Rows(tuple(columns), tuple(map(tuple, rows)), duration_s)

    def schema(self) -> Schema:
        """Its tables and views; see :class:`~archloom.tools.sql.Database`."""
        reply = self._ask(None, DEFAULT)
        if isinstance(reply, SqlFailure):
            raise ToolError(f"{self.name} cannot be read ({reply.outcome}): {reply.message}")
        found = reply[0]
        keys = {name.lower(): _primary_key(columns) for name, _, columns, _ in found}
        return Schema("sqlite", tuple(_table(*each, keys=keys) for each in found))

    def _ask(self, sql: str | None, limits: SqlLimits) -> tuple[list, float] | SqlFailure:  # type: ignore[type-arg]  # JSON
        request = {
            "path": self.name,
            "sql": sql,
            "timeout_s": limits.timeout_s,
            "rows": limits.rows,
            "bytes": limits.result_bytes,
        }
        longest = 16 * limits.result_bytes + (1 << 20)
        try:
            data = self._pool.ask(json.dumps(request).encode(), timeout_s=limits.timeout_s, longest=longest)
        except TimeoutError:
            return SqlFailure("timeout", f"killed after {limits.timeout_s:g} s", limits.timeout_s)
        except ConnectionError as exc:
            return SqlFailure("crashed", f"the process that ran the query died: {exc}")
        reply = json.loads(data, object_hook=lambda blob: bytes.fromhex(blob["b"]))
        if reply[0] == "ok":
            return reply[1], reply[2]
        return SqlFailure(reply[1], reply[2], reply[3])


def _primary_key(columns: list[list[object]]) -> list[str]:
    return [str(name) for _, name, _, _, _, place, _ in sorted(columns, key=lambda each: int(str(each[5]))) if place]


def _table(
    name: str, kind: str, columns: list[list[object]], keys_out: list[list[object]], *, keys: dict[str, list[str]]
) -> Table:
    return Table(
        name,
        tuple(
            Column(str(column), str(type), not_null=bool(not_null))
            for _, column, type, not_null, _, _, hidden in columns
            if hidden not in _HIDDEN
        ),
        primary_key=tuple(_primary_key(columns)),
        foreign_keys=tuple(_foreign_keys(keys_out, keys)),
        is_view=kind == "view",
    )


def _foreign_keys(rows: list[list[object]], keys: dict[str, list[str]]) -> list[ForeignKey]:
    """``PRAGMA foreign_key_list`` has a row for each column; a missing target column means the primary key's."""
    found = []
    for id_ in sorted({int(str(row[0])) for row in rows}):
        parts = sorted((row for row in rows if row[0] == id_), key=lambda row: int(str(row[1])))
        target = str(parts[0][2])
        own = keys.get(target.lower(), [])
        names = own if all(part[4] is None for part in parts) else [str(part[4]) for part in parts]
        if len(names) == len(parts):
            found.append(ForeignKey(tuple(str(part[3]) for part in parts), target, tuple(names)))
    return found
