"""What the sample store reads from its tables and writes to them."""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.models._address import Address
from archloom.orchestrator.models.store._protocol import Added, Entry
from archloom.orchestrator.models.store._rows import SAMPLE_COLUMNS, Row, pack, row_sample, sample_row, unpack

SELECT_SAMPLE = f"SELECT {SAMPLE_COLUMNS} FROM samples WHERE key=? AND stream=? AND idx=?"
SELECT_FAILURE = "SELECT error, message FROM failures WHERE key=? AND stream=? AND idx=?"
SELECT_QUESTION = "SELECT content FROM questions WHERE key=?"
_SAMPLES = f"samples (key, stream, idx, model, created, {SAMPLE_COLUMNS})"
_FAILURES = "failures (key, stream, idx, model, created, error, message)"
_CHUNK = 32
# No text sorts after this character.
_PREFIXED = "key >= ? AND key < ? || char(1114111)"


def full_row(address: Address, model: str, result: Sample | FailedSample) -> Row:
    """The row of a sample or of a failure."""
    values = sample_row(result) if isinstance(result, Sample) else (result.error, result.message)
    return (*address, model, time.time(), *values)


def put_questions(connection: sqlite3.Connection, questions: Iterable[tuple[str, str | bytes]]) -> None:
    """Adds packed questions by key; what is there stays."""
    _insert(connection, "INSERT", "questions (key, content)", list(questions), " ON CONFLICT DO NOTHING")


def put_samples(connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Row | None]:
    """Adds samples where none is; for each, what was there already, or ``None``."""
    inserted = _insert(connection, "INSERT", _SAMPLES, rows, " ON CONFLICT DO NOTHING")
    _forget_failures(connection, rows)
    if inserted == len(rows):
        return [None] * len(rows)
    return [connection.execute(SELECT_SAMPLE, row[:3]).fetchone() for row in rows]


def replace_samples(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Puts samples in the place of those that are there."""
    _insert(connection, "INSERT OR REPLACE", _SAMPLES, rows)
    _forget_failures(connection, rows)


def put_failures(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Remembers failures, except where a sample is."""
    connection.executemany(
        f"INSERT OR REPLACE INTO {_FAILURES} SELECT ?,?,?,?,?,?,? "
        "WHERE NOT EXISTS (SELECT 1 FROM samples WHERE key=? AND stream=? AND idx=?)",
        [(*row, *row[:3]) for row in rows],
    )


def _forget_failures(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    if connection.execute("SELECT 1 FROM failures LIMIT 1").fetchone():
        connection.executemany("DELETE FROM failures WHERE key=? AND stream=? AND idx=?", [row[:3] for row in rows])


def _insert(connection: sqlite3.Connection, verb: str, table: str, rows: Sequence[Row], end: str = "") -> int:
    """Inserts rows and counts those that are new."""
    # Every step of a statement gives up the interpreter lock, and a busy event loop takes 5 ms to hand it back: many
    # rows in one statement are more than ten times as fast there as executemany.
    inserted = 0
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        statement = f"{verb} INTO {table} VALUES {_marks(len(chunk), len(chunk[0]))}{end}"
        inserted += connection.execute(statement, [value for row in chunk for value in row]).rowcount
    return inserted


@cache
def _marks(rows: int, columns: int) -> str:
    return ",".join([f"({','.join('?' * columns)})"] * rows)


def add_entries(connection: sqlite3.Connection, entries: Iterable[Entry]) -> Added:
    """Adds what another store held; the first written wins."""
    new = known = conflicting = 0
    for entry in entries:
        if entry.question is not None:
            put_questions(connection, [(entry.address.key, pack(entry.question))])
        held = _add(connection, entry)
        if held is None:
            new += 1
        elif held == entry.result or (isinstance(held, Sample) and isinstance(entry.result, FailedSample)):
            known += 1
        else:
            conflicting += 1
    return Added(new, known, conflicting)


def _add(connection: sqlite3.Connection, entry: Entry) -> Sample | FailedSample | None:
    """Adds one, unless there is something at its address, which is given back."""
    row = full_row(entry.address, entry.model, entry.result)
    if isinstance(entry.result, Sample):
        [held] = put_samples(connection, [row])
        return row_sample(held, entry.address.index) if held else None
    if held := connection.execute(SELECT_SAMPLE, entry.address).fetchone():
        return row_sample(held, entry.address.index)
    if held := connection.execute(SELECT_FAILURE, entry.address).fetchone():
        return FailedSample(held[0], held[1], entry.address.index)
    put_failures(connection, [row])
    return None


def read_entries(connection: sqlite3.Connection, *, model: str | None = None, prefix: str = "") -> Iterator[Entry]:
    """Samples and failures in the order of their addresses; the first of a key brings its question."""
    where = f"WHERE {_PREFIXED} AND (? IS NULL OR model = ?) ORDER BY key, stream, idx"
    given = (prefix, prefix, model, model)
    samples = connection.execute(f"SELECT key, stream, idx, model, {SAMPLE_COLUMNS} FROM samples {where}", given)
    failures = connection.execute(f"SELECT key, stream, idx, model, error, message FROM failures {where}", given)
    last = None
    for row in heapq.merge(samples, failures, key=lambda row: row[:3]):
        address = Address(*row[:3])
        question = None if address.key == last else read_question(connection, address.key)
        last = address.key
        result = row_sample(row[4:], address.index) if len(row) > 6 else FailedSample(row[4], row[5], address.index)
        yield Entry(address, row[3], result, question)


def read_question(connection: sqlite3.Connection, key: str) -> bytes | None:
    """The request behind a key."""
    row = connection.execute(SELECT_QUESTION, (key,)).fetchone()
    return unpack(row[0]) if row else None


def find_keys(connection: sqlite3.Connection, prefix: str, limit: int) -> list[str]:
    """The first keys that begin like this."""
    each = " UNION ".join(f"SELECT key FROM {table} WHERE {_PREFIXED}" for table in ("samples", "failures"))
    return [key for (key,) in connection.execute(f"{each} ORDER BY key LIMIT ?", (prefix,) * 4 + (limit,))]
