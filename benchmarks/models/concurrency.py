"""Whether the machine spends its time on models: many workflows at once against what the endpoint allows.

    python benchmarks/models/concurrency.py

* 1,000 workflows of 8 samples each at once, on an endpoint that takes 0.2 s a call and 256 calls at once: nothing can
  be faster than 8,000 x 0.2 / 256 = 6.25 s of wall time. Goal: at most 1.15 times that. The server is a process of its
  own; every sample goes over HTTP into an SQLite store.
* 100 graphs at once with two uneven branches, 3 + 1 s and 1 + 3 s: the critical path is 4 s. Goal: 1.05 times at most.

Ends with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from endpoint import serving

from archloom.graphs import Document
from archloom.nodes import Task
from archloom.orchestrator import ModelPool, Workflow
from archloom.orchestrator.models import MemoryStore, SQLiteStore

LATENCY_S, LIMIT, SAMPLES = 0.2, 256, 8


async def many(workflows: int) -> float:
    """Wall seconds of this many workflows at once."""
    async with serving("The answer is 56.", tokens_in=42, tokens_out=6, latency_s=LATENCY_S) as url:
        text = f"""
        archloom: 1
        answer: number
        models: {{m: {{provider: openai, model: m, base_url: {url}, max_concurrency: {LIMIT}}}}}
        nodes:
          draft: {{type: generator, model: m, samples: {SAMPLES}}}
          answer: {{type: vote, after: draft}}
        output: answer
        """
        configuration = Document.parse(text).configure()
        with tempfile.TemporaryDirectory() as folder, closing(SQLiteStore(Path(folder) / "s.sqlite")) as store:
            async with ModelPool(store) as pool:
                workflow = Workflow(configuration, pool=pool)
                await workflow.arun("warm up")
                begun = time.perf_counter()
                async with asyncio.TaskGroup() as group:
                    runs = [
                        group.create_task(workflow.arun(Task.ask(f"Question {i}?", id=str(i))))
                        for i in range(workflows)
                    ]
                took = time.perf_counter() - begun
    assert all(run.result().answer == "56" and run.result().usage.calls == SAMPLES for run in runs)
    return took


async def uneven(graphs: int) -> float:
    """Wall seconds of this many two-branch graphs at once."""
    slow, fast = "latency_s: 3.0, tokens_per_s: 1.0e+9", "latency_s: 1.0, tokens_per_s: 1.0e+9"
    text = f"""
    archloom: 1
    answer: number
    models:
      slow: {{provider: simulated, model: slow, {slow}, sleep: true, max_concurrency: {4 * graphs}}}
      fast: {{provider: simulated, model: fast, {fast}, sleep: true, max_concurrency: {4 * graphs}}}
    nodes:
      left: {{type: generator, model: slow}}
      left_again: {{type: generator, model: fast, after: left}}
      right: {{type: generator, model: fast}}
      right_again: {{type: generator, model: slow, after: right}}
      answer: {{type: vote, after: [left_again, right_again]}}
    output: answer
    """
    configuration = Document.parse(text).configure()
    async with ModelPool(MemoryStore()) as pool:
        workflow = Workflow(configuration, pool=pool)
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(graphs):
                question = f"Simulated task uneven/0/{number}: find its number."
                group.create_task(workflow.arun(Task.ask(question, id=str(number))))
        return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workflows", type=int, default=1000)
    parser.add_argument("--graphs", type=int, default=100)
    given = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)  # as the command line does
    bound_s = given.workflows * SAMPLES * LATENCY_S / LIMIT
    took_s = asyncio.run(many(given.workflows))
    print(f"{given.workflows} workflows of {SAMPLES} samples: {took_s:.2f} s = {took_s / bound_s:.3f} x the endpoint's")
    branches_s = asyncio.run(uneven(given.graphs))
    print(f"{given.graphs} uneven two-branch graphs: {branches_s:.2f} s = {branches_s / 4.0:.3f} x the critical path")
    good = took_s <= 1.15 * bound_s and branches_s <= 1.05 * 4.0
    print("goals 1.15 x and 1.05 x:", "met" if good else "missed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
