"""What the engine adds to the time that models take: a two-branch graph against its critical path, and its overhead.

    python benchmarks/engine/dataflow.py --repetitions 20

The graph has two branches of two steps, 0.3 + 0.1 s and 0.1 + 0.3 s, so nothing can be faster than 0.40 s. A graph that
runs in supersteps (LangGraph's StateGraph) waits for the slow step of each pair: 0.30 + 0.30 s. The overhead is that
of a four-node graph whose model answers at once. Ends with 1 when the workflow takes more than 1.1 times the critical
path.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median, quantiles
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from archloom.graphs import Document
from archloom.orchestrator import ModelPool, Workflow
from archloom.orchestrator.models import MemoryStore

SLOW_S, FAST_S = 0.3, 0.1
CRITICAL_PATH_S = SLOW_S + FAST_S
GOAL = 1.1

BRANCHES = f"""
archloom: 1
answer: number
models:
  slow: {{provider: simulated, model: slow, latency_s: {SLOW_S}, tokens_per_s: 1.0e+9, sleep: true}}
  fast: {{provider: simulated, model: fast, latency_s: {FAST_S}, tokens_per_s: 1.0e+9, sleep: true}}
nodes:
  left: {{type: generator, model: slow}}
  left_again: {{type: generator, model: fast, after: left}}
  right: {{type: generator, model: fast}}
  right_again: {{type: generator, model: slow, after: right}}
  answer: {{type: vote, after: [left_again, right_again]}}
output: answer
"""
FOUR_NODES = """
archloom: 1
answer: number
models:
  m: {provider: scripted, replies: ["The answer is 56.", "It is 54."]}
nodes:
  draft: {type: generator, model: m, samples: 4}
  review: {type: critic, model: m, after: draft}
  fuse: {type: fuser, model: m, samples: 2, after: review}
  answer: {type: vote, after: fuse}
output: answer
"""
QUESTION = "Simulated task dataflow/0/0: find its number."

Timed = Callable[[], Awaitable[float]]


def fresh(text: str) -> Timed:
    """Seconds of a workflow's first run, with an empty store."""
    configuration = Document.parse(text).configure()

    async def run() -> float:
        async with ModelPool(MemoryStore()) as pool:
            return await _seconds(Workflow(configuration, pool=pool))

    return run


def replayed(text: str, pool: ModelPool) -> Timed:
    """Seconds of a workflow that finds all samples in the store."""
    workflow = Workflow(Document.parse(text).configure(), pool=pool)
    return lambda: _seconds(workflow)


async def _seconds(workflow: Workflow) -> float:
    begun = time.perf_counter()
    result = await workflow.arun(QUESTION)
    elapsed_s = time.perf_counter() - begun
    assert result.error is None, result.message
    return elapsed_s


class _Empty(TypedDict):
    """The state of a graph whose nodes only wait."""


def in_state_graph() -> Timed:
    """Seconds of the same two branches as a plain StateGraph."""
    graph = StateGraph(_Empty)
    steps = {"left": SLOW_S, "left_again": FAST_S, "right": FAST_S, "right_again": SLOW_S, "answer": 0.0}
    for name, seconds in steps.items():
        graph.add_node(name, _waits(seconds))
    for start, end in ((START, "left"), (START, "right"), ("left", "left_again"), ("right", "right_again")):
        graph.add_edge(start, end)
    graph.add_edge(["left_again", "right_again"], "answer")
    graph.add_edge("answer", END)
    compiled = graph.compile()

    async def run() -> float:
        begun = time.perf_counter()
        await compiled.ainvoke({})
        return time.perf_counter() - begun

    return run


def _waits(seconds: float) -> Callable[[_Empty], Awaitable[_Empty]]:
    async def step(state: _Empty) -> _Empty:
        await asyncio.sleep(seconds)
        return state

    return step


async def measure(run: Timed, repetitions: int) -> list[float]:
    """Seconds of each repetition, after one that is not counted."""
    await run()
    return [await run() for _ in range(repetitions)]


def show(name: str, seconds: Sequence[float], against_s: float | None = None) -> None:
    """One line: median, quartiles, number."""
    low, _, high = quantiles(seconds, n=4)
    ratio = f"  {median(seconds) / against_s:5.3f} × critical path" if against_s else ""
    numbers = f"{1e3 * median(seconds):8.2f} ms  (quartiles {1e3 * low:.2f} to {1e3 * high:.2f}, n = {len(seconds)})"
    print(f"{name:<34}{numbers}{ratio}")


async def main(repetitions: int, runs: int) -> int:
    """Measures and prints; the exit code."""
    print(
        f"two branches, {SLOW_S} + {FAST_S} s and {FAST_S} + {SLOW_S} s; critical path {1e3 * CRITICAL_PATH_S:.0f} ms"
    )
    woven = await measure(fresh(BRANCHES), repetitions)
    show("workflow", woven, CRITICAL_PATH_S)
    show("plain StateGraph", await measure(in_state_graph(), repetitions), CRITICAL_PATH_S)
    print("four nodes, a model that answers at once")
    show("workflow, first run, 10 calls", await measure(fresh(FOUR_NODES), runs))
    async with ModelPool(MemoryStore()) as pool:
        show("workflow, replay", await measure(replayed(FOUR_NODES, pool), runs))
    return 0 if median(woven) <= GOAL * CRITICAL_PATH_S else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20, help="runs of each two-branch graph")
    parser.add_argument("--runs", type=int, default=200, help="runs of the four-node graph")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.repetitions, arguments.runs)))
