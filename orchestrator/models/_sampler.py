"""The sampler: from a question to its samples, through the store, shared requests, limits and retries."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import orjson

from archloom.graphs import ModelBase
from archloom.nodes import Completion, FailedSample, Messages, Sample, Sampling
from archloom.orchestrator._ledger import ZERO, Ledger, Usage
from archloom.orchestrator.errors import (
    RETRYABLE,
    ModelCallError,
    ModelUnavailableError,
    ReplayMissError,
    SearchBudgetError,
)
from archloom.orchestrator.models._address import Address, Question
from archloom.orchestrator.models._client import Client, Progress, WatchedClient
from archloom.orchestrator.models._costs import CostModel
from archloom.orchestrator.models._flight import Flight, Outcome, land
from archloom.orchestrator.models._limits import Limiter
from archloom.orchestrator.models._race import Race, Stopped
from archloom.orchestrator.models.store._protocol import SampleStore
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.orchestrator.models.vllm import ServerLoad, Watch

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_TICK_S = 1e-6
_UNTOLD = frozenset({"timeout", "stall", "connection", "malformed"})
"""Failures after which nobody can tell what the server had done, unless it said so."""

StoreUse: TypeAlias = Literal["reuse", "replay", "record"]
"""``reuse`` draws what the store lacks; ``replay`` draws nothing and refuses what it lacks; ``record`` draws everything
once more and keeps the new samples in place of the old ones."""


@dataclass(frozen=True)
class Surroundings:
    """What the samplers of a process share.

    Attributes:
        store: Where samples are kept.
        charged: The account of all that is really paid.
        use: How the store is used.
        sleep: Waits between tries.
    """

    store: SampleStore
    charged: Ledger
    use: StoreUse = "reuse"
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)


class Sampler:
    """One model entry as the whole process sees it: its client, limits, retries and stand-ins.

    Use as an async context manager; entering starts the client on first use only, so a run that finds all its
    samples in the store starts no engine at all.
    """

    def __init__(
        self,
        spec: ModelBase,
        client: Client,
        around: Surroundings,
        *,
        limiter: Limiter | None = None,
        fallbacks: Sequence[Sampler] = (),
    ) -> None:
        self.spec, self.client, self.fallbacks = spec, client, tuple(fallbacks)
        self.costs = CostModel(spec)
        self._around = around
        self._limiter = limiter or Limiter(spec)
        self._flights: dict[Address, Flight] = {}
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._recorded: set[Address] = set()
        self._failed: set[Address] = set()
        self._starting = asyncio.Lock()
        self._started = False
        self._watch: Watch | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._watch is not None:
            await self._watch.__aexit__(kind, exc, trace)
        if self._started:
            await self.client.__aexit__(kind, exc, trace)

    async def load(self) -> ServerLoad | None:
        """What its server did since this process has used it; ``None`` where it does not tell, or was not needed."""
        if self._watch is None:
            return None
        await self._watch.look()
        return self._watch.load

    def question(self, messages: Messages, sampling: Sampling) -> Question:
        """The question as this model is asked it.

        Raises:
            UsageError: it offers tools, which this provider cannot use.
        """
        if sampling.tools and "tools" not in self.spec.capabilities:
            raise UsageError(
                f"The task offers tools, which model {self.spec.model!r} cannot use.",
                hint="Use a model of another provider for the nodes that are asked the task as it is.",
            )
        return Question.of(self.client.identity, messages, sampling)

    def need(self, messages: Messages, sampling: Sampling) -> Usage:
        """The most that one sample can cost when the first try succeeds, by whichever model gives it."""
        own = self._need(messages, sampling)
        if not self.fallbacks:
            return own
        needs = [own, *(fallback._need(messages, sampling) for fallback in self.fallbacks)]
        return Usage(
            len(needs),
            max(need.tokens_in for need in needs),
            max(need.tokens_out for need in needs),
            max(need.cost_usd for need in needs),
        )

    def cost(self, sample: Sample) -> Usage:
        """What this sample costs when it is drawn; each model that failed before it counts as a call."""
        if sample.model is None:
            return self._cost(sample)
        failed, giver = next(
            (before, fallback)
            for before, fallback in enumerate(self.fallbacks, 1)
            if fallback.client.identity == sample.model
        )
        return giver._cost(sample) + Usage(calls=failed)

    async def draw(self, wanted: Mapping[Address, Question], *, within_s: float = math.inf) -> dict[Address, Outcome]:
        """The samples at these addresses: from the store, from requests already under way, or from the model.

        Recorded time decides whether one is late, so the answer is the same when it comes from the store. A
        request that took too long goes on without the caller: what is paid for is kept.

        Args:
            wanted: Where each belongs, and what is asked.
            within_s: The longest that the model may take for one.

        Returns:
            For each address the sample or what went wrong; those that are late are missing.

        Raises:
            SearchBudgetError: the charged budget has no room for the call.
            ModelUnavailableError: the model cannot be used at all, and no fallback can.
            ReplayMissError: this is a replay, and the store does not hold it.
            StoreError: the sample cannot be kept.
        """
        drawn = await self._draw(wanted, within_s)
        for fallback in self.fallbacks:
            again = fallback._instead(wanted, drawn)
            if not again:
                break
            _stand_in(drawn, again, await fallback._draw(dict(again.values()), within_s), fallback)
        return drawn

    async def race(
        self,
        wanted: Mapping[Address, Question],
        *,
        first: int,
        counts: Callable[[Sample], bool],
        within_s: float = math.inf,
    ) -> dict[Address, Outcome]:
        """Draws these samples until the ``first`` that count are there, and stops the others.

        Which are first is decided by recorded latency, as if all had started at once; see :class:`Race` for what the
        others have used by then. Those under way are cancelled as soon as they have run for longer, and the store
        keeps how far they had come. A fallback stands in for what failed where too few have come.

        Args:
            wanted: Where each belongs, and what is asked: one question for all.
            first: How many that count end it.
            counts: Whether a sample counts.
            within_s: The longest that the model may take for one.

        Returns:
            For each address the sample, what went wrong, or a sample whose ``finish`` is ``cancelled``; those that
            are late are missing.

        Raises:
            SearchBudgetError: the charged budget has no room for the call.
            ModelUnavailableError: the model cannot be used at all, and no fallback can.
            ReplayMissError: this is a replay, and the store does not hold it.
            StoreError: the sample cannot be kept.
        """
        drawn = await self._race(wanted, Race(first, counts, within_s))
        for fallback in self.fallbacks:
            again = fallback._instead(wanted, drawn)
            came = (each for each in drawn.values() if isinstance(each, Sample))
            left = first - sum(each.finish != "cancelled" and counts(each) for each in came)
            if not again or left <= 0:
                break
            _stand_in(drawn, again, await fallback._race(dict(again.values()), Race(left, counts, within_s)), fallback)
        return drawn

    def _need(self, messages: Messages, sampling: Sampling) -> Usage:
        bound = self.client.prompt_tokens_bound(messages)
        if sampling.tools or sampling.output:  # servers write them into the prompt
            bound += len(orjson.dumps([sampling.tools, list(sampling.output or ())], default=dict))
        return self.costs.of_call(bound, sampling.max_tokens)

    def _cost(self, sample: Completion) -> Usage:
        return self.costs.of_call(sample.tokens_in, sample.tokens_out, estimated=sample.estimated)

    def _instead(
        self, wanted: Mapping[Address, Question], drawn: Mapping[Address, Outcome]
    ) -> dict[Address, tuple[Address, Question]]:
        """For each address where a sample failed the same place in this model's pool."""
        failed = (address for address, outcome in drawn.items() if isinstance(outcome, FailedSample))
        return {address: self._moved(address, wanted[address]) for address in failed}

    def _moved(self, address: Address, question: Question) -> tuple[Address, Question]:
        own = self.question(question.messages, question.sampling)
        return Address(own.key, address.stream, address.index), own

    async def _draw(self, wanted: Mapping[Address, Question], within_s: float) -> dict[Address, Outcome]:
        drawn: dict[Address, Outcome] = {}
        flights: dict[Address, Flight] = {}
        for address, question in wanted.items():
            known = self._known(address, question)
            if known is None:
                flights[address] = self._flight(address, question)
            elif not isinstance(known, Sample) or known.latency_s <= within_s:
                drawn[address] = known
        if flights:
            landed = await land(flights, within_s)
            for address, outcome in landed.items():
                if not isinstance(outcome, Sample) or outcome.latency_s <= within_s:
                    drawn[address] = outcome
        return drawn

    async def _race(self, wanted: Mapping[Address, Question], race: Race) -> dict[Address, Outcome]:
        recording = self._around.use == "record"
        for address, question in wanted.items():
            part = None if recording else self._around.store.get(Stopped.of(address).address)
            if part is not None:
                race.stopped[address] = part
            if part is None or self._around.store.get(address) is not None:
                known = self._known(address, question)
                if known is not None:
                    race.arrived[address] = known
        over_s = race.over_s
        flights: dict[Address, Flight] = {}
        for address, question in wanted.items():
            if not race.decided(address, over_s) and self._known(address, question) is None:
                flights[address] = self._flight(address, question)
        let_go = await race.watch(flights, to_the_end=recording) if flights else {}
        for address, ran_s in let_go.items():
            flight = flights[address]
            await asyncio.wait({flight.task})
            if flight.task.cancelled():
                there, asked = Stopped.of(address)
                used = race.used(flight, ran_s, wanted[address].sampling.max_tokens)
                race.stopped[address] = await self._around.store.put(
                    there, self.client.identity, used, question=asked, replace=True
                )
            else:
                race.arrived[address] = flight.task.result()
        return race.results(wanted)

    def _known(self, address: Address, question: Question) -> Outcome | None:
        """What the store says, as far as it may be used."""
        around = self._around
        if around.use == "record" and address not in self._recorded:
            return None
        if (stored := around.store.get(address)) is not None or around.use != "replay":
            return stored
        if (failed := around.store.failure(address)) is not None:
            return failed
        asked = question.messages[-1].get("content") if question.messages else ""
        raise ReplayMissError(
            f"The store does not hold sample {address.index} (stream {address.stream}) of {self.client.identity} "
            f"for {str(asked)[:80]!r}; its address is {address.key[:12]}/{address.stream}/{address.index}.",
            hint="Replay with the store that the run wrote, or leave --replay out to draw what is missing.",
        )

    def _flight(self, address: Address, question: Question) -> Flight:
        """The request for this sample that is under way, or a new one."""
        flying = self._flights.get(address)
        joinable = flying is not None and not flying.task.cancelling()
        return flying if flying and joinable else self._take_off(address, question)

    def _take_off(self, address: Address, question: Question) -> Flight:
        flight = Flight(address)
        flight.take_off(self._fly(flight, question))
        self._flights[address] = flight
        self._tasks.add(flight.task)

        def close(task: asyncio.Task[Outcome]) -> None:
            self._tasks.discard(task)
            if self._flights.get(address) is flight:  # nobody can join it any more
                del self._flights[address]

        flight.task.add_done_callback(close)
        return flight

    async def _fly(self, flight: Flight, question: Question) -> Outcome:
        address, store = flight.address, self._around.store
        try:
            deadline_s = self.spec.deadline_s
            async with asyncio.timeout(deadline_s) if deadline_s else nullcontext():
                completion = await self._call(flight, question)
        except ModelCallError as exc:
            failed = FailedSample(exc.failure, exc.message, address.index)
        except TimeoutError:
            failed = FailedSample("timeout", f"no completion within deadline_s = {deadline_s:g} s.", address.index)
        except ModelUnavailableError as exc:
            if not self.fallbacks:
                raise
            failed = FailedSample("connection", exc.message, address.index)
        else:
            flight.answered()
            # To those who gave up it was late, and so it must be in every replay.
            given_up_s = flight.given_up_s
            if (part := store.get(Stopped.of(address).address)) is not None:
                given_up_s = max(given_up_s, part.latency_s)
            latency_s = round(max(completion.latency_s, given_up_s + _TICK_S), 6)
            sample = Sample(**{**vars(completion), "latency_s": latency_s}, index=address.index)
            recording = self._around.use == "record"
            if recording:
                self._recorded.add(address)
            return await store.put(address, self.client.identity, sample, question=question.content, replace=recording)
        self._failed.add(address)
        await store.fail(address, self.client.identity, failed, question=question.content)
        return failed

    async def _call(self, flight: Flight, question: Question) -> Completion:
        """Tries until it works or makes no sense any more. Each try is a call, and is charged as one."""
        by_index = getattr(self.client, "seeds_by_index", False)
        seed = flight.address.index if by_index else flight.address.seed
        need = self._need(question.messages, question.sampling)
        for attempt in range(self.spec.retries + 1):
            try:
                again = attempt > 0 or flight.address in self._failed
                return await self._try(flight, question, seed, need, again=again)
            except ModelCallError as exc:
                if exc.failure not in RETRYABLE or attempt == self.spec.retries:
                    raise
                if exc.retry_after_s is None:  # else the limiter waits, for everybody
                    await self._around.sleep(wait_s(attempt))
        raise AssertionError("unreachable: the loop returns or raises")

    async def _try(self, flight: Flight, question: Question, seed: int, need: Usage, *, again: bool) -> Completion:
        """One call, from leave to settlement.

        One that ends without the server's count (cancelled, timed out, cut) is charged with the most that it can
        have used, or with what a streamed reply had told so far, and marked as estimated. One that the server
        refused counts without tokens.
        """
        limiter, charged, progress = self._limiter, self._around.charged, Progress()
        flight.progress = progress
        passage = await limiter.enter(need.tokens)
        reserved, real, left = ZERO, ZERO, False
        try:
            if not await charged.admit(need):
                raise SearchBudgetError("the search budget has no room for another call.")
            reserved = need
            await self._start()
            flight.sent()
            try:
                completion = await self.client.complete(
                    question.messages, question.sampling, seed=seed, progress=progress
                )
            except ModelCallError as exc:
                real = self._spent(exc, progress, need)
                limiter.leave(passage, real.tokens, exc, again=again)
                left = True
                raise
            except asyncio.CancelledError:
                real = self._told(progress, need)
                raise
            real = self._cost(completion)
            limiter.leave(passage, real.tokens, None, output=completion.tokens_out)
            left = True
            return completion
        finally:
            charged.settle(reserved, real)
            if not left:
                limiter.abandon(passage, real.tokens)

    def _spent(self, failed: ModelCallError, progress: Progress, need: Usage) -> Usage:
        """What a failed call used."""
        if failed.used is not None:
            return self.costs.of_call(*failed.used)
        if failed.failure not in _UNTOLD:
            return Usage(calls=1)
        return self._told(progress, need)

    def _told(self, progress: Progress, need: Usage) -> Usage:
        """What a call used that was cut off: as far as a streamed reply had told, else all that was reserved."""
        if progress.tokens_in is None or progress.tokens_out is None:
            return replace(need, tokens_estimated=need.tokens)
        return self.costs.of_call(progress.tokens_in, progress.tokens_out, estimated=True)

    async def _start(self) -> None:
        if self._started:
            return
        async with self._starting:
            if not self._started:
                await self.client.__aenter__()
                self._started = True
                if isinstance(self.client, WatchedClient):
                    self._watch = await self.client.watch().__aenter__()


def _stand_in(
    drawn: dict[Address, Outcome],
    again: Mapping[Address, tuple[Address, Question]],
    stood_in: Mapping[Address, Outcome],
    fallback: Sampler,
) -> None:
    """Puts what a fallback gave in the place of what had failed."""
    for address, (there, _) in again.items():
        outcome = stood_in.get(there)
        if isinstance(outcome, Sample):
            drawn[address] = replace(outcome, model=fallback.client.identity)
        elif outcome is None:
            del drawn[address]
        else:
            drawn[address] = outcome


def wait_s(attempt: int) -> float:
    """Seconds to wait before the next try: exponential with full jitter."""
    return random.uniform(0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt))


Samplers: TypeAlias = Mapping[str, Sampler]
"""Samplers by the name of the model in a document."""
