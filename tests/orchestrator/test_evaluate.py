"""Evaluating: every task gives a cell, failures included, and what cannot go on says so without losing cells."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from archloom.graphs import Configuration, ScriptedModel
from archloom.nodes import Budget, Generator, Task
from archloom.orchestrator import Cell, Evaluator, ModelPool, RunResult, Usage, cells_file, matched_samples
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError, SearchBudgetError
from archloom.orchestrator.models import MemoryStore
from archloom.tasks import Example, Numeric, Target, TaskError, TaskSet
from archloom.testing._replies import Answering, Call, FunctionClient
from archloom.tools.errors import UsageError

CONFIGURATION = Configuration(
    "w", {"m": ScriptedModel(retries=0)}, {"draft": Generator(model="m", max_tokens=8)}, "draft", answer="number"
)


def task_set(size: int) -> TaskSet:
    examples = tuple(Example(Task.ask(f"Say {n}", id=f"t{n}"), Target(str(n))) for n in range(size))
    return TaskSet("test", "number", examples, Numeric())


@asynccontextmanager
async def evaluator(
    reply: Answering, *, size: int = 4, budget: Budget | None = None, concurrency: int = 8
) -> AsyncIterator[Evaluator]:
    client = FunctionClient(reply)
    async with asyncio.timeout(10), ModelPool(MemoryStore(), budget=budget, client=lambda spec: client) as pool:
        yield Evaluator(pool, task_set(size), concurrency=concurrency)


async def cells(of: Evaluator, *ids: str, replicate: int = 0) -> list[Cell]:
    observed = of.observe(CONFIGURATION, ids or [f"t{n}" for n in range(4)], replicate=replicate)
    return sorted([cell async for cell, _ in observed], key=lambda cell: cell.key)


async def echo(call: Call) -> str:
    return call.text


async def test_each_task_gives_a_scored_cell() -> None:
    async def reply(call: Call) -> str:
        return "It is 2" if call.text == "Say 3" else call.text

    async with evaluator(reply) as on:
        found = await cells(on)
    assert [(cell.task, cell.score, cell.answer) for cell in found] == [
        ("t0", 1.0, "0"), ("t1", 1.0, "1"), ("t2", 1.0, "2"), ("t3", 0.0, "2"),
    ]  # fmt: skip
    assert {(cell.config, cell.calls, cell.tokens, cell.error) for cell in found[:3]} == {
        (CONFIGURATION.id, 1, 4, None)
    }


async def test_a_failed_run_is_a_cell_without_a_score() -> None:
    async def reply(call: Call) -> str:
        if call.text == "Say 1":
            raise ModelCallError("refused", failure="content_filter")
        return call.text

    async with evaluator(reply) as on:
        found = await cells(on)
    assert [(cell.score, cell.error) for cell in found] == [(1.0, None), (None, "E401"), (1.0, None), (1.0, None)]
    assert (found[1].failed, found[1].value, found[1].calls) == (True, 0.0, 1)


async def test_cells_come_as_they_are_done_and_no_more_run_than_allowed() -> None:
    gates = {f"Say {n}": asyncio.Event() for n in range(4)}
    started: list[str] = []

    async def reply(call: Call) -> str:
        started.append(call.text)
        await gates[call.text].wait()
        return call.text

    async with evaluator(reply, concurrency=2) as on:
        gates["Say 1"].set()
        order = []
        async for cell, result in on.observe(CONFIGURATION, [f"t{n}" for n in range(4)]):
            assert isinstance(result, RunResult)
            assert len(started) <= len(order) + 3
            order.append(cell.task)
            gates[{"t1": "Say 2", "t2": "Say 0", "t0": "Say 3"}.get(cell.task, "Say 3")].set()
    assert order == ["t1", "t2", "t0", "t3"]


async def test_a_replicate_is_another_observation_and_a_repetition_is_not() -> None:
    async def reply(call: Call) -> str:
        return f"It is {call.seed}"

    async with evaluator(reply) as on:
        first, second, again = [await cells(on, "t0", replicate=replicate) for replicate in (0, 1, 0)]
        assert on.pool.charged.settled.calls == 2
    assert first == again
    assert (second[0].replicate, second[0].answer == first[0].answer) == (1, False)


async def test_a_budget_that_ends_keeps_the_cells_that_are_done() -> None:
    """A call is bounded at 10 tokens and uses 4."""
    async with evaluator(echo, budget=Budget(tokens=18), concurrency=1) as on:
        done = []
        with pytest.raises(SearchBudgetError):
            async for cell, _ in on.observe(CONFIGURATION, [f"t{n}" for n in range(4)]):
                done.append(cell)
        assert [(cell.task, cell.score) for cell in done] == [("t0", 1.0), ("t1", 1.0), ("t2", 1.0)]
        assert on.pool.charged.settled == Usage(3, 6, 6)


async def test_a_budget_ends_only_after_what_was_under_way_has_landed() -> None:
    gate = asyncio.Event()

    async def reply(call: Call) -> str:
        if call.text == "Say 0":
            await gate.wait()
        return call.text

    async with evaluator(reply, budget=Budget(calls=3)) as on:
        done = []
        with pytest.raises(SearchBudgetError):
            async for cell, _ in on.observe(CONFIGURATION, [f"t{n}" for n in range(4)]):
                done.append(cell.task)
                if len(done) == 2:
                    gate.set()
    assert sorted(done) == ["t0", "t1", "t2"]


async def test_a_model_that_cannot_be_used_ends_the_evaluation_as_itself() -> None:
    async def reply(call: Call) -> str:
        raise ModelUnavailableError("no weights")

    async with evaluator(reply) as on:
        with pytest.raises(ModelUnavailableError, match="no weights"):
            await cells(on)


async def test_who_stops_looking_stops_the_work() -> None:
    cancelled = asyncio.Event()

    async def reply(call: Call) -> str:
        if call.text == "Say 0":
            return call.text
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return call.text

    async with evaluator(reply) as on:
        async with aclosing(on.observe(CONFIGURATION, ["t0", "t1"])) as observed:
            async for cell, _ in observed:
                assert cell.task == "t0"
                break
        await cancelled.wait()


async def test_no_tasks_give_no_cells() -> None:
    async with evaluator(echo) as on:
        assert [cell async for cell in on.observe(CONFIGURATION, [])] == []


def test_a_file_of_cells_does_not_depend_on_their_order() -> None:
    some = [Cell(config, task, 1.0, 4, 0.0, 0.5, 1) for config in "ba" for task in ("t1", "t0")]
    assert cells_file(some) == cells_file(some[::-1])
    assert cells_file(some).count(b"\n") == 4


@pytest.mark.parametrize(("tokens", "expected"), [(40.0, 4), (44.9, 4), (46.0, 5), (1.0, 1), (0.0, 1)], ids=str)
def test_matched_compute_is_the_nearest_number_of_single_calls(tokens: float, expected: int) -> None:
    single = [Cell("c", f"t{n}", 1.0, used, 0.0, 0.5, 1) for n, used in enumerate([5, 15])]
    assert matched_samples(tokens, single) == expected


class _Slow(Numeric):
    """Takes its time, on a thread of its own; and one of its tasks is bad."""

    blocking = True
    together = threading.Barrier(2, timeout=10)

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        if target.answer == "2":
            raise TaskError("the gold of t2 does not run")
        self.together.wait()  # nobody gets past it alone
        return super().score(candidate_answer, candidate_text, target)


async def test_a_scorer_that_takes_its_time_holds_nobody_up_and_a_bad_task_is_a_failed_cell() -> None:
    async def reply(call: Call) -> str:
        return call.text.split()[-1]

    examples = tuple(Example(Task.ask(f"Say {n}", id=f"t{n}"), Target(str(n))) for n in range(3))
    tasks = TaskSet("test", "number", examples, _Slow())
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        found = await cells(Evaluator(pool, tasks), "t0", "t1", "t2")
    assert [(cell.score, cell.error) for cell in found] == [(1.0, None), (1.0, None), (None, TaskError.code)]


class _Lavish(Numeric):
    """Gives a score that no mean, interval or objective expects."""

    given = 0.0

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        return self.given


@pytest.mark.parametrize("given", [1.118, -0.1, float("nan")], ids=str)
async def test_a_score_that_is_none_ends_the_evaluation_and_names_the_scorer(given: float) -> None:
    scorer = _Lavish()
    scorer.given = given
    tasks = TaskSet("test", "number", task_set(1).examples, scorer)
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(echo)) as pool:
        with pytest.raises(UsageError, match=rf"'numeric' gave {given} for t0"):
            await cells(Evaluator(pool, tasks), "t0")
