"""The SQLite file of a sample store: its tables, older formats, and what can go wrong with it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archloom.orchestrator.errors import StoreError

SCHEMA_VERSION = 2
_BUSY_S = 30.0
_OTHER_FILE = "Name another file with --store."
_FIRST = """
CREATE TABLE samples (
    key TEXT NOT NULL, stream INTEGER NOT NULL, idx INTEGER NOT NULL,
    model TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, latency_s REAL NOT NULL, logprob REAL,
    created REAL NOT NULL,
    PRIMARY KEY (key, stream, idx)
) WITHOUT ROWID
"""
# A content filter was a way to finish before it became a failure.
_SECOND = """
ALTER TABLE samples ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE samples ADD COLUMN reasoning TEXT;
ALTER TABLE samples ADD COLUMN tool_calls TEXT;
ALTER TABLE samples ADD COLUMN tokens TEXT;
ALTER TABLE samples ADD COLUMN prompt_tokens TEXT;
ALTER TABLE samples ADD COLUMN answered_by TEXT;
CREATE TABLE questions (key TEXT PRIMARY KEY NOT NULL, content NOT NULL) WITHOUT ROWID;
CREATE TABLE failures (
    key TEXT NOT NULL, stream INTEGER NOT NULL, idx INTEGER NOT NULL,
    model TEXT NOT NULL, error TEXT NOT NULL, message TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (key, stream, idx)
) WITHOUT ROWID;
INSERT INTO failures SELECT key, stream, idx, model, finish, 'The provider filtered the reply.', created
    FROM samples WHERE finish = 'content_filter';
DELETE FROM samples WHERE finish = 'content_filter'
"""
_STEPS = (_FIRST, _SECOND)
_TABLES = {"samples", "questions", "failures"}


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to a sample store, which is made or brought to the present format when it is not.

    Raises:
        StoreError: it cannot be opened, is no sample store, or was written by a newer version.
    """
    with store_errors(path, "cannot be used as sample store"):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a file that is known to be a sample store."""
    # Transactions are begun by hand, so that reads never leave one open.
    connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; a power cut may
    connection.execute("PRAGMA wal_autocheckpoint=4000")  # a sixth less work for each write than 1000
    connection.execute("PRAGMA mmap_size=134217728")  # a tenth less for a read; more would count as memory in use
    return connection


@contextmanager
def store_errors(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turns what SQLite and the file system say into a :class:`StoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, OverflowError) as exc:
        raise StoreError(f"{path}: {what}: {exc}.", hint=_OTHER_FILE) from exc


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it; waits until other writers are done."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Brings a file to the present format; one that is something else is left as it is."""
    version = _version(connection, path)
    if version == SCHEMA_VERSION:
        return
    _use_wal(connection)
    with transaction(connection):
        # Another process may have done it in the meantime.
        for step in _STEPS[_version(connection, path) :]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    # One statement, so that both are of one moment.
    version, names = connection.execute(
        "SELECT user_version, (SELECT group_concat(name) FROM sqlite_master "
        "WHERE type = 'table' AND name NOT GLOB 'sqlite_*') FROM pragma_user_version"
    ).fetchone()
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: sample store of format {version}; this archloom reads {SCHEMA_VERSION}.",
            hint="Upgrade archloom, or name another file with --store.",
        )
    tables = set(names.split(",")) if names else set()
    if tables - _TABLES or version < 0 or bool(tables) != bool(version):
        raise StoreError(f"{path}: a database of something else.", hint=_OTHER_FILE)
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Sets the journal mode, which stays with the file. SQLite does not wait for the lock that this needs."""
    give_up = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
