"""The sampler: from an address to a sample, through the store, shared requests, limits and retries."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

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
_TICK_S = 1e-6


class Drawn(NamedTuple):
    """A sample and whether this process paid for it."""

    sample: Sample
    fresh: bool


@dataclass(eq=False)
class _Flight:
    """A request under way that several may wait for.

    Attributes:
        sent: When it left, in seconds of the event loop's clock; waiting for a slot is not the model's time.
        answered: Done when the reply is here; keeping it is not the model's time either.
        waiting: How many wait for it.
        given_up_s: The longest that somebody waited in vain.
    """

    address: Address
    sent: asyncio.Future[float]
    answered: asyncio.Future[None]
    task: asyncio.Task[Drawn | FailedSample | ArchloomError] = field(init=False)
    waiting: int = 0
    given_up_s: float = -math.inf

    async def wait(self, within_s: float) -> bool:
        """True when it has landed, false when it has been under way for longer than this."""
        if within_s < math.inf:
            await self._first(self.sent)
            if self.sent.done():
                left_s = self.sent.result() + within_s - asyncio.get_running_loop().time()
                await self._first(self.answered, max(left_s, 0.0))
                if not (self.answered.done() or self.task.done()):
                    return False
        await asyncio.wait({self.task})
        return True

    async def _first(self, mark: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Waits for this, for the end of the flight, or as long as that."""
        either: list[asyncio.Future[Any]] = [mark, self.task]
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


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
        self._tasks: set[asyncio.Task[Drawn | FailedSample | ArchloomError]] = set()
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._started:
            await self.client.__aexit__(kind, exc, trace)

    def need(self, messages: Messages, sampling: Sampling) -> Usage:
        """The most that one call can cost."""
        return Usage.of_call(self.price, self.client.prompt_tokens_bound(messages), sampling.max_tokens)

    def cost(self, sample: Sample) -> Usage:
        """What this sample costs when it is drawn."""
        return Usage.of_call(self.price, sample.tokens_in, sample.tokens_out)

    async def draw(
        self, address: Address, messages: Messages, sampling: Sampling, *, within_s: float = math.inf
    ) -> Drawn | FailedSample | None:
        """The sample at this address: from the store, from a request already under way, or from the model.

        Recorded time decides whether it is late, so the answer is the same when it comes from the store. A
        request that took too long goes on without the caller: what is paid for is kept.

        Args:
            address: Where it belongs.
            messages: The conversation.
            sampling: The parameters.
            within_s: The longest that the model may take for it.

        Returns:
            The sample, what went wrong, or ``None`` when it is late.

        Raises:
            SearchBudgetError: the charged budget has no room for the call.
            ModelUnavailableError: the model cannot be used at all.
            StoreError: the sample cannot be kept.
        """
        if (stored := self._store.get(address)) is not None:
            return _in_time(Drawn(stored, fresh=False), within_s)
        flight = self._flights.get(address)
        fresh = flight is None
        if flight is None:
            flight = self._take_off(address, messages, sampling)
        result = await self._wait(flight, within_s)
        if isinstance(result, ArchloomError):
            raise result
        if isinstance(result, Drawn):
            return _in_time(result._replace(fresh=fresh), within_s)
        return result

    def _take_off(self, address: Address, messages: Messages, sampling: Sampling) -> _Flight:
        loop = asyncio.get_running_loop()
        flight = _Flight(address, loop.create_future(), loop.create_future())
        # Not in a TaskGroup: a flight belongs to all who wait for it and may outlive the one that started it.
        flight.task = asyncio.create_task(self._fly(flight, messages, sampling))
        self._flights[address] = flight
        self._tasks.add(flight.task)

        flight.task.add_done_callback(self._tasks.discard)
        flight.task.add_done_callback(lambda task: self._close(flight))
        return flight

    def _close(self, flight: _Flight) -> None:
        """Nobody can join this flight any more; there may already be a new one to the same address."""
        if self._flights.get(flight.address) is flight:
            del self._flights[flight.address]

    async def _wait(self, flight: _Flight, within_s: float) -> Drawn | FailedSample | ArchloomError | None:
        flight.waiting += 1
        try:
            landed = await flight.wait(within_s)
        except asyncio.CancelledError:
            if flight.waiting == 1:
                flight.task.cancel()
                self._close(flight)
            raise
        finally:
            flight.waiting -= 1
        if landed:
            return flight.task.result()
        flight.given_up_s = max(flight.given_up_s, within_s)
        return None

    async def _fly(
        self, flight: _Flight, messages: Messages, sampling: Sampling
    ) -> Drawn | FailedSample | ArchloomError:
        """One flight. Errors are returned, because everybody who shares the flight raises its own."""
        address = flight.address
        try:
            async with self._limit:
                await self._start()
                completion = await self._call(flight, messages, sampling)
            flight.answered.set_result(None)
            # To those who gave up it was late, and so it must be in every replay.
            latency_s = max(completion.latency_s, flight.given_up_s + _TICK_S)
            sample = Sample(
                completion.text, completion.finish, completion.tokens_in, completion.tokens_out,
                round(latency_s, 6), address.index, completion.logprob,
            )  # fmt: skip
            return Drawn(await self._store.put(address, self.client.identity, sample), fresh=True)
        except ModelCallError as exc:
            return FailedSample(exc.failure, exc.message, address.index)
        except ArchloomError as exc:
            return exc

    async def _call(self, flight: _Flight, messages: Messages, sampling: Sampling) -> Completion:
        """Tries until it works or makes no sense any more. Each try is a call, and is charged as one."""
        by_index = getattr(self.client, "seeds_by_index", False)
        seed = flight.address.index if by_index else flight.address.seed
        need = self.need(messages, sampling)
        for attempt in range(self.spec.retries + 1):
            if not await self._charged.admit(need):
                raise SearchBudgetError("the search budget has no room for another call.")
            if not attempt:
                flight.sent.set_result(asyncio.get_running_loop().time())
            try:
                return await self._charge(need, self.client.complete(messages, sampling, seed=seed))
            except ModelCallError as exc:
                if exc.failure not in RETRYABLE or attempt == self.spec.retries:
                    raise
                await self._sleep(wait_s(attempt, exc.retry_after_s))
        raise AssertionError("unreachable: the loop returns or raises")

    async def _charge(self, need: Usage, call: Awaitable[Completion]) -> Completion:
        """A call that was reserved, and its settlement. One that was cancelled or timed out is charged in full:
        nobody can tell what the server had already done. One that it refused counts without tokens."""
        real = need
        try:
            completion = await call
            real = Usage.of_call(self.price, completion.tokens_in, completion.tokens_out)
        except ArchloomError as exc:
            if not (isinstance(exc, ModelCallError) and exc.failure == "timeout"):
                real = Usage(calls=1)
            raise
        finally:
            self._charged.settle(need, real)
        return completion

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


def _in_time(drawn: Drawn, within_s: float) -> Drawn | None:
    return drawn if drawn.sample.latency_s <= within_s else None


Samplers = Mapping[str, Sampler]
"""Samplers by the name of the model in a document."""
