"""Races: samples start together, the first that count win, and the rest are stopped there."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from archloom.nodes import Sample
from archloom.orchestrator.models._address import Address
from archloom.orchestrator.models._flight import Flight, Outcome


class Stopped(NamedTuple):
    """Where the store keeps what a stopped sample had used: not at its own address, for it is no sample of that.

    Attributes:
        address: The place.
        question: What the place is the digest of.
    """

    address: Address
    question: bytes

    @classmethod
    def of(cls, address: Address) -> Stopped:
        """The place that belongs to the sample at this address."""
        question = orjson.dumps({"stopped": address.key})
        return cls(Address(hashlib.sha256(question).hexdigest(), address.stream, address.index), question)


@dataclass
class Race:
    """Who has arrived when, by recorded time, and when it is over.

    A race is over at the latency of the ``first``-th sample that counts, as if all had started at once. What would
    come later is stopped at that moment and has used the tokens written by then, in proportion to the time. That
    holds for a sample of which the whole is known as for one that was really stopped, so a replay decides and books
    as the run did.

    Attributes:
        first: How many samples that count end it.
        counts: Whether a sample counts.
        within_s: The longest that the model may take for one.
        arrived: What came, at its address.
        stopped: What those had used that were stopped, and how long they had run.
    """

    first: int
    counts: Callable[[Sample], bool]
    within_s: float = math.inf
    arrived: dict[Address, Outcome] = field(default_factory=dict)
    stopped: dict[Address, Sample] = field(default_factory=dict)
    _counted: dict[Address, bool] = field(default_factory=dict)

    @property
    def over_s(self) -> float:
        """When it ends, as far as is known yet; infinite while too few have come that count."""
        times = sorted(
            each.latency_s
            for address, each in self.arrived.items()
            if isinstance(each, Sample) and each.latency_s <= self.within_s and self._counts(address, each)
        )
        return times[self.first - 1] if len(times) >= self.first else math.inf

    def _counts(self, address: Address, sample: Sample) -> bool:
        if address not in self._counted:
            self._counted[address] = self.counts(sample)
        return self._counted[address]

    def decided(self, address: Address, over_s: float) -> bool:
        """Whether nothing more need be known of this one when the race lasts no longer than that."""
        stopped = self.stopped.get(address)
        return address in self.arrived or (stopped is not None and stopped.latency_s >= over_s)

    def results(self, addresses: Iterable[Address]) -> dict[Address, Outcome]:
        """For each the sample, what went wrong, or a sample that was ``cancelled``; those that are late are missing."""
        over_s, out = self.over_s, dict[Address, Outcome]()
        for address in addresses:
            part, whole = self.stopped.get(address), self.arrived.get(address)
            if part is not None and part.latency_s >= over_s:
                out[address] = _until(part, over_s)
            elif whole is None:
                continue
            elif not isinstance(whole, Sample) or whole.latency_s <= min(over_s, self.within_s):
                out[address] = whole
            elif over_s < math.inf:
                out[address] = _until(whole, over_s)
        return out

    async def watch(self, flights: Mapping[Address, Flight], *, to_the_end: bool) -> dict[Address, float]:
        """Takes what these flights bring and lets those go for which the race is over.

        A flight that was let go is cancelled unless others wait for it too. One that exceeds ``within_s`` goes on,
        for what is paid for is kept.

        Args:
            flights: What is under way.
            to_the_end: Let none of them go because of the race.

        Returns:
            Those for which the race was over, with the seconds that they had run.

        Raises:
            ArchloomError: what one of them raises, as soon as it does.
        """
        pending, let_go, late = dict(flights), dict[Address, float](), set[Address]()
        for flight in flights.values():
            flight.waiting += 1
        try:
            while pending:
                over_s = math.inf if to_the_end else self.over_s
                limit_s = min(over_s, self.within_s)
                for address, landed in (await _next(pending, limit_s)).items():
                    flight = pending.pop(address)
                    if landed:
                        self.arrived[address] = flight.task.result()
                        continue
                    flight.given_up_s = max(flight.given_up_s, limit_s)
                    if over_s <= self.within_s:
                        let_go[address] = limit_s
                    else:
                        late.add(address)
        finally:
            for address, flight in flights.items():
                flight.waiting -= 1
                if flight.waiting == 0 and not flight.task.done() and address not in late:
                    flight.task.cancel()
        return let_go

    def used(self, flight: Flight, ran_s: float, max_tokens: int) -> Sample:
        """What a stopped flight had used: as far as its reply had told, else at the speed of the fastest that came."""
        came = [each for each in self.arrived.values() if isinstance(each, Sample)]
        tokens_in = flight.progress.tokens_in if flight.progress else None
        tokens_out = flight.progress.tokens_out if flight.progress else None
        speed = max((each.tokens_out / each.latency_s for each in came if each.latency_s > 0), default=0.0)
        return Sample(
            text="",
            finish="cancelled",
            tokens_in=max(each.tokens_in for each in came) if tokens_in is None else tokens_in,
            tokens_out=min(max_tokens, math.ceil(speed * ran_s)) if tokens_out is None else tokens_out,
            latency_s=round(ran_s, 6),
            estimated=tokens_in is None or tokens_out is None,
            index=flight.address.index,
        )


async def _next(pending: Mapping[Address, Flight], limit_s: float) -> dict[Address, bool]:
    """The next flights to land, or to be under way for longer than this; true for those that landed."""
    if limit_s == math.inf:
        await asyncio.wait({flight.task for flight in pending.values()}, return_when=asyncio.FIRST_COMPLETED)
        return {address: True for address, flight in pending.items() if flight.task.done()}
    waits = {address: asyncio.ensure_future(flight.late(limit_s)) for address, flight in pending.items()}
    try:
        await asyncio.wait(set(waits.values()), return_when=asyncio.FIRST_COMPLETED)
        return {address: not wait.result() for address, wait in waits.items() if wait.done()}
    finally:
        for wait in waits.values():
            wait.cancel()


def _until(sample: Sample, over_s: float) -> Sample:
    """What there was of a sample at that moment: no text, and its share of the tokens."""
    share = over_s / sample.latency_s if sample.latency_s > over_s else 1.0
    return Sample(
        text="",
        finish="cancelled",
        tokens_in=sample.tokens_in,
        tokens_out=math.ceil(sample.tokens_out * share - 1e-9),
        latency_s=over_s,
        estimated=sample.estimated,
        index=sample.index,
    )
