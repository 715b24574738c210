"""The sampler: from an address to a sample, through the store, shared requests, limits and retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from archloom.graphs import ModelBase, Price
from archloom.nodes import FailedSample, Messages, Sample, Sampling
from archloom.orchestrator._ledger import Ledger, Usage
from archloom.orchestrator.errors import RETRYABLE, ModelCallError, SearchBudgetError
from archloom.orchestrator.models._address import Address
from archloom.orchestrator.models._client import Client, Completion
from archloom.orchestrator.models._store import SampleStore
from archloom.tools.errors import ArchloomError

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


class Drawn(NamedTuple):
    """A sample and whether this process paid for it."""

    sample: Sample
    fresh: bool


@dataclass
class _Flight:
    """A request under way that several may wait for."""

    task: asyncio.Task[Drawn | FailedSample | ArchloomError]
    waiting: int = 0


class Sampler:
    """One model as the whole process sees it: its client, limit, retries, and the charged account.

    Use as an async context manager; entering starts the client on first use only, so a run that finds all its
    samples in the store starts no engine at all.
    """

    def __init__(
        self,
        spec: ModelBase,
        client: Client,
        store: SampleStore,
        *,
        charged: Ledger,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.spec, self.client = spec, client
        self._store, self._charged, self._sleep = store, charged, sleep
        self._limit = asyncio.Semaphore(spec.max_concurrency)
        self._flights: dict[Address, _Flight] = {}
        self._starting = asyncio.Lock()
        self._started = False

    @property
    def price(self) -> Price | None:
        """Price of its tokens."""
        return self.spec.price

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        flights = [flight.task for flight in self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        if self._started:
            await self.client.__aexit__(kind, exc, trace)

    def need(self, messages: Messages, sampling: Sampling) -> Usage:
        """The most that one call can cost."""
        return Usage.of_call(self.price, self.client.prompt_tokens_bound(messages), sampling.max_tokens)

    def cost(self, sample: Sample) -> Usage:
        """What this sample costs when it is drawn."""
        return Usage.of_call(self.price, sample.tokens_in, sample.tokens_out)

    async def draw(self, address: Address, messages: Messages, sampling: Sampling) -> Drawn | FailedSample:
        """The sample at this address: from the store, from a request already under way, or from the model.

        Raises:
            SearchBudgetError: the charged budget has no room for the call.
            ModelUnavailableError: the model cannot be used at all.
            StoreError: the sample cannot be kept.
        """
        if (stored := self._store.get(address)) is not None:
            return Drawn(stored, fresh=False)
        flight = self._flights.get(address)
        if flight is None:
            # Not in a TaskGroup: a flight belongs to all who wait for it and may outlive the one that started it.
            flight = _Flight(asyncio.create_task(self._fly(address, messages, sampling)))
            self._flights[address] = flight
        first = flight.waiting == 0
        flight.waiting += 1
        try:
            result = await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                flight.task.cancel()
                self._flights.pop(address, None)
        if isinstance(result, ArchloomError):
            raise result
        return result if first or isinstance(result, FailedSample) else result._replace(fresh=False)

    async def _fly(
        self, address: Address, messages: Messages, sampling: Sampling
    ) -> Drawn | FailedSample | ArchloomError:
        """One flight. Errors are returned, because everybody who shares the flight raises its own."""
        need = self.need(messages, sampling)
        try:
            async with self._limit:
                if not self._charged.room([need]):
                    return SearchBudgetError("the search budget has no room for another call.")
                completion = await self._charge(need, address, messages, sampling)
            sample = Sample(
                completion.text, completion.finish, completion.tokens_in, completion.tokens_out,
                round(completion.latency_s, 6), address.index, completion.logprob,
            )
            return Drawn(await self._store.put(address, self.client.identity, sample), fresh=True)
        except ModelCallError as exc:
            return FailedSample(exc.failure, exc.message, address.index)
        except ArchloomError as exc:
            return exc
        finally:
            self._flights.pop(address, None)

    async def _charge(self, need: Usage, address: Address, messages: Messages, sampling: Sampling) -> Completion:
        """The call between its two bookings. One that is cancelled half-way is charged in full: nobody can
        tell what the server had already done. One that failed counts as a call without tokens."""
        self._charged.reserve(need)
        real = need
        try:
            completion = await self._call(address, messages, sampling)
            real = Usage.of_call(self.price, completion.tokens_in, completion.tokens_out)
        except ArchloomError:
            real = Usage(calls=1)
            raise
        finally:
            self._charged.settle(need, real)
        return completion

    async def _call(self, address: Address, messages: Messages, sampling: Sampling) -> Completion:
        await self._start()
        by_index = getattr(self.client, "seeds_by_index", False)
        seed = address.index if by_index else address.seed
        for attempt in range(self.spec.retries + 1):
            try:
                return await self.client.complete(messages, sampling, seed=seed)
            except ModelCallError as exc:
                if exc.failure not in RETRYABLE or attempt == self.spec.retries:
                    raise
                await self._sleep(wait_s(attempt, exc.retry_after_s))
        raise AssertionError("unreachable: the loop returns or raises")

    async def _start(self) -> None:
        async with self._starting:
            if not self._started:
                await self.client.__aenter__()
                self._started = True


def wait_s(attempt: int, retry_after_s: float | None) -> float:
    """Seconds to wait before the next try: what the server asked for, else exponential with full jitter."""
    if retry_after_s is not None:
        return min(retry_after_s, _LONGEST_WAIT_S)
    return random.uniform(0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt))


Samplers = Mapping[str, Sampler]
"""Samplers by the name of the model in a document."""
