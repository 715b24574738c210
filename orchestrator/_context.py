"""The engine's side of ``Context``: one node's view of one run."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from archloom.graphs import Configuration
from archloom.nodes import (
    Budget,
    BudgetReachedError,
    FailedSample,
    Replies,
    Request,
    Sample,
    Sampling,
    Task,
)
from archloom.orchestrator._ledger import ZERO, Ledger, Usage
from archloom.orchestrator._outcome import Note
from archloom.orchestrator.models import Address, Samplers, request_key, stream_number
from archloom.tools import Sandbox, extract_answer, sandbox


@dataclass
class NodeContext:
    """What a node may do, and what it has done so far.

    Attributes:
        ledgers: Accounts of the task's and of the node's own budget.
        start_s: Recorded time at which its inputs were ready.
        elapsed_s: Recorded seconds that its requests have taken, one batch after the other.
        usage: Its deployed cost so far.
        truncated: A budget has kept something from being sent.
        notes: What it has noted.
    """

    node: str
    task: Task
    configuration: Configuration
    samplers: Samplers
    ordinal: int
    replicate: int
    ledgers: tuple[Ledger, ...]
    time_left_s: float
    start_s: float = 0.0
    elapsed_s: float = 0.0
    usage: Usage = ZERO
    truncated: bool = False
    notes: list[Note] = field(default_factory=list)
    _drawn: dict[Address, Sample | FailedSample] = field(default_factory=dict)

    @property
    def rng(self) -> random.Random:
        """See ``Context``: a new generator each time, seeded by task, place of the node in the graph, and replicate."""
        place = self.configuration.order.index(self.node)
        signature = self.configuration.signatures[self.node]
        return random.Random(f"{self.task.id}/{signature}/{place}/{self.replicate}")

    @property
    def sandbox(self) -> Sandbox:
        """See ``Context``."""
        return sandbox()

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        """See ``Context``."""
        return extract_answer(text, self.configuration.answer, complete=complete)

    def note(self, what: str, **fields: object) -> None:
        """See ``Context``."""
        self.notes.append(Note(what, fields))

    async def sample(self, model: str, requests: Sequence[Request], *, sampling: Sampling) -> list[Replies]:
        """See ``Context``."""
        sampler = self.samplers[model]
        stream = stream_number(self.ordinal, self.replicate)
        keys = [request_key(sampler.client.identity, request.messages, sampling) for request in requests]
        wanted = [
            [Address(key, stream, request.start + i) for i in range(request.n)]
            for key, request in zip(keys, requests, strict=True)
        ]
        new = {
            address: request
            for addresses, request in zip(wanted, requests, strict=True)
            for address in addresses
            if address not in self._drawn
        }
        await self._draw(model, new, sampling)
        return [[self._drawn[a] for a in addresses if a in self._drawn] for addresses in wanted]

    async def _draw(self, model: str, new: dict[Address, Request], sampling: Sampling) -> None:
        """Draws what the budgets have room for, all at once, and books it."""
        if not new:
            return
        sampler = self.samplers[model]
        needs = {a: sampler.need(request.messages, sampling) for a, request in new.items()}
        room = min(ledger.room(needs.values()) for ledger in self.ledgers) if self.time_left_s > self.elapsed_s else 0
        if room < len(new):
            self.truncated = True
            self.note("budget", wanted=len(new), sent=room)
        if room == 0:
            raise BudgetReachedError(f"nodes.{self.node}: the budget has no room for another call.")
        sent = list(new)[:room]
        for ledger in self.ledgers:
            for address in sent:
                ledger.reserve(needs[address])
        async with asyncio.TaskGroup() as group:
            flights = {a: group.create_task(self._one(model, a, new[a], sampling, needs[a])) for a in sent}
        results = {address: flight.result() for address, flight in flights.items()}
        self._drawn.update(results)
        latest = max((r.latency_s for r in results.values() if isinstance(r, Sample)), default=0.0)
        self.elapsed_s = min(self.elapsed_s + latest, self.time_left_s)

    async def _one(
        self, model: str, address: Address, request: Request, sampling: Sampling, need: Usage
    ) -> Sample | FailedSample:
        """One draw between its two bookings; a call that is cancelled is booked in full."""
        sampler = self.samplers[model]
        left_s = self.time_left_s - self.elapsed_s
        real = need
        try:
            async with asyncio.timeout(None if left_s == float("inf") else left_s):
                drawn = await sampler.draw(address, request.messages, sampling)
            real = Usage(calls=1) if isinstance(drawn, FailedSample) else sampler.cost(drawn.sample)
        except TimeoutError:
            drawn = FailedSample("budget", "the time budget ended before the reply", address.index)
        finally:
            for ledger in self.ledgers:
                ledger.settle(need, real)
            self.usage = self.usage + real
        if isinstance(drawn, FailedSample):
            self.note("failed_call", model=model, error=drawn.error, message=drawn.message, index=drawn.index)
            return drawn
        if drawn.sample.latency_s > left_s:
            self.truncated = True
            return FailedSample("budget", "the reply came after the time budget", address.index)
        return drawn.sample


def node_ledgers(task: Ledger, own: Budget | None) -> tuple[Ledger, ...]:
    """Accounts that a node's calls are booked on."""
    return (task,) if own is None else (task, Ledger(own))
