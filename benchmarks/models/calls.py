"""What one model call costs in CPU, beside what the bare transport and the leanest peer take for it.

    python benchmarks/models/calls.py --calls 4096 --rounds 7

All talk to the same loopback server, a process of its own, 64 requests at once, in rounds that take turns; a figure is
the median over rounds of the process's CPU time per call (all threads).

* ``bare``: aiohttp and orjson: dump a request, post it, load the reply, take text and usage out of it.
* ``archloom cold``: ``ctx.sample`` with an SQLite store, budgets and the event log on; every sample is new.
* ``archloom hit``: the same samples again, from the store.
* ``its-hub``: version 1.2 (``pip install "its_hub[lm]==1.2.*"``), its orchestrator and client; left out when absent.

Ends with 1 when a cold call takes more than 1.5 times bare or 2 times its-hub, or a hit more than 60 microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import orjson
from endpoint import serving

from archloom.graphs import Configuration, Document
from archloom.nodes import Budget, Request, Sampling, Task
from archloom.orchestrator import Cell, CellObserved, Ledger, ModelPool, RunLog
from archloom.orchestrator._context import NodeContext
from archloom.orchestrator.models import SQLiteStore

AT_ONCE, SAMPLES = 64, 16
GOAL_BARE, GOAL_PEER, GOAL_HIT_US = 1.5, 2.0, 60.0
REPLY = "Let us multiply the two numbers step by step, and check the result. " * 4 + "The answer is 56."
Round = Callable[[int], Awaitable[int]]
"""Makes calls for a round number; returns how many."""


def conversation(turn: int, number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Round {turn}, question {number}: what is seven times eight? Think aloud."}]


async def at_once(workers: int, numbers: int, one: Callable[[int], Awaitable[None]]) -> None:
    """Does all numbers, so many of them at a time."""
    waiting = iter(range(numbers))

    async def work() -> None:
        for number in waiting:
            await one(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


def bare(session: aiohttp.ClientSession, url: str, calls: int) -> Round:
    async def one(turn: int, number: int) -> None:
        body = {"model": "m", "messages": conversation(turn, number), "temperature": 0.7, "max_tokens": 512, "seed": 1}
        async with session.post(f"{url}/chat/completions", data=orjson.dumps(body)) as response:
            reply = orjson.loads(await response.read())
        assert reply["choices"][0]["message"]["content"] == REPLY
        assert reply["usage"]["completion_tokens"] == 70

    async def run(turn: int) -> int:
        await at_once(AT_ONCE, calls, lambda number: one(turn, number))
        return calls

    return run


def sampling(pool: ModelPool, configuration: Configuration, log: RunLog, calls: int) -> Round:
    ask = Sampling(0.7, 512)

    async def run(turn: int) -> int:
        samplers = await pool.samplers(configuration)

        async def one(number: int) -> None:
            task = Task(f"{turn}/{number}", tuple(conversation(turn, number)))
            ledger = Ledger(Budget(tokens=10**9))
            ctx = NodeContext("draft", task, configuration, samplers, 0, 0, (ledger,), float("inf"))
            [replies] = await ctx.sample("m", [Request(task.messages, SAMPLES)], sampling=ask)
            assert len(replies) == SAMPLES
            cell = Cell("c", task.id, 1.0, ctx.usage.tokens, 0.0, ctx.elapsed_s, ctx.usage.calls)
            log.write(CellObserved(cell=cell.to_json(), charged=pool.charged.settled))

        await at_once(2 * AT_ONCE // SAMPLES, calls // SAMPLES, one)
        return calls

    return run


def peer(model: Any, types: Any, orchestrator: Any, calls: int) -> Round:
    async def run(turn: int) -> int:
        async def one(number: int) -> None:
            asked = [[types.ChatMessage(**each) for each in conversation(turn, number)] for _ in range(SAMPLES)]
            replies = await orchestrator.agenerate(model, asked)
            assert all(reply["content"] == REPLY for reply in replies)

        await at_once(2 * AT_ONCE // SAMPLES, calls // SAMPLES, one)
        return calls

    return run


async def measure(calls: int, rounds: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(REPLY, tokens_in=42, tokens_out=70))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        text = f"""
        archloom: 1
        models: {{m: {{provider: openai, model: m, base_url: {url}, max_concurrency: {AT_ONCE}}}}}
        nodes: {{draft: {{type: generator, model: m, samples: {SAMPLES}}}}}
        output: draft
        """
        configuration = Document.parse(text).configure()
        store = SQLiteStore(folder / "samples.sqlite")
        stack.callback(store.close)
        log = RunLog.open(folder / "run", "eval", {})
        stack.callback(log.close)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE), headers={"Content-Type": "application/json"}
            )
        )
        pool = await stack.enter_async_context(ModelPool(store))
        ours = sampling(pool, configuration, log, calls)
        contestants: dict[str, Round] = {"bare": bare(session, url, calls), "archloom cold": ours, "archloom hit": ours}
        try:
            from its_hub.api import types
            from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
            from its_hub.core.orchestrator import LMOrchestrator
        except ImportError:
            print("its-hub 1.2 is not installed: it is left out")
        else:
            model = await stack.enter_async_context(OpenAICompatibleLanguageModel(url, "key", "m"))
            contestants["its-hub"] = peer(model, types, LMOrchestrator(AT_ONCE), calls)
        took: dict[str, list[float]] = {name: [] for name in contestants}
        for turn in range(rounds + 1):  # the first one warms up
            for name, run in contestants.items():
                begun = time.process_time()
                done = await run(turn)
                if turn:
                    took[name].append((time.process_time() - begun) / done)
        return {name: median(each) for name, each in took.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    took = asyncio.run(measure(given.calls // SAMPLES * SAMPLES, given.rounds))
    print(f"CPU per call, median of {given.rounds} rounds of {given.calls} calls, {AT_ONCE} at once:")
    for name, each in took.items():
        print(f"  {name:14} {each * 1e6:7.1f} us   {each / took['bare']:5.2f} x bare")
    cold, hit = took["archloom cold"], took["archloom hit"]
    good = cold <= GOAL_BARE * took["bare"] and hit * 1e6 <= GOAL_HIT_US
    print(f"goals: cold <= {GOAL_BARE} x bare, hit <= {GOAL_HIT_US:g} us", end="")
    if "its-hub" in took:
        good = good and cold <= GOAL_PEER * took["its-hub"]
        print(f", cold <= {GOAL_PEER:g} x its-hub ({cold / took['its-hub']:.2f} x)", end="")
    print(": met" if good else ": missed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
