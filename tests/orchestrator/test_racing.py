"""Races: who is first counts, what was stopped is paid for, and a replay decides and books as the run did."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, ModelSpec, ScriptedModel, SimulatedModel
from archloom.nodes import Budget, Completion, FailedSample, Generator, Messages, Sample, Sampling, Vote
from archloom.orchestrator import Ledger, ModelPool, RunResult, Workflow
from archloom.orchestrator.errors import ModelCallError, ReplayMissError
from archloom.orchestrator.models import (
    Address,
    Client,
    MemoryStore,
    Sampler,
    SampleStore,
    SimulatedClient,
    SQLiteStore,
    StoreUse,
    Surroundings,
    verify_store,
)
from archloom.tasks import load_tasks
from archloom.testing._graphs import configurations
from archloom.testing._replies import Call, FunctionClient, ShuffledClient

ASKED: Messages = ({"role": "user", "content": "one two three four"},)
TASK = load_tasks("simulated:race?size=1").examples[0].task
Outcomes = Mapping[int, Sample | FailedSample]


@asynccontextmanager
async def sampler_of(
    client: Client, *, store: SampleStore | None = None, use: StoreUse = "reuse", fallback: Client | None = None
) -> AsyncIterator[Sampler]:
    around = Surroundings(store or MemoryStore(), Ledger(Budget()), use)
    spec = ScriptedModel(model="m", retries=0)
    stand_ins = [Sampler(spec, fallback, around)] if fallback else []
    async with asyncio.timeout(10), Sampler(spec, client, around, fallbacks=stand_ins) as sampler:
        yield sampler


async def race(sampler: Sampler, count: int, first: int, within_s: float = float("inf")) -> Outcomes:
    question = sampler.question(ASKED, Sampling(max_tokens=100))
    wanted = {Address(question.key, 0, index): question for index in range(count)}
    drawn = await sampler.race(wanted, first=first, counts=lambda sample: "?" not in sample.text, within_s=within_s)
    return {address.index: outcome for address, outcome in drawn.items()}


def recorded(*latencies: float, texts: Mapping[int, str] | None = None) -> FunctionClient:
    """Replies of ten tokens a second, in the order of the calls; none takes real time."""
    left = list(enumerate(latencies))

    async def reply(call: Call) -> Completion:
        index, latency_s = left.pop(0)
        return Completion((texts or {}).get(index, "yes"), "stop", 4, round(10 * latency_s), latency_s)

    return FunctionClient(reply)


def finishes(outcomes: Outcomes) -> list[tuple[str, int, float]]:
    ordered = [outcome for _, outcome in sorted(outcomes.items())]
    return [(each.finish, each.tokens_out, each.latency_s) for each in ordered if isinstance(each, Sample)]


async def test_the_first_that_count_win_and_the_others_have_used_their_share() -> None:
    async with sampler_of(recorded(4.0, 1.0, 10.0, 2.0)) as sampler:
        drawn = await race(sampler, 4, first=2)
    assert finishes(drawn) == [("cancelled", 20, 2.0), ("stop", 10, 1.0), ("cancelled", 20, 2.0), ("stop", 20, 2.0)]
    assert {each.tokens_in for each in drawn.values() if isinstance(each, Sample)} == {4}


async def test_what_does_not_count_ends_no_race() -> None:
    async with sampler_of(recorded(3.0, 1.0, 5.0, texts={1: "?"})) as sampler:
        drawn = await race(sampler, 3, first=1)
    assert finishes(drawn) == [("stop", 30, 3.0), ("stop", 10, 1.0), ("cancelled", 30, 3.0)]


async def test_when_too_few_count_all_run_to_their_end() -> None:
    async with sampler_of(recorded(3.0, 1.0, texts={0: "?"})) as sampler:
        assert finishes(await race(sampler, 2, first=2)) == [("stop", 30, 3.0), ("stop", 10, 1.0)]


async def test_what_takes_longer_than_the_time_left_is_late_and_not_stopped() -> None:
    async with sampler_of(recorded(3.0, 1.0)) as sampler:
        assert finishes(await race(sampler, 2, first=2, within_s=2.0)) == [("stop", 10, 1.0)]


async def test_a_stopped_sample_is_whole_for_those_who_ask_for_it() -> None:
    store = MemoryStore()
    async with sampler_of(recorded(3.0, 1.0), store=store) as sampler:
        await race(sampler, 2, first=1)
        question = sampler.question(ASKED, Sampling(max_tokens=100))
        whole = Address(question.key, 0, 0)
        [sample] = (await sampler.draw({whole: question})).values()
    assert isinstance(sample, Sample)
    assert (sample.finish, sample.latency_s) == ("stop", 3.0)


class Running(FunctionClient):
    """A model of which one reply comes at once and the others only when they are cancelled or let through."""

    def __init__(self, *, told: bool = False) -> None:
        super().__init__(self._answer)
        self.cancelled = 0
        self.let_through = asyncio.Event()
        self._told = told

    async def complete(self, messages: Messages, sampling: Sampling, *, seed: int, progress: Any = None) -> Completion:
        try:
            return await super().complete(messages, sampling, seed=seed, progress=progress)
        except asyncio.CancelledError:
            self.cancelled += 1
            if self._told:
                progress.tokens_in, progress.tokens_out = 4, 7
            raise

    async def _answer(self, call: Call) -> Completion:
        if len(self.calls) == 1:
            return Completion("yes", "stop", 4, 20, latency_s=0.01)
        await self.let_through.wait()
        return Completion("yes", "stop", 4, 30, latency_s=0.001)


@pytest.mark.parametrize("told", [False, True])
async def test_those_under_way_are_really_cancelled_and_a_replay_books_the_same(told: bool) -> None:
    store, client = MemoryStore(), Running(told=told)
    async with sampler_of(client, store=store) as sampler:
        live = await race(sampler, 3, first=1)
    assert client.cancelled == 2
    assert [each[0] for each in finishes(live)] == ["stop", "cancelled", "cancelled"]
    tokens = 7 if told else 20
    assert [each[1] for each in finishes(live)] == [20, tokens, tokens]
    assert [isinstance(each, Sample) and each.estimated for each in live.values()] == [False, not told, not told]
    async with sampler_of(FunctionClient(nobody), store=store, use="replay") as sampler:
        assert await race(sampler, 3, first=1) == live


async def test_what_was_stopped_lasts_in_a_store_that_has_nothing_to_complain_of(tmp_path: Path) -> None:
    path = tmp_path / "samples.sqlite"
    store = SQLiteStore(path)
    async with sampler_of(Running(), store=store) as sampler:
        live = await race(sampler, 3, first=1)
    store.close()
    assert list(verify_store(path)) == []
    store = SQLiteStore(path)
    async with sampler_of(FunctionClient(nobody), store=store, use="replay") as sampler:
        assert await race(sampler, 3, first=1) == live
    store.close()


async def nobody(call: Call) -> str:
    raise AssertionError("a replay asks nobody")


async def test_a_race_that_goes_further_draws_what_was_stopped_and_the_first_one_stays_as_it_was() -> None:
    store, client = MemoryStore(), Running()
    async with sampler_of(client, store=store) as sampler:
        once = await race(sampler, 3, first=1)
        client.let_through.set()
        further = await race(sampler, 3, first=3)
        assert [each[0] for each in finishes(further)] == ["stop"] * 3
        assert min(each[2] for each in finishes(further)[1:]) > 0.01, "they were stopped at 0.01 s without a reply"
        assert await race(sampler, 3, first=1) == once


async def test_a_replay_refuses_a_race_that_goes_further() -> None:
    store = MemoryStore()
    async with sampler_of(Running(), store=store) as sampler:
        await race(sampler, 3, first=1)
    async with sampler_of(FunctionClient(nobody), store=store, use="replay") as sampler:
        with pytest.raises(ReplayMissError):
            await race(sampler, 3, first=2)


async def test_a_recording_lets_all_run_to_their_end() -> None:
    store, client = MemoryStore(), Running()
    client.let_through.set()
    async with sampler_of(client, store=store, use="record") as sampler:
        await race(sampler, 3, first=1)
    assert client.cancelled == 0


async def test_one_that_others_wait_for_goes_on() -> None:
    client = Running()
    async with sampler_of(client) as sampler:
        question = sampler.question(ASKED, Sampling(max_tokens=100))
        await sampler.draw({Address(question.key, 0, 0): question})
        patient = asyncio.ensure_future(sampler.draw({Address(question.key, 0, 1): question}))
        racing = asyncio.ensure_future(race(sampler, 2, first=1))
        done, _ = await asyncio.wait([racing], timeout=0.05)
        assert not done, "what the other gets is not known yet"
        client.let_through.set()
        assert [each[0] for each in finishes(await racing)] == ["stop", "cancelled"]
        [sample] = (await patient).values()
    assert isinstance(sample, Sample)
    assert (client.cancelled, sample.finish) == (0, "stop")


async def test_a_fallback_stands_in_where_too_few_came() -> None:
    async def down(call: Call) -> str:
        raise ModelCallError("down", failure="server")

    async with sampler_of(FunctionClient(down), fallback=recorded(2.0, 1.0)) as sampler:
        drawn = await race(sampler, 2, first=1)
    assert finishes(drawn) == [("cancelled", 10, 1.0), ("stop", 10, 1.0)]
    assert {each.model for each in drawn.values() if isinstance(each, Sample)} == {"function/model"}


# Whole workflows

FAST: dict[str, ModelSpec] = {
    "m": SimulatedModel(model="m", tokens=25, tokens_per_s=2000, latency_s=0.001, latency_spread=0.5, retries=0)
}
# Slow by what it records, and at once by the clock: a busy machine must not use up a limit of time.
SLOW: dict[str, ModelSpec] = {
    "m": SimulatedModel(model="m", tokens=25, tokens_per_s=20, latency_s=0.1, latency_spread=0.5, retries=0)
}
SLEEPING = {"m": SimulatedModel.model_validate({**FAST["m"].model_dump(), "sleep": True})}
BUDGETS = st.builds(
    Budget,
    calls=st.none() | st.integers(1, 12),
    tokens=st.none() | st.integers(20, 1500),
    time_s=st.none() | st.floats(0.5, 10),
)


async def run(
    configuration: Configuration, *, store: MemoryStore | None = None, schedule: int | None = None
) -> RunResult:
    def client(spec: ModelSpec) -> Client:
        assert isinstance(spec, SimulatedModel)
        plain = SimulatedClient(spec)
        return plain if schedule is None else ShuffledClient(plain, random.Random(schedule))

    async with asyncio.timeout(20), ModelPool(store or MemoryStore(), client=client) as pool:
        return await Workflow(configuration, pool=pool).arun(TASK)


def short_m(first: int, samples: int, models: Mapping[str, ModelSpec], budget: Budget | None = None) -> Configuration:
    nodes = {
        "draft": Generator(model="m", samples=samples, first=first, max_tokens=100),
        "vote": Vote(after=("draft",)),
    }
    return Configuration("w", models, nodes, "vote", budget or Budget(), answer="number")


async def test_a_live_race_is_replayed_to_the_token() -> None:
    store = MemoryStore()
    live = await run(short_m(2, 8, SLEEPING), store=store)
    [draft, _] = live.nodes
    assert draft.endings == {"stop": 2, "cancelled": 6}
    assert len(draft.candidates) == 2
    assert await run(short_m(2, 8, SLEEPING), store=store) == live


async def test_the_race_is_over_when_the_last_winner_is_there() -> None:
    whole, short = await run(short_m(8, 8, FAST)), await run(short_m(3, 8, FAST))
    assert short.usage.calls == whole.usage.calls == 8
    assert short.usage.tokens < whole.usage.tokens
    [everyone, _] = whole.nodes
    assert short.latency_s < whole.latency_s
    assert [each.id for each in short.nodes[0].candidates] == [each.id for each in everyone.candidates][:3]


@settings(max_examples=40, deadline=None)
@given(
    configuration=configurations(SLOW, budgets=BUDGETS, early=True, types=(Generator, Vote), max_nodes=4),
    schedule=st.integers(0, 2**32),
)
def test_hard_budgets_hold_and_a_replay_is_the_same(configuration: Configuration, schedule: int) -> None:
    store = MemoryStore()
    result = asyncio.run(run(configuration, store=store, schedule=schedule))
    budget = configuration.budget
    assert budget.calls is None or result.usage.calls <= budget.calls
    assert budget.tokens is None or result.usage.tokens <= budget.tokens
    assert budget.time_s is None or result.latency_s <= budget.time_s + 1e-6
    assert asyncio.run(run(configuration, store=store)) == result
    assert asyncio.run(run(configuration, schedule=schedule + 1)) == result


@settings(max_examples=8, deadline=None)
@given(configuration=configurations(SLEEPING, early=True, types=(Generator, Vote), max_nodes=3))
def test_a_run_in_real_time_is_replayed(configuration: Configuration) -> None:
    store = MemoryStore()
    live = asyncio.run(run(configuration, store=store))
    assert asyncio.run(run(configuration, store=store)) == live
