"""What a limiter promises: no limit is exceeded, nobody is forgotten, a dead endpoint is not hammered."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import ScriptedModel
from archloom.orchestrator.errors import FailureClass, ModelCallError, ModelUnavailableError
from archloom.orchestrator.models import Limiter
from archloom.orchestrator.models._limits import BREAK_AFTER, PROBES, WINDOW_S, Window


class Time:
    """A clock that jumps to the next sleeper when nobody else can go on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        self._sleepers.append((self.now + seconds, self._count, woken))
        await woken

    async def run_until_done(self, tasks: list[asyncio.Task[None]]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if all(task.done() for task in tasks):
                break
            assert self._sleepers, "everybody waits and nobody will wake them"
            self._sleepers.sort()
            at, _, woken = self._sleepers.pop(0)
            self.now = max(self.now, at)
            if not woken.done():
                woken.set_result(None)


def limiter(time: Time, **spec: object) -> Limiter:
    return Limiter(ScriptedModel.model_validate(spec), clock=time.clock, sleep=time.sleep)


def failed(kind: FailureClass, retry_after_s: float | None = None) -> ModelCallError:
    return ModelCallError(f"m at h: {kind}.", failure=kind, retry_after_s=retry_after_s)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    concurrency=st.integers(1, 5),
    per_minute=st.none() | st.integers(1, 6),
    tokens=st.none() | st.integers(50, 300),
    requests=st.integers(1, 25),
)
def test_no_limit_is_ever_exceeded_and_everybody_gets_through(
    seed: int, concurrency: int, per_minute: int | None, tokens: int | None, requests: int
) -> None:
    rng = random.Random(seed)

    async def main() -> None:
        time = Time()
        gate = limiter(time, max_concurrency=concurrency, requests_per_minute=per_minute, tokens_per_minute=tokens)
        under_way, sent = 0, deque[tuple[float, int]]()

        async def request(bound: int, used: int, takes_s: float) -> None:
            nonlocal under_way
            passage = await gate.enter(bound)
            under_way += 1
            assert under_way <= concurrency
            sent.append((time.now, used))
            await time.sleep(takes_s)
            under_way -= 1
            gate.leave(passage, used, None, output=1)

        tasks = []
        for _ in range(requests):
            bound = rng.randint(1, 50)
            tasks.append(asyncio.create_task(request(bound, rng.randint(0, bound), rng.uniform(0, 5))))
        await time.run_until_done(tasks)
        await asyncio.gather(*tasks)
        assert len(sent) == requests
        for start, _ in sent:
            window = [used for at, used in sent if start <= at < start + WINDOW_S]
            assert per_minute is None or len(window) <= per_minute
            assert tokens is None or sum(window) <= tokens

    asyncio.run(main())


def test_a_request_larger_than_the_limit_waits_until_the_window_is_empty() -> None:
    window = Window(100)
    assert window.wait_s(500, now=0.0) == 0
    window.take(500, now=0.0)
    assert window.wait_s(1, now=10.0) == 50.0
    assert window.wait_s(1, now=60.0) == 0


def test_what_was_not_used_is_given_back() -> None:
    window = Window(100)
    passage = window.take(90, now=0.0)
    assert window.wait_s(50, now=1.0) > 0
    window.correct(passage, 10, now=1.0)
    assert window.wait_s(50, now=1.0) == 0


async def test_who_comes_first_is_served_first() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=1)
    order: list[int] = []

    async def request(number: int) -> None:
        passage = await gate.enter(1)
        order.append(number)
        await time.sleep(1.0)
        gate.leave(passage, 1, None)

    tasks = [asyncio.create_task(request(number)) for number in range(6)]
    await time.run_until_done(tasks)
    assert order == list(range(6))


async def test_one_who_stops_waiting_holds_nobody_up() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=1)
    first = await gate.enter(1)
    leaving, staying = asyncio.ensure_future(gate.enter(1)), asyncio.ensure_future(gate.enter(1))
    await asyncio.sleep(0)
    gate.leave(first, 1, None)  # it is the turn of the one who leaves at the same moment
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    gate.leave(await asyncio.wait_for(staying, 5), 1, None)
    assert (await gate.enter(1)).tokens == 1


async def test_retry_after_holds_everybody() -> None:
    time = Time()
    gate = limiter(time)
    gate.leave(await gate.enter(1), 0, failed("rate_limit", 7.0))
    entering = asyncio.create_task(_enter(gate))
    await time.run_until_done([entering])
    assert time.now == 1007.0


async def _enter(gate: Limiter) -> None:
    await gate.enter(1)


async def test_retry_after_is_at_most_a_minute() -> None:
    time = Time()
    gate = limiter(time)
    gate.leave(await gate.enter(1), 0, failed("rate_limit", 1e6))
    entering = asyncio.create_task(_enter(gate))
    await time.run_until_done([entering])
    assert time.now == 1000.0 + WINDOW_S


async def test_a_dead_endpoint_is_probed_by_one_at_a_time_and_then_given_up() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=8)
    gate.leave(await gate.enter(1), 1, None)
    sent: list[float] = []

    async def request() -> None:
        while True:
            passage = await gate.enter(1)
            sent.append(time.now)
            await time.sleep(0.01)
            gate.leave(passage, 0, failed("connection"))

    tasks = [asyncio.create_task(request()) for _ in range(8)]
    await time.run_until_done(tasks)
    for task in tasks:
        with pytest.raises(ModelUnavailableError, match="m at h: connection"):
            task.result()
    down_at = sorted(sent)[BREAK_AFTER - 1]
    probes = [at for at in sent if at > down_at + 0.5]
    assert len(probes) == PROBES
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(probes))


async def test_an_endpoint_that_comes_back_is_used_again() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=4)
    for _ in range(BREAK_AFTER):
        gate.leave(await gate.enter(1), 0, failed("server"))

    async def request() -> None:
        passage = await gate.enter(1)
        sent.append(time.now)
        await time.sleep(3.0)
        gate.leave(passage, 1, None)

    sent: list[float] = []
    tasks = [asyncio.create_task(request()) for _ in range(4)]
    await time.run_until_done(tasks)
    probe, *others = sent
    assert probe == 1001.0
    assert all(at >= probe + 3.0 for at in others), "only one finds out"
    before = time.now
    await gate.enter(1)
    assert time.now == before


async def test_an_address_that_never_answered_is_given_up_sooner() -> None:
    time = Time()
    gate = limiter(time)
    for _ in range(BREAK_AFTER // 4):
        gate.leave(await gate.enter(1), 0, failed("connection"))
    probe = asyncio.create_task(_enter(gate))
    await time.run_until_done([probe])
    assert time.now > 1000.0


async def test_what_a_server_cannot_answer_says_nothing_about_the_server() -> None:
    time = Time()
    gate = limiter(time)
    for _ in range(3 * BREAK_AFTER):
        gate.leave(await gate.enter(1), 0, failed("server"), again=True)
    assert time.now == 1000.0


@pytest.mark.parametrize("kind", ["rate_limit", "malformed", "empty", "auth", "bad_request"])
async def test_an_answer_of_any_kind_shows_that_it_is_there(kind: FailureClass) -> None:
    time = Time()
    gate = limiter(time)
    for _ in range(3 * BREAK_AFTER):
        gate.leave(await gate.enter(1), 0, failed(kind))
    assert time.now == 1000.0


async def test_adaptive_concurrency_finds_what_the_server_takes() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=64, adaptive=True)
    under_way = 0

    async def user() -> None:
        nonlocal under_way
        for _ in range(60):
            passage = await gate.enter(1)
            under_way += 1
            full = under_way > 8
            await time.sleep(0.05 if full else 0.2)
            under_way -= 1
            gate.leave(passage, 0 if full else 1, failed("rate_limit") if full else None, output=1)

    users = [asyncio.create_task(user()) for _ in range(32)]
    await time.run_until_done(users)
    assert 4 <= gate.allowed <= 16


async def test_fixed_concurrency_stays() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=64)
    for _ in range(50):
        gate.leave(await gate.enter(1), 0, failed("rate_limit"))
    assert gate.allowed == 64


async def test_the_stricter_of_two_entries_counts() -> None:
    time = Time()
    gate = limiter(time, max_concurrency=8, requests_per_minute=100)
    gate.tighten(ScriptedModel(max_concurrency=3, requests_per_minute=2, tokens_per_minute=10))
    assert gate.allowed == 3
    for _ in range(2):
        gate.leave(await gate.enter(1), 1, None)
    third = asyncio.create_task(_enter(gate))
    await time.run_until_done([third])
    assert time.now == 1000.0 + WINDOW_S
