"""The sample store: every finished sample, by address, so that nothing is paid for twice."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from archloom.nodes import Sample
from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models._address import Address

SCHEMA_VERSION = 1
_BUSY_S = 30.0
_OTHER_FILE = "Name another file with --store."
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS samples (
    key TEXT NOT NULL, stream INTEGER NOT NULL, idx INTEGER NOT NULL,
    model TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, latency_s REAL NOT NULL, logprob REAL,
    created REAL NOT NULL,
    PRIMARY KEY (key, stream, idx)
) WITHOUT ROWID;
PRAGMA user_version={SCHEMA_VERSION};
COMMIT;
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
        with self._errors("cannot be used as sample store"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._reader.close()
                raise
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="sample-store", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        """Makes the file a sample store if it is new; another file is left as it is."""
        version = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: sample store of format {version}; this archloom reads {SCHEMA_VERSION}.",
                hint="Upgrade archloom, or name another file with --store.",
            )
        tables = {name for (name,) in self._reader.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if tables - {"samples"} or version < 0:
            raise StoreError(f"{self.path}: a database of something else.", hint=_OTHER_FILE)
        if version == 0:
            _use_wal(self._reader)
            self._reader.executescript(_SCHEMA)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(f"{self.path}: {what}: {exc}.", hint=_OTHER_FILE) from exc

    def get(self, address: Address) -> Sample | None:
        """See :class:`SampleStore`.

        Raises:
            StoreError: the file is damaged or gone.
        """
        with self._errors("cannot be read"):
            row = self._reader.execute(_SELECT, address).fetchone()
        return Sample(row[0], row[1], row[2], row[3], row[4], address.index, row[5]) if row else None

    async def put(self, address: Address, model: str, sample: Sample) -> Sample:
        """See :class:`SampleStore`.

        Raises:
            StoreError: the disk is full, the file is locked for half a minute, the text is not Unicode, or similar.
        """
        if not self._thread.is_alive():
            raise StoreError(f"{self.path}: the sample store is closed.")
        try:
            sample.text.encode()
        except UnicodeEncodeError as exc:
            raise StoreError(f"{self.path}: a sample of {model} cannot be written: {exc}.") from exc
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        row = (
            *address,
            model,
            sample.text,
            sample.finish,
            sample.tokens_in,
            sample.tokens_out,
            sample.latency_s,
            sample.logprob,
            time.time(),
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
        connection = sqlite3.connect(self.path, timeout=_BUSY_S)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; a power cut may
            while True:
                batch = self._next_batch()
                writes = [write for write in batch if write is not None]
                error = self._commit(connection, [write.row for write in writes])
                for write in writes:
                    write.finish(error)
                if len(writes) < len(batch):
                    return
        finally:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> StoreError | None:
        try:
            with self._errors("cannot be written"), connection:
                connection.executemany(_INSERT, rows)
        except StoreError as exc:
            return exc
        return None

    def _next_batch(self) -> list[_Write | None]:
        batch = [self._queue.get()]
        while batch[-1] is not None and len(batch) < 1000:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch


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


class _Write(NamedTuple):
    """A row on its way to the disk, and who waits for it."""

    row: tuple[object, ...]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

    def finish(self, error: StoreError | None) -> None:
        def tell() -> None:
            if not self.done.done():
                self.done.set_exception(error) if error else self.done.set_result(None)

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(tell)


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
