"""The thread of a sample store that writes."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models.store._database import connect, store_errors, transaction
from archloom.orchestrator.models.store._rows import Row
from archloom.orchestrator.models.store._tables import put_failures, put_questions, put_samples, replace_samples

_BATCH = 1024
_GATHER_S = 0.002

Kind: TypeAlias = Literal["put", "replace", "fail"]


class Write(NamedTuple):
    """A row on its way to the disk, and who waits for it."""

    kind: Kind
    row: Row
    question: str | bytes | None
    done: asyncio.Future[Row | None]


class Writer:
    """Commits all that waits as one transaction, in a thread of its own.

    Writes are handed to the thread at most once in ``_GATHER_S``: waking it for each of them would cost more than the
    write. Who comes after a pause waits for nobody.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path)
        self._queue: queue.SimpleQueue[list[Write] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[Write]] = {}
        self._handed_over = -_GATHER_S
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sample-store", daemon=True)
        self._thread.start()

    async def write(self, kind: Kind, row: Row, question: str | bytes | None) -> Row | None:
        """Returns after the commit, with the sample that is there where that is an earlier one.

        Raises:
            StoreError: it could not be written, or the store is closed.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Row | None] = loop.create_future()
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._path}: the sample store is closed.")
            if loop not in self._gathered:
                self._gathered[loop] = []
                loop.call_later(self._handed_over + _GATHER_S - time.monotonic(), self._hand_over, loop)
            self._gathered[loop].append(Write(kind, row, question, done))
        return await done

    def close(self) -> None:
        """Waits until everything is written."""
        for loop in list(self._gathered):
            self._hand_over(loop)
        with self._lock:
            if not self._closed:
                self._queue.put(None)
            self._closed = True
        self._thread.join()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives the thread what this loop has gathered; nothing when that was done on closing."""
        with self._lock:
            if gathered := self._gathered.pop(loop, None):
                self._handed_over = time.monotonic()
                self._queue.put(gathered)

    def _run(self) -> None:
        writes, more = list[Write](), True
        try:
            while more:
                writes, more = self._next_batch()
                _tell(writes, self._commit(self._connection, writes))
        finally:
            self._connection.close()
            self._give_up(writes)

    def _give_up(self, writes: list[Write]) -> None:
        """Nobody waits for ever for a thread that ended; a write that was told its end hears no second one."""
        with self._lock:
            self._closed = True
        while not self._queue.empty():
            writes.extend(self._queue.get() or ())
        for gathered in self._gathered.values():
            writes.extend(gathered)
        self._gathered.clear()
        _tell(writes, [StoreError(f"{self._path}: the sample store is closed.")] * len(writes))

    def _next_batch(self) -> tuple[list[Write], bool]:
        """What waits, and whether more may come."""
        batch: list[Write] = []
        item = self._queue.get()
        while item is not None:
            batch.extend(item)
            if len(batch) >= _BATCH or self._queue.empty():
                return batch, True
            item = self._queue.get()  # this thread is the only one that takes
        return batch, False

    def _commit(self, connection: sqlite3.Connection, writes: list[Write]) -> list[Row | StoreError | None]:
        """Writes all of them, and says for each what was there already, or why it failed."""
        try:
            with store_errors(self._path, "cannot be written"), transaction(connection):
                return list(_write(connection, writes))
        except StoreError as exc:
            if len(writes) == 1 or isinstance(exc.__cause__, sqlite3.OperationalError):
                return [exc] * len(writes)
        # One of them cannot be written at all, which must not hurt the others.
        return [outcome for write in writes for outcome in self._commit(connection, [write])]


def _write(connection: sqlite3.Connection, writes: list[Write]) -> Iterator[Row | None]:
    questions = {str(write.row[0]): write.question for write in writes if write.question is not None}
    put_questions(connection, questions.items())
    for kind, group in groupby(writes, key=lambda write: write.kind):
        rows = [write.row for write in group]
        if kind == "put":
            yield from put_samples(connection, rows)
            continue
        (replace_samples if kind == "replace" else put_failures)(connection, rows)
        yield from [None] * len(rows)


def _tell(writes: list[Write], outcomes: list[Row | StoreError | None]) -> None:
    """Wakes who waits: one call for each event loop, because such a call costs more than a write."""
    by_loop = defaultdict(list)
    for write, outcome in zip(writes, outcomes, strict=True):
        by_loop[write.done.get_loop()].append((write.done, outcome))
    for loop, ended in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, ended)


def _settle(ended: list[tuple[asyncio.Future[Row | None], Row | StoreError | None]]) -> None:
    for done, outcome in ended:
        if done.done():  # cancelled
            continue
        if isinstance(outcome, StoreError):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
