"""The worker process of :mod:`archloom.tools.sql._pool`: a program of its own, with the standard library alone.

It reads requests from its input and writes replies to its output, each a length and that much JSON. Layers, each
enough for most attacks: the file is opened read-only; an authorizer allows nothing but reading and functions;
SQLite's limits bound single operations; a progress handler ends long queries; the process has no memory beyond
its limit and can write to no file. What gets past all of them, one endless operation, the parent kills.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import stat
import sys
import time
from collections import OrderedDict
from pathlib import Path
from urllib.parse import quote

MEMORY_BYTES = 1 << 30
HEAP_BYTES = 256 << 20
VALUE_BYTES = 10_000_000
LOCK_WAIT_S = 1.0
_OPEN = 8
_HEADER, _VERSIONS, _WAL = 20, slice(18, 20), b"\x02\x02"
_STEPS = 10_000
_MESSAGE = 500
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_POINTERS_AND_CODE = {"load_extension", "fts3_tokenizer"}
_KINDS = {
    sqlite3.SQLITE_AUTH: "not_read_only",
    sqlite3.SQLITE_READONLY: "not_read_only",
    sqlite3.SQLITE_INTERRUPT: "timeout",
    sqlite3.SQLITE_TOOBIG: "too_large",
    sqlite3.SQLITE_NOMEM: "too_large",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "unavailable",
    sqlite3.SQLITE_NOTADB: "unavailable",
    sqlite3.SQLITE_CORRUPT: "unavailable",
    sqlite3.SQLITE_IOERR: "unavailable",
}
_TABLES = (
    "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
_connections: OrderedDict[tuple[object, ...], sqlite3.Connection] = OrderedDict()


class TooLargeError(Exception):
    """The result is over its limit of bytes."""


class RowCapError(Exception):
    """The result has more rows than may be."""


def authorize(action: int, first: str | None, second: str | None, database: str | None, inner: str | None) -> int:
    """Allows what reads the opened file; SQLite asks while it compiles, so nothing else ever starts."""
    del first, database, inner
    if action in _READS or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _POINTERS_AND_CODE):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def connect(path: str, *, immutable: bool) -> sqlite3.Connection:
    """The database, opened read-only and still without the authorizer, which forbids what is done here."""
    uri = f"file:{quote(path)}?mode=ro" + ("&immutable=1" if immutable else "")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=LOCK_WAIT_S, cached_statements=0)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    settings = f"hard_heap_limit={HEAP_BYTES} temp_store=MEMORY query_only=ON trusted_schema=OFF mmap_size=0"
    for setting in settings.split():
        connection.execute(f"PRAGMA {setting}").fetchall()
    # These two functions that are tables are declared on first use, which the authorizer would take for a write.
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").fetchall()
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_VDBE_OP, 1_000_000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 10_000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
    return connection


def is_immutable(path: str) -> bool:
    """Whether nobody can be writing to a file, so that it may be read without locks.

    True for a file that we may not write ourselves, and for one in WAL mode that nobody has open: to open that
    one otherwise would create files beside it. (The parent leaves this to us: closing a descriptor of a
    database gives up the locks that a connection of the same process holds.)
    """
    if any(Path(path + suffix).exists() for suffix in ("-wal", "-journal")):
        return False
    with Path(path).open("rb") as file:
        versions = file.read(_HEADER)[_VERSIONS]
    return versions == _WAL or not os.access(path, os.W_OK)


def opened(path: str) -> sqlite3.Connection:
    """The connection to a file; a file that was replaced or changed since is opened anew."""
    state = Path(path).stat()
    if not stat.S_ISREG(state.st_mode):
        raise OSError("it is not a regular file")
    immutable = is_immutable(path)
    key = (path, immutable, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _connections:
        while len(_connections) >= _OPEN:
            _connections.popitem(last=False)[1].close()
        _connections[key] = connect(path, immutable=immutable)
    _connections.move_to_end(key)
    return _connections[key]


def kind_of(message: str, code: int) -> str:
    """The class of a failure. Two have no code of their own: Python's, and that of a forbidden function."""
    if "one statement at a time" in message:
        return "several_statements"
    return "not_read_only" if message.startswith("not authorized") else _KINDS.get(code & 0xFF, "error")


def query(connection: sqlite3.Connection, sql: str, rows: int, size: int) -> list[object]:
    """Columns and rows of one statement.

    Raises:
        RowCapError, TooLargeError: there are more than may be.
        ValueError: there is no statement.
    """
    cursor = connection.execute(sql)
    try:
        if cursor.description is None:
            raise ValueError("there is no statement")
        found: list[object] = []
        for row in cursor:
            if len(found) == rows:
                raise RowCapError(f"more than {rows} rows")
            size -= 16 * len(row) + sum(len(value) for value in row if isinstance(value, (str, bytes)))
            if size < 0:
                raise TooLargeError("the result is too large")
            found.append(row)
        return [[column[0] for column in cursor.description], found]
    finally:
        cursor.close()


def tables(connection: sqlite3.Connection) -> list[object]:
    """Each table and view with what PRAGMA says of its columns and foreign keys. A view that is broken has none."""
    found: list[object] = []
    for name, kind in connection.execute(_TABLES).fetchall():
        quoted = name.replace('"', '""')
        try:
            columns = connection.execute(f'PRAGMA table_xinfo("{quoted}")').fetchall()
            keys = connection.execute(f'PRAGMA foreign_key_list("{quoted}")').fetchall()
        except sqlite3.OperationalError:
            columns, keys = [], []
        found.append([name, kind, columns, keys])
    return found


def answer(request: dict[str, object]) -> list[object]:
    """The reply to a request: ``["ok", contents, seconds]`` or ``["failed", kind, message, seconds]``."""
    started = time.monotonic()
    timeout_s = float(str(request["timeout_s"]))
    limit = int(time.process_time() + timeout_s) + 3
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))  # for when no parent is left to kill us
    kind, message = "error", ""
    try:
        connection = opened(str(request["path"]))
        connection.set_progress_handler(lambda: time.monotonic() - started > timeout_s, _STEPS)
        if request["sql"] is None:
            connection.set_authorizer(None)
            contents = tables(connection)
        else:
            connection.set_authorizer(authorize)
            contents = query(connection, str(request["sql"]), int(str(request["rows"])), int(str(request["bytes"])))
        return ["ok", contents, time.monotonic() - started]
    except RowCapError as exc:
        kind, message = "row_cap", str(exc)
    except (TooLargeError, MemoryError) as exc:
        kind, message = "too_large", str(exc) or "out of memory"
    except (sqlite3.Error, sqlite3.Warning) as exc:
        message = str(exc)
        kind = kind_of(message, getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR))
    except OSError as exc:
        kind, message = "unavailable", str(exc)
    except UnicodeError as exc:
        message = str(exc)
    except ValueError as exc:
        kind, message = "no_statement", str(exc)
    return ["failed", kind, message[:_MESSAGE], time.monotonic() - started]


def encoded(reply: list[object]) -> bytes:
    """A reply as JSON; blobs become ``{"b": hexadecimal digits}``."""
    return json.dumps(reply, default=lambda blob: {"b": blob.hex()}, separators=(",", ":")).encode("ascii")


def main() -> None:
    """Answers until there are no more requests."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while head := sys.stdin.buffer.read(8):
        request = json.loads(sys.stdin.buffer.read(int.from_bytes(head)))
        try:
            reply = encoded(answer(request))
        except MemoryError:
            reply = encoded(["failed", "too_large", "out of memory", 0.0])
        sys.stdout.buffer.write(len(reply).to_bytes(8))
        sys.stdout.buffer.write(reply)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
