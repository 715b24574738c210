"""How fast cells come out of a store that has every sample: votes over pools, other numbers of samples, whole graphs.

    python benchmarks/search/readouts.py

Nothing is drawn: the stores are filled first, and each measurement begins with a new evaluator that knows nothing.
Rates are cells for each second of processor time, on one core, in the median of several repetitions, so that other work
on the machine counts little. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from archloom.graphs import Configuration, Document
from archloom.orchestrator import Evaluator, ModelPool
from archloom.orchestrator.models import MemoryStore, SampleStore, SQLiteStore
from archloom.tasks import TaskSet, load_tasks

MODELS = (
    "models: {m: {provider: simulated, model: m, tokens: 60}, judge: {provider: simulated, model: judge, tokens: 30}}"
)
POOLS = f"""
archloom: 1
answer: number
{MODELS}
nodes:
  draft: {{type: generator, model: m, samples: {{choose: [1, 2, 4, 8, 16, 32, 64]}}}}
  review: {{type: verifier, model: judge, keep: all, max_tokens: 64, after: draft}}
  majority: {{type: vote, after: draft}}
  weighted: {{type: vote, after: review, weight: score}}
  best_of_majority: {{type: vote, after: review, weight: score, by: mean, min_share: 0.25}}
  favourite: {{type: vote, after: review, weight: score, by: max}}
output: {{choose: [majority, weighted, best_of_majority, favourite]}}
"""
GRAPH = f"""
archloom: 1
answer: number
{MODELS}
nodes:
  draft: {{type: generator, model: m, samples: 4}}
  review: {{type: critic, model: judge, after: draft}}
  fuse: {{type: fuser, model: m, samples: 2, after: review}}
  answer: {{type: vote, after: fuse}}
output: answer
"""


class Measured(NamedTuple):
    """Cells for each second of one core, and the goal where there is one."""

    what: str
    rate: float
    goal: int | None = None


def pools(outputs: Sequence[str]) -> list[Configuration]:
    """The configurations of the space with these outputs."""
    document = Document.parse(POOLS)
    samples = next(hole.options for hole in document.holes if hole.name == "nodes.draft.samples")
    return [document.configure({"nodes.draft.samples": n, "output": output}) for n in samples for output in outputs]


async def observe(evaluator: Evaluator, configurations: Sequence[Configuration], ids: Sequence[str]) -> float:
    """Cells for each second of processor time."""
    began, count = time.process_time(), 0
    for configuration in configurations:
        async for _ in evaluator.observe(configuration, ids):
            count += 1
    return count / (time.process_time() - began)


async def measure(store: SampleStore, tasks: TaskSet, repetitions: int) -> list[Measured]:
    """All rates over one store."""
    ids = [example.task.id for example in tasks.examples]
    every = pools(["weighted", "majority", "best_of_majority", "favourite"])
    judged, votes = pools(["weighted"]), pools(["best_of_majority", "favourite", "majority"])
    drafts, graph = pools(["majority"]), [Document.parse(GRAPH).configure()]
    async with ModelPool(store) as pool:
        await observe(Evaluator(pool, tasks), [*every, *graph], ids)
        paid = pool.charged.settled.calls
        rates: dict[str, list[float]] = {}
        for _ in range(repetitions):
            evaluator = Evaluator(pool, tasks)
            await observe(evaluator, judged, ids)
            rates.setdefault("other votes over pools seen before", []).append(await observe(evaluator, votes, ids))
            rates.setdefault("the same cells again", []).append(await observe(evaluator, every, ids))
            for what, configurations in (
                ("majority of 1 to 64 samples, pools not seen before", drafts),
                ("four votes over 1 to 64 samples, judged, pools not seen before", every),
                ("a four-node graph, not seen before", graph),
            ):
                rates.setdefault(what, []).append(await observe(Evaluator(pool, tasks), configurations, ids))
        assert pool.charged.settled.calls == paid, "everything was in the store"
    goals = {"other votes over pools seen before": 5_000, "a four-node graph, not seen before": 400}
    return [Measured(what, median(own), goals.get(what)) for what, own in rates.items()]


def main() -> int:
    """Prints markdown; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=90, help="tasks of each configuration")
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()
    tasks = load_tasks(f"simulated:readouts?size={args.tasks}")
    with tempfile.TemporaryDirectory() as folder:
        sqlite = SQLiteStore(Path(folder) / "samples.db")
        memory = asyncio.run(measure(MemoryStore(), tasks, args.repetitions))
        disk = asyncio.run(measure(sqlite, tasks, args.repetitions))
        sqlite.close()
    sys.stdout.write("| cells/s on one core | store in memory | SQLite | goal |\n|---|---|---|---|\n")
    for one, other in zip(memory, disk, strict=True):
        sys.stdout.write(f"| {one.what} | {one.rate:,.0f} | {other.rate:,.0f} | {one.goal or ''} |\n")
    return int(any(each.goal and each.rate < each.goal for each in (*memory, *disk)))


if __name__ == "__main__":
    sys.exit(main())
