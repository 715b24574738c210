"""The sampler: from a question to its samples, from the model or from one that stands in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from archloom.graphs import ModelBase
from archloom.nodes import FailedSample, Messages, Sample, Sampling
from archloom.orchestrator._ledger import Usage
from archloom.orchestrator.models._address import Address, Question
from archloom.orchestrator.models._calls import Calls
from archloom.orchestrator.models._client import Client
from archloom.orchestrator.models._flight import Outcome
from archloom.orchestrator.models._limits import Limiter
from archloom.orchestrator.models._pool import Pool
from archloom.orchestrator.models._race import Race
from archloom.orchestrator.models._surroundings import Surroundings
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.orchestrator.models.vllm import ServerLoad


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
        self._calls = Calls(spec, client, around, limiter or Limiter(spec))
        self._pool = Pool(self._calls, around, replaceable=bool(fallbacks))
        self.costs = self._calls.costs

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()
        await self._calls.close(kind, exc, trace)

    async def load(self) -> ServerLoad | None:
        """What its server did since this process has used it; ``None`` where it does not tell, or was not needed."""
        return await self._calls.load()

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
        own = self._calls.need(messages, sampling)
        if not self.fallbacks:
            return own
        needs = [own, *(fallback._calls.need(messages, sampling) for fallback in self.fallbacks)]
        return Usage(
            len(needs),
            max(need.tokens_in for need in needs),
            max(need.tokens_out for need in needs),
            max(need.cost_usd for need in needs),
        )

    def cost(self, sample: Sample) -> Usage:
        """What this sample costs when it is drawn; each model that failed before it counts as a call."""
        if sample.model is None:
            return self._calls.cost(sample)
        failed, giver = next(
            (before, fallback)
            for before, fallback in enumerate(self.fallbacks, 1)
            if fallback.client.identity == sample.model
        )
        return giver._calls.cost(sample) + Usage(calls=failed)

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
        drawn = await self._pool.draw(wanted, within_s)
        for fallback in self.fallbacks:
            again = fallback._instead(wanted, drawn)
            if not again:
                break
            _stand_in(drawn, again, await fallback._pool.draw(dict(again.values()), within_s), fallback)
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
        drawn = await self._pool.race(wanted, Race(first, counts, within_s))
        for fallback in self.fallbacks:
            again = fallback._instead(wanted, drawn)
            came = (each for each in drawn.values() if isinstance(each, Sample))
            left = first - sum(each.finish != "cancelled" and counts(each) for each in came)
            if not again or left <= 0:
                break
            stood_in = await fallback._pool.race(dict(again.values()), Race(left, counts, within_s))
            _stand_in(drawn, again, stood_in, fallback)
        return drawn

    def _instead(
        self, wanted: Mapping[Address, Question], drawn: Mapping[Address, Outcome]
    ) -> dict[Address, tuple[Address, Question]]:
        """For each address where a sample failed the same place in this model's pool."""
        failed = (address for address, outcome in drawn.items() if isinstance(outcome, FailedSample))
        return {address: self._moved(address, wanted[address]) for address in failed}

    def _moved(self, address: Address, question: Question) -> tuple[Address, Question]:
        own = self.question(question.messages, question.sampling)
        return Address(own.key, address.stream, address.index), own


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


Samplers: TypeAlias = Mapping[str, Sampler]
"""Samplers by the name of the model in a document."""
