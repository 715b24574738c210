"""Calls to one model: started when first needed, under its limits, charged as they end, tried again where it helps."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

import orjson

from archloom.graphs import ModelBase
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator._ledger import ZERO, Usage
from archloom.orchestrator.errors import RETRYABLE, ModelCallError, SearchBudgetError
from archloom.orchestrator.models._address import Question
from archloom.orchestrator.models._client import Client, Progress, WatchedClient
from archloom.orchestrator.models._costs import CostModel
from archloom.orchestrator.models._flight import Flight
from archloom.orchestrator.models._limits import Limiter
from archloom.orchestrator.models._surroundings import Surroundings

if TYPE_CHECKING:
    from archloom.orchestrator.models.vllm import ServerLoad, Watch

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_UNTOLD = frozenset({"timeout", "stall", "connection", "malformed"})
"""Failures after which nobody can tell what the server had done, unless it said so."""


class Calls:
    """The calls to one model, and what they use.

    Attributes:
        spec: The model, as the document has it.
        client: Speaks to it; entered before the first call.
        costs: What its tokens cost.
    """

    def __init__(self, spec: ModelBase, client: Client, around: Surroundings, limiter: Limiter) -> None:
        self.spec, self.client, self.costs = spec, client, CostModel(spec)
        self._around = around
        self._limiter = limiter
        self._starting = asyncio.Lock()
        self._started = False
        self._watch: Watch | None = None

    async def close(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the client where a call has entered it."""
        if self._watch is not None:
            await self._watch.__aexit__(kind, exc, trace)
        if self._started:
            await self.client.__aexit__(kind, exc, trace)

    async def load(self) -> ServerLoad | None:
        """What its server did since the first call; ``None`` where it does not tell, or was not needed."""
        if self._watch is None:
            return None
        await self._watch.look()
        return self._watch.load

    def need(self, messages: Messages, sampling: Sampling) -> Usage:
        """The most that one successful call can cost."""
        bound = self.client.prompt_tokens_bound(messages)
        if sampling.tools or sampling.output:  # servers write them into the prompt
            bound += len(orjson.dumps([sampling.tools, list(sampling.output or ())], default=dict))
        return self.costs.of_call(bound, sampling.max_tokens)

    def cost(self, completion: Completion) -> Usage:
        """What the call that gave this cost."""
        return self.costs.of_call(completion.tokens_in, completion.tokens_out, estimated=completion.estimated)

    async def complete(self, flight: Flight, question: Question, *, again: bool) -> Completion:
        """Tries until it works or makes no sense any more. Each try is a call, and is charged as one.

        Args:
            flight: What the completion is for; told when it leaves and how far it has come.
            question: What is asked.
            again: Whether it was asked in vain before.

        Raises:
            ModelCallError: the last try failed, or trying again makes no sense.
            ModelUnavailableError: the model cannot be used at all.
            SearchBudgetError: the charged budget has no room for the call.
        """
        by_index = getattr(self.client, "seeds_by_index", False)
        seed = flight.address.index if by_index else flight.address.seed
        need = self.need(question.messages, question.sampling)
        for attempt in range(self.spec.retries + 1):
            try:
                return await self._try(flight, question, seed, need, again=again or attempt > 0)
            except ModelCallError as exc:
                if exc.failure not in RETRYABLE or attempt == self.spec.retries:
                    raise
                if exc.retry_after_s is None:  # else the limiter waits, for everybody
                    await self._around.sleep(_wait_s(attempt))
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
            real = self.cost(completion)
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


def _wait_s(attempt: int) -> float:
    """Seconds to wait before the next try: exponential with full jitter."""
    return random.uniform(0, min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt))
