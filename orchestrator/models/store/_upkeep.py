"""Looking after the file of a sample store: making it smaller, and finding out whether it is sound."""

from __future__ import annotations

import hashlib
import math
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, get_args

from archloom.nodes import FinishReason, Sample
from archloom.orchestrator.models.store._database import open_database, store_errors
from archloom.orchestrator.models.store._rows import SAMPLE_COLUMNS, row_sample, unpack

_OLD = "(? IS NULL OR model = ?) AND (? IS NULL OR created < ?)"
_UNASKED = (
    "NOT EXISTS (SELECT 1 FROM samples WHERE samples.key = questions.key) "
    "AND NOT EXISTS (SELECT 1 FROM failures WHERE failures.key = questions.key)"
)


class Pruned(NamedTuple):
    """What was removed from a store, or would be."""

    samples: int
    failures: int
    questions: int
    freed_bytes: int


class Flaw(NamedTuple):
    """Something in a store that cannot be right.

    Attributes:
        where: The table or the address.
        what: What is wrong there.
    """

    where: str
    what: str


def prune_store(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    older_than_s: float | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Removes samples and failures that fit all that is given, and questions that nothing is left of.

    Args:
        path: File of the store.
        model: Only what this model was asked.
        older_than_s: Only what was written longer ago than this.
        dry_run: Only says what would go.

    Raises:
        StoreError: the file is no store, or others keep it locked.
    """
    path = Path(path)
    before = None if older_than_s is None else time.time() - older_than_s
    given = (model, model, before, before)
    with store_errors(path, "cannot be pruned"), closing(open_database(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        samples, failures, questions = (
            connection.execute(f"DELETE FROM {table} WHERE {where}", values).rowcount
            for table, where, values in (
                ("samples", _OLD, given),
                ("failures", _OLD, given),
                ("questions", _UNASKED, ()),
            )
        )
        connection.execute("ROLLBACK" if dry_run else "COMMIT")
        freed = 0 if dry_run else _shrink(connection, path)
    return Pruned(samples, failures, questions, freed)


def _shrink(connection: sqlite3.Connection, path: Path) -> int:
    """Gives unused pages back to the file system; the bytes that this frees."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return size - path.stat().st_size


def verify_store(path: str | os.PathLike[str]) -> Iterator[Flaw]:
    """Everything in a store that cannot be right; nothing when it is sound.

    Raises:
        StoreError: the file is no store.
    """
    path = Path(path)
    with closing(open_database(path)) as connection:
        for where, check in _CHECKS:
            try:
                yield from check(connection)
            except sqlite3.DatabaseError as exc:
                yield Flaw(where, f"cannot be read: {exc}")


def _integrity(connection: sqlite3.Connection) -> Iterator[Flaw]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield Flaw("file", line)


def _questions(connection: sqlite3.Connection) -> Iterator[Flaw]:
    for key, content in connection.execute("SELECT key, content FROM questions ORDER BY key"):
        try:
            digest = hashlib.sha256(unpack(content)).hexdigest()
        except (TypeError, zlib.error) as exc:
            yield Flaw(key, f"its question cannot be read: {exc}")
            continue
        if digest != key:
            yield Flaw(key, "its question has another digest")


def _orphans(connection: sqlite3.Connection) -> Iterator[Flaw]:
    for (key,) in connection.execute(f"SELECT key FROM questions WHERE {_UNASKED} ORDER BY key"):
        yield Flaw(key, "a question without samples")


def _hidden_failures(connection: sqlite3.Connection) -> Iterator[Flaw]:
    query = "SELECT key, stream, idx FROM failures JOIN samples USING (key, stream, idx) ORDER BY key, stream, idx"
    for address in connection.execute(query):
        yield Flaw(_place(address), "a failure where a sample is")


def _samples(connection: sqlite3.Connection) -> Iterator[Flaw]:
    for row in connection.execute(f"SELECT key, stream, idx, {SAMPLE_COLUMNS} FROM samples ORDER BY key, stream, idx"):
        try:
            wrong = _impossible(row_sample(row[3:], row[2]))
        except (TypeError, ValueError) as exc:
            wrong = [f"cannot be read: {exc}"]
        if row[1] < 0 or row[2] < 0:
            wrong.append("a negative place")
        yield from (Flaw(_place(row), what) for what in wrong)


def _place(row: tuple[object, ...]) -> str:
    return "/".join(map(str, row[:3]))


def _impossible(sample: Sample) -> list[str]:
    """What no model can have given."""
    wrong = [] if sample.finish in get_args(FinishReason) else [f"finish is {sample.finish!r}"]
    for name in ("tokens_in", "tokens_out"):
        count = getattr(sample, name)
        if not isinstance(count, int) or count < 0:
            wrong.append(f"{name} is {count!r}")
    if not 0 <= sample.latency_s < math.inf:
        wrong.append(f"latency_s is {sample.latency_s!r}")
    return wrong


_CHECKS = (
    ("file", _integrity),
    ("questions", _questions),
    ("questions", _orphans),
    ("failures", _hidden_failures),
    ("samples", _samples),
)
