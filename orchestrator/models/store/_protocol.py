"""The sample store: every finished sample, by address, so that nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as changed
from typing import NamedTuple, Protocol

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.models._address import Address


class StoreStats(NamedTuple):
    """What a store holds of one model."""

    model: str
    samples: int
    tokens_in: int
    tokens_out: int
    latency_s: float


class Entry(NamedTuple):
    """What a store holds at one address, as it goes from one store to another.

    Attributes:
        address: Its place.
        model: Identity of the model that was asked.
        result: What it gave.
        question: The request as canonical JSON, where it is known; once for each key is enough.
    """

    address: Address
    model: str
    result: Sample | FailedSample
    question: bytes | None = None


class Added(NamedTuple):
    """What became of entries that were added to a store.

    Attributes:
        new: The store had nothing there.
        known: The store had the very same there, or a sample where the entry is a failure.
        conflicting: The store had something else there, and keeps it.
    """

    new: int
    known: int
    conflicting: int


class SampleStore(Protocol):
    """Where finished samples are kept. A sample counts as finished when :meth:`put` has returned.

    What comes back carries the index of its address. ``archloom.testing.StoreConformance`` tests what is asked of
    an implementation.
    """

    def get(self, address: Address) -> Sample | None:
        """The sample at this address, or ``None``."""

    def failure(self, address: Address) -> FailedSample | None:
        """The last final failure recorded at this address; ``None`` once a sample is there."""

    def question(self, key: str) -> bytes | None:
        """The request behind a key as canonical JSON; ``None`` when nobody gave it."""

    async def put(
        self, address: Address, model: str, sample: Sample, *, question: bytes | None = None, replace: bool = False
    ) -> Sample:
        """Keeps a sample for good and gives back what the address holds.

        Args:
            address: Its place.
            model: Identity of the model that was asked.
            sample: What it gave.
            question: The request as canonical JSON, whose digest is the key of the address; first written wins.
            replace: This sample takes the place of one that is there; otherwise the first one written wins.
        """

    async def fail(self, address: Address, model: str, failed: FailedSample, *, question: bytes | None = None) -> None:
        """Remembers a final failure, so that a run with failed calls can be replayed exactly.

        It never overwrites or hides a sample, and a later :meth:`put` removes it.
        """

    def stats(self) -> list[StoreStats]:
        """Totals of the samples by model, in the order of their names."""

    def close(self) -> None:
        """Writes what is waiting and frees the store."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._samples: dict[Address, tuple[str, Sample]] = {}
        self._failures: dict[Address, FailedSample] = {}
        self._questions: dict[str, bytes] = {}

    def get(self, address: Address) -> Sample | None:
        """See :class:`SampleStore`."""
        found = self._samples.get(address)
        return found[1] if found else None

    def failure(self, address: Address) -> FailedSample | None:
        """See :class:`SampleStore`."""
        return self._failures.get(address)

    def question(self, key: str) -> bytes | None:
        """See :class:`SampleStore`."""
        return self._questions.get(key)

    async def put(
        self, address: Address, model: str, sample: Sample, *, question: bytes | None = None, replace: bool = False
    ) -> Sample:
        """See :class:`SampleStore`."""
        if replace or address not in self._samples:
            self._samples[address] = (model, at(address, sample))
            self._failures.pop(address, None)
        self._ask(address, question)
        return self._samples[address][1]

    async def fail(self, address: Address, model: str, failed: FailedSample, *, question: bytes | None = None) -> None:
        """See :class:`SampleStore`."""
        if address not in self._samples:
            self._failures[address] = changed(failed, index=address.index)
        self._ask(address, question)

    def _ask(self, address: Address, question: bytes | None) -> None:
        if question is not None:
            self._questions.setdefault(address.key, question)

    def stats(self) -> list[StoreStats]:
        """See :class:`SampleStore`."""
        return _totals(
            (model, 1, sample.tokens_in, sample.tokens_out, sample.latency_s)
            for model, sample in self._samples.values()
        )

    def close(self) -> None:
        """See :class:`SampleStore`."""


def at(address: Address, sample: Sample) -> Sample:
    """The sample with the index of its address."""
    return sample if sample.index == address.index else changed(sample, index=address.index)


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
