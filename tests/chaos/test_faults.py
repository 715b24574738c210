"""A server that fails three calls of ten in every way there is: nothing hangs, nothing is lost, every token is accounted for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from archloom.graphs import Document
from archloom.nodes import Task
from archloom.orchestrator import ModelPool, RunResult, Workflow
from archloom.orchestrator.models import SQLiteStore
from archloom.testing import Fault, LoopbackServer

SAMPLES = 16
SHARES: dict[Fault, float] = {
    "rate_limit": 0.05, "server": 0.05, "timeout": 0.05, "stall": 0.05, "truncated": 0.05, "empty": 0.05,
}  # fmt: skip
TOLD = {"ok", "empty"}
"""Outcomes whose usage reaches the client; of the others the server alone knows it."""


@pytest.mark.parametrize(
    "stream", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in one piece", "streamed"]
)
@pytest.mark.parametrize(
    ("tasks", "haste"), [(20, 50.0), pytest.param(500, 1.0, marks=pytest.mark.slow)], ids=["short", "whole run"]
)
async def test_three_failing_calls_of_ten_lose_nothing(tasks: int, haste: float, stream: bool, tmp_path: Path) -> None:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / haste)

    async with LoopbackServer(
        lambda asked: f"The answer is {asked.number % 9}.", fault_shares=SHARES, seed=tasks
    ) as server:
        # Its limits are the only settings that are not the defaults: minutes would test nothing more. They are long
        # enough for a busy machine, because an answer that is given up late is no fault that the server knows of.
        patience_s = 2.0
        document = f"""
        archloom: 1
        answer: number
        models:
          m: {{provider: openai, model: m, base_url: "{server.url}", max_concurrency: 64,
             timeout_s: {patience_s}, stall_s: {patience_s / 2}, stream: {str(stream).lower()}}}
        nodes:
          draft: {{type: generator, model: m, samples: {SAMPLES}}}
          answer: {{type: vote, after: draft}}
        output: answer
        """
        store = SQLiteStore(tmp_path / "samples.sqlite")
        async with ModelPool(store, sleep=sleep) as pool:
            workflow = Workflow(Document.parse(document).configure(), pool=pool)
            async with asyncio.timeout(100 + tasks), asyncio.TaskGroup() as group:
                runs = [
                    group.create_task(workflow.arun(Task.ask(f"What is {i} times 8?", id=str(i)))) for i in range(tasks)
                ]
            results = [run.result() for run in runs]
            charged = pool.charged
        kept = sum(each.samples for each in store.stats())
        store.close()

    assert all(result.error is None for result in results)
    assert sum(map(_whole, results)) >= tasks - max(1, tasks // 100)
    for result in results:
        assert sum(result.endings.values()) == SAMPLES
        assert set(result.endings) <= {"stop", "rate_limit", "server", "timeout", "stall", "malformed", "empty"}

    totals = server.totals
    assert set(SHARES) <= set(totals), "every fault happened"
    assert totals["ok"].calls == kept == sum(result.endings.get("stop", 0) for result in results), "none is drawn twice"
    assert charged.settled.calls == server.total.calls == len(server.requests)
    counted = sum(totals[each].tokens_in + totals[each].tokens_out for each in TOLD)
    assert charged.settled.tokens - charged.settled.tokens_estimated == counted
    untold = sum(total.tokens_in + total.tokens_out for name, total in totals.items() if name not in TOLD)
    assert charged.settled.tokens_estimated >= untold
    assert charged.reserved.calls == 0


def _whole(result: RunResult) -> bool:
    return result.endings == {"stop": SAMPLES}
