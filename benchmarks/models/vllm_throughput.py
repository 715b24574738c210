"""Tokens per second of a vLLM server through workflows, beside what a plain load generator gets from it.

    python benchmarks/models/vllm_throughput.py --requests 128 --rounds 3

One server (launched by archloom, for the embedded model on the CPU), 64 requests in flight, 64 tokens each (the end of
a text is ignored, so that all do the same work), rounds that take turns. Every prompt is new in every round. The plain
load generator posts with aiohttp and reads the usage; the other side is 64 workflows at once with store and ledger.
Ends with 1 when the workflows' median is below 95 % of the plain one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import aiohttp
import orjson

from archloom.graphs import Document, VLLMModel
from archloom.nodes import Task
from archloom.orchestrator import ModelPool, Workflow
from archloom.orchestrator.models import LaunchedVLLMClient, SQLiteStore

IN_FLIGHT, TOKENS, GOAL = 64, 64, 0.95
ENTRY = f"{{provider: vllm, model: smollm2-135m-instruct, max_concurrency: {IN_FLIGHT}, extra: {{ignore_eos: true}}}}"
WORKFLOW = f"""
archloom: 1
models: {{m: {ENTRY}}}
nodes: {{draft: {{type: generator, model: m, temperature: 0.7, max_tokens: {TOKENS}}}}}
output: draft
"""


async def in_flight(count: int, one: Callable[[int], Awaitable[int]]) -> float:
    """Completion tokens per second of this many requests."""
    waiting, tokens = iter(range(count)), 0

    async def work() -> None:
        nonlocal tokens
        for number in waiting:
            used = await one(number)
            tokens += used

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())
    return tokens / (time.perf_counter() - begun)


async def measure(requests: int, rounds: int) -> dict[str, list[float]]:
    spec = VLLMModel(model="smollm2-135m-instruct")
    rates: dict[str, list[float]] = {"plain": [], "workflows": []}
    with tempfile.TemporaryDirectory() as folder, closing(SQLiteStore(Path(folder) / "s.sqlite")) as store:
        # The client holds the server that the workflows use, too.
        async with LaunchedVLLMClient(spec, environ=os.environ) as held, ModelPool(store) as pool:
            url, headers = f"{held.server.address}/chat/completions", {"Authorization": f"Bearer {held.server.key}"}
            workflow = Workflow(Document.parse(WORKFLOW).configure(), pool=pool)
            async with aiohttp.ClientSession(headers={**headers, "Content-Type": "application/json"}) as session:
                for turn in range(rounds + 1):  # the first one warms up

                    async def plain(number: int, turn: int = turn) -> int:
                        body = {
                            "model": "smollm2-135m-instruct",
                            "messages": [{"role": "user", "content": f"Plain {turn}/{number}: tell a story."}],
                            "temperature": 0.7,
                            "max_tokens": TOKENS,
                            "seed": number,
                            "ignore_eos": True,
                        }
                        async with session.post(url, data=orjson.dumps(body)) as response:
                            tokens: int = orjson.loads(await response.read())["usage"]["completion_tokens"]
                            return tokens

                    async def woven(number: int, turn: int = turn) -> int:
                        result = await workflow.arun(Task.ask(f"Woven {turn}/{number}: tell a story.", id=str(number)))
                        return result.usage.tokens_out

                    size = requests if turn else IN_FLIGHT
                    for name, one in (("plain", plain), ("workflows", woven)):
                        rate = await in_flight(size, one)
                        print(f"  round {turn}: {name:9} {rate:6.1f} tokens/s", flush=True)
                        if turn:
                            rates[name].append(rate)
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rates = asyncio.run(measure(given.requests, given.rounds))
    plain, woven = median(rates["plain"]), median(rates["workflows"])
    print(f"{given.requests} requests of {TOKENS} tokens, {IN_FLIGHT} in flight, median of {given.rounds} rounds:")
    print(f"  plain {plain:.1f} tokens/s, workflows {woven:.1f} tokens/s = {woven / plain:.3f} x")
    print(f"goal {GOAL} x:", "met" if woven >= GOAL * plain else "missed")
    return 0 if woven >= GOAL * plain else 1


if __name__ == "__main__":
    sys.exit(main())
