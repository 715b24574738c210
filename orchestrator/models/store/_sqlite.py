"""The sample store in one SQLite file."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models._address import Address
from archloom.orchestrator.models.store._database import connect, open_database, store_errors, transaction
from archloom.orchestrator.models.store._protocol import Added, Entry, StoreStats, at
from archloom.orchestrator.models.store._rows import pack, row_sample, unpack
from archloom.orchestrator.models.store._tables import (
    SELECT_FAILURE,
    SELECT_QUESTION,
    SELECT_SAMPLE,
    add_entries,
    find_keys,
    full_row,
    read_entries,
)
from archloom.orchestrator.models.store._writer import Kind, Writer


class SQLiteStore:
    """A store in one SQLite file, in WAL mode; several processes may use it at once.

    Reads happen in the calling thread (microseconds). Writes go through one thread that commits all that waits as
    one transaction; ``put`` returns after the commit, so a sample that a node has seen survives a kill of the process.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens or creates the file; one of an older format is brought to the present one.

        Raises:
            StoreError: it cannot be opened, is no sample store, or was written by a newer version.
        """
        self.path = Path(path)
        self._connection = open_database(self.path)
        self._reader = _Reader(self._connection)
        self._writer = Writer(self.path)

    def get(self, address: Address) -> Sample | None:
        """See :class:`SampleStore`.

        Raises:
            StoreError: the file is damaged or gone.
        """
        row = self._row(SELECT_SAMPLE, address)
        return row_sample(row, address.index) if row else None

    def failure(self, address: Address) -> FailedSample | None:
        """See :class:`SampleStore`."""
        row = self._row(SELECT_FAILURE, address)
        return FailedSample(row[0], row[1], address.index) if row else None

    def question(self, key: str) -> bytes | None:
        """See :class:`SampleStore`."""
        row = self._row(SELECT_QUESTION, (key,))
        return unpack(row[0]) if row else None

    def _row(self, query: str, given: tuple[object, ...]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._reader.execute(query, given).fetchone()
        except (sqlite3.Error, ValueError) as exc:
            raise StoreError(f"{self.path}: cannot be read: {exc}.") from exc
        return row

    async def put(
        self, address: Address, model: str, sample: Sample, *, question: bytes | None = None, replace: bool = False
    ) -> Sample:
        """See :class:`SampleStore`.

        Raises:
            StoreError: the disk is full, the file is locked for half a minute, the text is not Unicode, or similar.
        """
        held = await self._write("replace" if replace else "put", address, model, sample, question)
        return row_sample(held, address.index) if held else at(address, sample)

    async def fail(self, address: Address, model: str, failed: FailedSample, *, question: bytes | None = None) -> None:
        """See :class:`SampleStore`.

        Raises:
            StoreError: as for :meth:`put`.
        """
        await self._write("fail", address, model, failed, question)

    async def _write(
        self, kind: Kind, address: Address, model: str, result: Sample | FailedSample, question: bytes | None
    ) -> tuple[Any, ...] | None:
        try:
            row, packed = full_row(address, model, result), pack(question) if question is not None else None
        except (TypeError, ValueError) as exc:
            raise StoreError(f"{self.path}: what {model} gave cannot be written: {exc}.") from exc
        return await self._writer.write(kind, row, packed)

    def stats(self) -> list[StoreStats]:
        """See :class:`SampleStore`."""
        query = "SELECT model, count(*), sum(tokens_in), sum(tokens_out), sum(latency_s) FROM samples GROUP BY model"
        with store_errors(self.path, "cannot be read"):
            return [StoreStats(*row) for row in sorted(self._connection.execute(query))]

    def keys(self, prefix: str = "", *, limit: int = 10) -> list[str]:
        """The first keys that begin like this, of samples and of failures."""
        with store_errors(self.path, "cannot be read"):
            return find_keys(self._connection, prefix, limit)

    def entries(self, *, model: str | None = None, key: str = "") -> Iterator[Entry]:
        """All that is here, of one moment, in the order of the addresses.

        Args:
            model: Only what this model was asked.
            key: Only keys that begin like this.
        """
        with store_errors(self.path, "cannot be read"), closing(connect(self.path)) as connection:
            connection.execute("BEGIN")
            yield from read_entries(connection, model=model, prefix=key)

    def add(self, entries: Iterable[Entry]) -> Added:
        """Adds what another store held; the first written wins.

        This is the way for very many samples: the caller waits, and one transaction holds them all, so that an error
        leaves the store as it was. It is fastest in the order of the addresses.
        """
        with (
            store_errors(self.path, "cannot be written"),
            closing(connect(self.path)) as connection,
            transaction(connection),
        ):
            return add_entries(connection, entries)

    def close(self) -> None:
        """See :class:`SampleStore`."""
        self._writer.close()
        self._connection.close()


class _Reader(threading.local):
    """A cursor for each thread: making one takes a tenth of a read, and threads cannot share one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.cursor().execute
