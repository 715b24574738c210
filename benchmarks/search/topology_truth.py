"""What the best graphs of ``topology.py`` score: a search of some minutes without a budget, judged on fresh tasks.

    python benchmarks/search/topology_truth.py

Random graphs are observed on a few tasks and the best of them on more; then, a few times, all graphs that are one edit
from the two best are. What scores best in the end is evaluated on as many tasks again, which none of this has seen. It
shows what a search with a budget leaves behind, and is no proof that nothing better exists.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np
from topology import SPACE, true_score

from archloom.graphs import Document
from archloom.orchestrator import Cell, Evaluator, ModelPool
from archloom.orchestrator.models import MemoryStore
from archloom.search import DocumentSpace, Point, space_of, wilson
from archloom.tasks import TaskSet, load_tasks

FEW, MORE = 40, 200
KEPT, ROUNDS, PARENTS, SHOWN = 30, 4, 2, 3


class Seen:
    """Graphs and their cells on the first tasks."""

    def __init__(self, space: DocumentSpace, tasks: TaskSet, limit: float) -> None:
        self.space = space
        self.spent = 0
        self._tasks = tasks
        self._limit = limit
        self._ids = [example.task.id for example in tasks.examples]
        self._cells: dict[Point, list[Cell]] = {}

    async def observe(self, points: Iterable[Point], tasks: int) -> None:
        """Sees to it that each graph has cells on so many tasks; samples are not kept between graphs."""
        async with ModelPool(MemoryStore()) as pool:
            evaluator = Evaluator(pool, self._tasks)
            for point in points:
                own = self._cells.setdefault(point, [])
                wanted = self._ids[len(own) : tasks]
                own += [cell async for cell, _ in evaluator.observe(self.space.configuration(point), wanted)]
            self.spent += pool.charged.settled.tokens

    def best(self, tasks: int, count: int) -> list[Point]:
        """The graphs within the limit that score best among those seen on so many tasks."""
        known = [point for point, own in self._cells.items() if len(own) >= tasks and self._within(own)]
        return sorted(known, key=lambda point: fmean(cell.value for cell in self._cells[point]), reverse=True)[:count]

    def new(self, points: Iterable[Point]) -> list[Point]:
        """Those that were never looked at."""
        return [point for point in dict.fromkeys(points) if point not in self._cells]

    def _within(self, cells: Sequence[Cell]) -> bool:
        return fmean(cell.tokens for cell in cells) <= self._limit


async def climb(seen: Seen, graphs: int, tasks: int, seed: int) -> list[Point]:
    """The best graphs that it comes to."""
    rng, more = np.random.default_rng(seed), min(MORE, tasks)
    await seen.observe(new := seen.new(seen.space.sample(rng) for _ in range(graphs)), FEW)
    for _ in range(ROUNDS):
        await seen.observe([point for point in seen.best(FEW, len(new)) if point in set(new)][:KEPT], more)
        near = [each for point in seen.best(more, PARENTS) for each in seen.space.neighbours(point)]
        await seen.observe(new := seen.new(near), FEW)
    await seen.observe([point for point in seen.best(FEW, len(new)) if point in set(new)][:KEPT], more)
    await seen.observe(seen.best(more, KEPT // 2), tasks)
    return seen.best(tasks, SHOWN)


async def run(graphs: int, tasks: int, seed: int) -> None:
    """Prints markdown."""
    document = Document.parse(SPACE)
    split = load_tasks(f"simulated:truth{seed}?size={2 * tasks}").split(tasks, tasks, seed=seed)
    limit = document.search.objective.within.tokens or float("inf")
    seen = Seen(space_of(document), split.search, limit)
    best = await climb(seen, graphs, tasks, seed)
    sys.stdout.write(f"{seen.spent:,} tokens\n\n")
    sys.stdout.write(f"| graph | score on {tasks} fresh tasks | tokens a task |\n|---|---|---|\n")
    for point in best:
        score, tokens = await true_score(seen.space, point, split.report)
        _, low, high = wilson(score * tasks, tasks)
        words = seen.space.describe(point)
        sys.stdout.write(f"| {words} | {score:.3f} [{low:.3f}, {high:.3f}] | {tokens:.0f} |\n")


def main() -> None:
    """Climbs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=700, help="random graphs to begin with")
    parser.add_argument("--tasks", type=int, default=600, help="tasks of the last comparison, and of the fresh one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    asyncio.run(run(args.graphs, args.tasks, args.seed))


if __name__ == "__main__":
    main()
