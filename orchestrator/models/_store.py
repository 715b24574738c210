"""The sample store: every finished sample, by address, so that nothing is paid for twice."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from archloom.nodes import Sample
from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models._address import Address

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS samples (
    key TEXT NOT NULL, stream INTEGER NOT NULL, idx INTEGER NOT NULL,
    model TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, latency_s REAL NOT NULL, logprob REAL,
    created REAL NOT NULL,
    PRIMARY KEY (key, stream, idx)
) WITHOUT ROWID;
"""
_SELECT = (
    "SELECT text, finish, tokens_in, tokens_out, latency_s, logprob FROM samples WHERE key=? AND stream=? AND idx=?"
)
_INSERT = "INSERT OR IGNORE INTO samples VALUES (?,?,?,?,?,?,?,?,?,?,?)"


class StoreStats(NamedTuple):
    """What a store holds of one model."""

    model: str
    samples: int
    tokens_in: int
    tokens_out: int
    latency_s: float


class SampleStore(Protocol):
    """Where finished samples are kept. A sample counts as finished when :meth:`put` has returned."""

    def get(self, address: Address) -> Sample | None:
        """The sample at this address, or ``None``."""

    async def put(self, address: Address, model: str, sample: Sample) -> Sample:
        """Keeps a sample for good and gives back what the address holds: the first one written wins."""

    def stats(self) -> list[StoreStats]:
        """Totals by model."""

    def close(self) -> None:
        """Writes what is waiting and frees the store."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._samples: dict[Address, tuple[str, Sample]] = {}

    def get(self, address: Address) -> Sample | None:
        """See :class:`SampleStore`."""
        found = self._samples.get(address)
        return found[1] if found else None

    async def put(self, address: Address, model: str, sample: Sample) -> Sample:
        """See :class:`SampleStore`."""
        return self._samples.setdefault(address, (model, sample))[1]

    def stats(self) -> list[StoreStats]:
        """See :class:`SampleStore`."""
        return _totals(
            (model, 1, sample.tokens_in, sample.tokens_out, sample.latency_s)
            for model, sample in self._samples.values()
        )

    def close(self) -> None:
        """See :class:`SampleStore`."""


class SQLiteStore:
    """A store in one SQLite file, in WAL mode; several processes may use it at once.

    Reads happen in the calling thread (tens of microseconds). Writes go through one thread that commits all
    that waits as one transaction; ``put`` returns after the commit, so a sample that a node has seen survives
    a kill of the process.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens or creates the file.

        Raises:
            StoreError: it cannot be opened, is no sample store, or was written by a newer version.
        """
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = self._connect()
            version = self._reader.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                raise StoreError(
                    f"{self.path}: sample store of format {version}; this archloom reads {SCHEMA_VERSION}."
                )
            with self._reader:
                self._reader.executescript(_SCHEMA)
                self._reader.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(
                f"{self.path}: cannot be used as sample store: {exc}.", hint="Name another file with --store."
            ) from exc
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="sample-store", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; a power cut may
        return connection

    def get(self, address: Address) -> Sample | None:
        """See :class:`SampleStore`."""
        row = self._reader.execute(_SELECT, address).fetchone()
        return Sample(row[0], row[1], row[2], row[3], row[4], address.index, row[5]) if row else None

    async def put(self, address: Address, model: str, sample: Sample) -> Sample:
        """See :class:`SampleStore`.

        Raises:
            StoreError: the disk is full, the file is locked for half a minute, or similar.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        row = (
            *address, model, sample.text, sample.finish, sample.tokens_in, sample.tokens_out, sample.latency_s,
            sample.logprob, time.time(),
        )
        self._queue.put(_Write(row, loop, done))
        await done
        return self.get(address) or sample

    def stats(self) -> list[StoreStats]:
        """See :class:`SampleStore`."""
        return _totals(
            self._reader.execute(
                "SELECT model, count(*), sum(tokens_in), sum(tokens_out), sum(latency_s) FROM samples GROUP BY model"
            )
        )

    def close(self) -> None:
        """See :class:`SampleStore`."""
        self._queue.put(None)
        self._thread.join()
        self._reader.close()

    def _write_all(self) -> None:
        connection = self._connect()
        try:
            while True:
                batch = self._next_batch()
                writes = [write for write in batch if write is not None]
                error = _commit(connection, writes)
                for write in writes:
                    write.finish(error)
                if len(writes) < len(batch):
                    return
        finally:
            connection.close()

    def _next_batch(self) -> list[_Write | None]:
        batch = [self._queue.get()]
        while batch[-1] is not None and len(batch) < 1000:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch


class _Write(NamedTuple):
    """A row on its way to the disk, and who waits for it."""

    row: tuple[object, ...]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

    def finish(self, error: StoreError | None) -> None:
        def tell() -> None:
            if not self.done.done():
                self.done.set_exception(error) if error else self.done.set_result(None)

        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(tell)


def _commit(connection: sqlite3.Connection, writes: list[_Write]) -> StoreError | None:
    try:
        with connection:
            connection.executemany(_INSERT, [write.row for write in writes])
    except sqlite3.Error as exc:
        return StoreError(f"the sample store cannot be written: {exc}.")
    return None


def _totals(rows: Iterable[tuple[str, int, int, int, float]]) -> list[StoreStats]:
    totals: dict[str, StoreStats] = {}
    for row in map(StoreStats._make, rows):
        old = totals.get(row.model, StoreStats(row.model, 0, 0, 0, 0.0))
        totals[row.model] = StoreStats(
            row.model,
            old.samples + row.samples,
            old.tokens_in + row.tokens_in,
            old.tokens_out + row.tokens_out,
            old.latency_s + row.latency_s,
        )
    return [totals[model] for model in sorted(totals)]
