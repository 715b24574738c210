"""The sampler: one request for all who want the same, retries by error class, the charged budget."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Price, ScriptedModel
from archloom.nodes import Budget, Completion, FailedSample, Messages, Sample, Sampling
from archloom.orchestrator import Ledger, Usage
from archloom.orchestrator.errors import (
    RETRYABLE,
    FailureClass,
    ModelCallError,
    ModelUnavailableError,
    SearchBudgetError,
    StoreError,
)
from archloom.orchestrator.models import Address, Client, MemoryStore, Question, Sampler, StoreUse, Surroundings
from archloom.testing._replies import Call, FunctionClient, ShuffledClient

ASKED: Messages = ({"role": "user", "content": "one two three four"},)
SAMPLING = Sampling(max_tokens=10)
QUESTION = Question(ASKED, SAMPLING, b"{}", "k")
NEED = Usage(1, 4, 10)
UNTOLD = Usage(1, 4, 10, tokens_estimated=14)
REAL = Usage(1, 4, 2)


class Stage(NamedTuple):
    """A sampler and what a test looks at."""

    sampler: Sampler
    charged: Ledger
    store: MemoryStore
    waits: list[float]

    async def draw(self, index: int, within_s: float = float("inf")) -> Sample | FailedSample | None:
        return (await self.sampler.draw({at(index): QUESTION}, within_s=within_s)).get(at(index))


def at(index: int) -> Address:
    return Address("k", 0, index)


@asynccontextmanager
async def stage(
    client: Client,
    *,
    store: MemoryStore | None = None,
    budget: Budget | None = None,
    use: StoreUse = "reuse",
    **spec: object,
) -> AsyncIterator[Stage]:
    """Waiting is written down and takes no time. A test that hangs fails."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    kept, charged = store or MemoryStore(), Ledger(budget or Budget())
    sampler = Sampler(ScriptedModel.model_validate(spec), client, Surroundings(kept, charged, use, sleep))
    async with asyncio.timeout(10), sampler:
        yield Stage(sampler, charged, kept, waits)


class Gated:
    """A model whose calls arrive and then wait until the test lets them through."""

    def __init__(self) -> None:
        self.client = FunctionClient(self._reply)
        self._arrived = asyncio.Semaphore(0)
        self._gate = asyncio.Semaphore(0)

    async def arrival(self) -> None:
        await self._arrived.acquire()

    def let_through(self) -> None:
        self._gate.release()

    async def _reply(self, call: Call) -> str:
        self._arrived.release()
        await self._gate.acquire()
        return "two words"


async def said(call: Call) -> str:
    return "two words"


def after(*failures: Exception) -> FunctionClient:
    """Raises these, one a call, and then answers."""
    left = list(failures)

    async def reply(call: Call) -> str:
        if left:
            raise left.pop(0)
        return "two words"

    return FunctionClient(reply)


def failed(kind: FailureClass, retry_after_s: float | None = None) -> ModelCallError:
    return ModelCallError(f"a {kind} failure", failure=kind, retry_after_s=retry_after_s)


async def test_a_sample_is_drawn_once_and_then_read() -> None:
    client = FunctionClient(said)
    async with stage(client, price={"input": 1.0, "output": 10.0}) as on:
        expected = Sample("two words", "stop", 4, 2, 0.0, index=3)
        assert await on.draw(3) == expected
        assert await on.draw(3) == expected
        assert on.charged.settled == Usage(1, 4, 2, 24e-6)
    assert len(client.calls) == 1


async def test_those_who_want_the_same_share_one_request_and_one_pays() -> None:
    model = Gated()
    async with stage(model.client) as on, asyncio.TaskGroup() as group:
        draws = [group.create_task(on.draw(0)) for _ in range(5)]
        await model.arrival()
        model.let_through()
        drawn = [await draw for draw in draws]
        assert len(model.client.calls) == 1
        assert isinstance(drawn[0], Sample)
        assert drawn == [drawn[0]] * 5
        assert on.charged.settled == REAL


async def test_different_addresses_never_share_a_request_or_a_seed() -> None:
    client = FunctionClient(said)
    addresses = [Address(key, stream, index) for key in "ab" for stream in (0, 1, 1 << 20) for index in range(3)]
    async with stage(client) as on, asyncio.TaskGroup() as group:
        for address in addresses:
            group.create_task(on.sampler.draw({address: QUESTION}))
    assert len({call.seed for call in client.calls}) == len(addresses)


async def test_one_who_stops_waiting_leaves_the_request_to_the_others() -> None:
    model = Gated()
    async with stage(model.client) as on:
        leaving, staying = asyncio.ensure_future(on.draw(0)), asyncio.ensure_future(on.draw(0))
        await model.arrival()
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        model.let_through()
        assert isinstance(await staying, Sample)
        assert on.charged.settled == REAL
    assert len(model.client.calls) == 1


async def test_the_last_who_stops_waiting_cancels_the_request_and_it_is_charged_in_full() -> None:
    model = Gated()
    async with stage(model.client) as on:
        draws = [asyncio.ensure_future(on.draw(0)) for _ in range(2)]
        await model.arrival()
        for draw in draws:
            draw.cancel()
        again = asyncio.ensure_future(on.draw(0))  # while the cancelled request is still winding down
        await asyncio.wait(draws)
        await model.arrival()
        assert on.charged.settled == UNTOLD
        model.let_through()
        assert isinstance(await again, Sample)
        assert on.charged.settled == UNTOLD + REAL
    assert len(model.client.calls) == 2


async def test_a_cancelled_request_does_not_hide_the_one_that_replaced_it() -> None:
    model = Gated()
    async with stage(model.client) as on:
        first = asyncio.ensure_future(on.draw(0))
        await model.arrival()
        first.cancel()
        second = asyncio.ensure_future(on.draw(0))
        await asyncio.wait([first])
        await model.arrival()
        third = asyncio.ensure_future(on.draw(0))
        await asyncio.sleep(0)
        model.let_through()
        assert isinstance(await second, Sample)
        assert isinstance(await third, Sample)
    assert len(model.client.calls) == 2


async def test_leaving_cancels_what_is_under_way() -> None:
    model = Gated()
    async with stage(model.client) as on:
        draw = asyncio.ensure_future(on.draw(0))
        await model.arrival()
    assert on.charged.settled == UNTOLD
    assert on.charged.reserved == Usage()
    await asyncio.wait([draw])


@pytest.mark.parametrize("kind", sorted(RETRYABLE))
async def test_a_failure_that_may_pass_is_tried_again(kind: FailureClass) -> None:
    client = after(failed(kind), failed(kind))
    async with stage(client, retries=2) as on:
        assert isinstance(await on.draw(0), Sample)
        assert len(on.waits) == 2
    assert len(client.calls) == 3
    assert len({call.seed for call in client.calls}) == 1


@pytest.mark.parametrize("kind", sorted(set(get_args(FailureClass)) - RETRYABLE))
async def test_a_failure_that_will_not_pass_is_not_tried_again(kind: FailureClass) -> None:
    client = after(failed(kind))
    async with stage(client, retries=5) as on:
        assert await on.draw(0) == FailedSample(kind, f"a {kind} failure")
        assert on.waits == []
    assert len(client.calls) == 1


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_tries_end(retries: int) -> None:
    client = after(*[failed("server")] * 9)
    async with stage(client, retries=retries) as on:
        assert await on.draw(7) == FailedSample("server", "a server failure", index=7)
    assert len(client.calls) == retries + 1


async def test_waiting_grows_unless_the_server_says_how_long() -> None:
    async with stage(after(*[failed("server")] * 9), retries=9) as on:
        await on.draw(0)
    assert all(0 <= wait <= min(60, 0.5 * 2**attempt) for attempt, wait in enumerate(on.waits))
    assert len(set(on.waits)) == 9, "no jitter: all clients would come back at once"


async def test_every_try_is_charged_and_a_timeout_in_full() -> None:
    client = after(failed("rate_limit"), failed("timeout"), failed("server"))
    async with stage(client) as on:
        await on.draw(0)
        assert on.charged.settled == Usage(calls=1) + UNTOLD + Usage(calls=1) + REAL


async def test_a_failure_is_not_kept() -> None:
    client = after(failed("bad_request"))
    async with stage(client) as on:
        assert isinstance(await on.draw(0), FailedSample)
        assert on.store.get(at(0)) is None
        assert isinstance(await on.draw(0), Sample)


async def test_those_who_share_a_request_share_its_failure() -> None:
    client = after(failed("auth"))
    async with stage(client) as on, asyncio.TaskGroup() as group:
        draws = [group.create_task(on.draw(0)) for _ in range(3)]
    assert {draw.result() for draw in draws} == {FailedSample("auth", "a auth failure")}
    assert len(client.calls) == 1


class _Broken(FunctionClient):
    """Cannot be made ready."""

    async def __aenter__(self) -> _Broken:
        self.entered += 1
        raise ModelUnavailableError("no weights")


class _Full(MemoryStore):
    """Keeps nothing."""

    async def put(
        self, address: Address, model: str, sample: Sample, *, question: bytes | None = None, replace: bool = False
    ) -> Sample:
        raise StoreError("the disk is full")


async def test_a_model_that_cannot_be_used_is_an_error_for_all_and_costs_nothing() -> None:
    async with stage(_Broken(said)) as on:
        draws = [asyncio.ensure_future(on.draw(index)) for index in (0, 0, 1)]
        await asyncio.wait(draws)
        assert [type(draw.exception()) for draw in draws] == [ModelUnavailableError] * 3
        assert on.charged.settled == Usage()


async def test_a_model_that_turns_out_unusable_is_not_tried_again() -> None:
    client = after(ModelUnavailableError("gone"))
    async with stage(client) as on:
        with pytest.raises(ModelUnavailableError, match="gone"):
            await on.draw(0)
        assert on.charged.settled == Usage()
    assert len(client.calls) == 1


async def test_a_sample_that_cannot_be_kept_is_an_error_and_was_paid() -> None:
    async with stage(FunctionClient(said), store=_Full()) as on:
        with pytest.raises(StoreError, match="full"):
            await on.draw(0)
        assert on.charged.settled == REAL


async def test_a_model_is_started_once_and_only_when_it_is_needed() -> None:
    store = MemoryStore()
    await store.put(at(0), "m", Sample("kept", "stop", 1, 1, 0.5))
    client = FunctionClient(said)
    async with stage(client, store=store) as on:
        await on.draw(0)
        assert client.entered == 0
        async with asyncio.TaskGroup() as group:
            for index in range(1, 5):
                group.create_task(on.draw(index))
    assert client.entered == 1


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_requests_than_allowed_are_under_way(limit: int) -> None:
    model = Gated()
    async with stage(model.client, max_concurrency=limit) as on, asyncio.TaskGroup() as group:
        for index in range(7):
            group.create_task(on.draw(index))
        for finished in range(7):
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(model.client.calls) == min(finished + limit, 7)
            model.let_through()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(),
    lengths=st.lists(st.integers(0, 10), min_size=1, max_size=10),
    calls=st.none() | st.integers(1, 8),
    tokens=st.none() | st.integers(1, 90),
    limit=st.integers(1, 4),
)
def test_the_charged_budget_is_never_exceeded_and_ends_only_when_nothing_fits(
    seed: int, lengths: list[int], calls: int | None, tokens: int | None, limit: int
) -> None:
    budget = Budget(calls=calls, tokens=tokens)

    async def reply(call: Call) -> str:
        return "word " * lengths[call.seed % len(lengths)]

    async def run() -> None:
        client = ShuffledClient(FunctionClient(reply), random.Random(seed))
        async with stage(client, budget=budget, max_concurrency=limit) as on:
            draws = [asyncio.ensure_future(on.draw(index)) for index in range(len(lengths))]
            await asyncio.wait(draws)
            assert on.charged.settled.fits(budget)
            assert on.charged.reserved == Usage()
            refused = [draw for draw in draws if draw.exception()]
            assert all(isinstance(draw.exception(), SearchBudgetError) for draw in refused)
            assert on.charged.settled.calls == len(draws) - len(refused)
            assert not refused or not (on.charged.settled + NEED).fits(budget)

    asyncio.run(run())


@pytest.mark.parametrize("trials", [40, pytest.param(1000, marks=pytest.mark.slow)])
async def test_ten_thousand_tokens_are_never_exceeded_by_64_at_once(trials: int) -> None:
    """Calls that succeed, fail in every way, are cut off, and are tried again, in any order."""
    budget, kinds = Budget(tokens=10_000), sorted(get_args(FailureClass))
    for trial in range(trials):
        rng = random.Random(trial)

        async def reply(call: Call, rng: random.Random = rng) -> str:
            if rng.random() < 0.3:
                raise failed(rng.choice(kinds))
            return "word " * rng.randint(0, 150)

        client = ShuffledClient(FunctionClient(reply), rng)
        async with stage(client, budget=budget, max_concurrency=64, retries=3) as on:
            question = Question(ASKED, Sampling(max_tokens=rng.randint(20, 150)), b"{}", "k")
            draws = [asyncio.ensure_future(on.sampler.draw({at(index): question})) for index in range(150)]
            for _ in range(rng.randint(0, 30)):
                await asyncio.sleep(0)
                rng.choice(draws).cancel()
                assert (on.charged.settled + on.charged.reserved).tokens <= 10_000
            await asyncio.wait(draws)
            assert on.charged.settled.tokens <= 10_000
            assert on.charged.reserved.tokens == 0
            assert not on.charged.overrun


async def test_a_budget_that_ends_between_tries_stops_them() -> None:
    client = after(*[failed("server")] * 9)
    async with stage(client, budget=Budget(calls=2), retries=9) as on:
        with pytest.raises(SearchBudgetError):
            await on.draw(0)
    assert len(client.calls) == 2


async def _slow(call: Call) -> Completion:
    return Completion("two words", "stop", 4, 2, latency_s=5.0)


@pytest.mark.parametrize(("within_s", "in_time"), [(4.999, False), (5.0, True), (float("inf"), True)])
async def test_recorded_time_decides_what_is_late(within_s: float, in_time: bool) -> None:
    async with stage(FunctionClient(_slow)) as on:
        first = await on.draw(0, within_s)
        again = await on.draw(0, within_s)
    assert (first is not None, again is not None) == (in_time, in_time)
    assert on.charged.settled == REAL, "the sample is paid once, and kept although it was late"


async def test_a_reply_that_somebody_gave_up_is_late_in_every_replay() -> None:
    model = Gated()
    async with stage(model.client) as on:
        patient = asyncio.ensure_future(on.draw(0))
        assert await on.draw(0, 0.01) is None
        model.let_through()
        drawn = await patient
        assert isinstance(drawn, Sample)
        assert drawn.latency_s > 0.01
        assert await on.draw(0, 0.01) is None
        assert await on.draw(0, 0.02) is not None
    assert len(model.client.calls) == 1


async def test_giving_up_does_not_cancel_a_request_that_nobody_else_waits_for() -> None:
    model = Gated()
    async with stage(model.client) as on:
        assert await on.draw(0, 0.001) is None
        model.let_through()
        assert isinstance(await on.draw(0), Sample)
        assert on.charged.settled == REAL
    assert len(model.client.calls) == 1


async def test_waiting_for_a_slot_is_not_the_models_time() -> None:
    model = Gated()
    async with stage(model.client, max_concurrency=1) as on:
        first = asyncio.ensure_future(on.draw(0))
        await model.arrival()
        second = asyncio.ensure_future(on.draw(1, 0.1))
        done, _ = await asyncio.wait([second], timeout=0.15)
        assert not done
        model.let_through()
        model.let_through()
        assert isinstance(await first, Sample)
        assert isinstance(await second, Sample)


class _Slow(MemoryStore):
    """Keeps nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def put(
        self, address: Address, model: str, sample: Sample, *, question: bytes | None = None, replace: bool = False
    ) -> Sample:
        await self.gate.wait()
        return await super().put(address, model, sample, question=question, replace=replace)


async def test_keeping_a_sample_is_not_the_models_time() -> None:
    store = _Slow()
    async with stage(FunctionClient(said), store=store) as on:
        draw = asyncio.ensure_future(on.draw(0, 0.1))
        done, _ = await asyncio.wait([draw], timeout=0.15)
        assert not done
        store.gate.set()
        assert isinstance(await draw, Sample)
        assert await on.draw(0, 0.1) is not None


async def test_a_cost_is_what_the_sample_would_cost_and_a_need_the_most_it_could() -> None:
    async with stage(FunctionClient(said), price=Price(input=1.0, output=10.0).model_dump()) as on:
        assert on.sampler.need(ASKED, SAMPLING) == Usage(1, 4, 10, 104e-6)
        assert on.sampler.cost(Sample("x", "stop", 3, 7, 1.0)) == Usage(1, 3, 7, 73e-6)
