"""How long ``race`` thinks before it asks, with 500 configurations and 50,000 cells.

    python benchmarks/search/ask.py

Times are of whole questions on one core, each after the answer to the one before. Variance components are fitted
anew after each 30 % more cells; that fit is timed by itself, as the first question.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from itertools import product

TASKS, SIZES = 200, (5, 10, 10)
SEEN = 0.5
"""Share of all cells that are told before the first question."""


def main() -> None:
    """Prints a line of markdown per objective."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asks", type=int, default=40, help="questions timed for each objective")
    args = parser.parse_args()
    print("| objective | first, with fits | median | 95 % | cells |\n|---|---|---|---|---|")
    from archloom.graphs import Limits, Objective

    for name, objective in (
        ("score", Objective()),
        ("score within a limit", Objective(within=Limits(cost_usd=0.004))),
        ("front", Objective(pareto=("score", "cost_usd"))),
        ("front within a limit", Objective(pareto=("score", "cost_usd"), within=Limits(latency_s=1.5))),
    ):
        first, rest, cells = questions(objective, args.asks)
        middle, late = rest[len(rest) // 2], rest[math.ceil(0.95 * len(rest)) - 1]
        print(f"| {name} | {1000 * first:.0f} ms | {1000 * middle:.1f} ms | {1000 * late:.1f} ms | {cells:,} |")
        sys.stdout.flush()


def questions(objective: object, asks: int) -> tuple[float, Sequence[float], int]:
    """Seconds of the first question, of the others in rising order, and the number of cells at the end."""
    import numpy as np

    from archloom.graphs import Objective
    from archloom.orchestrator import Cell
    from archloom.search._space import Axis, Space
    from archloom.search.optimizers import Observation, make_optimizer

    assert isinstance(objective, Objective)
    space = Space(Axis(f"hole{number}", tuple(range(size))) for number, size in enumerate(SIZES))
    rng = np.random.default_rng(0)
    points = np.array(list(product(*map(range, SIZES))))
    effect = sum(rng.normal(0, 0.1, size)[points[:, axis]] for axis, size in enumerate(SIZES))
    scores = 0.5 + np.asarray(effect)[:, None] + rng.normal(0, 0.2, TASKS) + rng.normal(0, 0.3, (len(points), TASKS))
    costs = 0.002 * np.exp(np.asarray(effect)[:, None] * 5 + rng.normal(0, 0.3, (len(points), TASKS)))
    rows = {space.key(tuple(map(int, point))): row for row, point in enumerate(points)}
    tasks = tuple(f"t{number:03}" for number in range(TASKS))

    def cell(config: str, task: str) -> Cell:
        at = rows[config], int(task[1:])
        value = float(np.clip(scores[at], 0, 1))
        return Cell(config, task, value, 100, float(costs[at]), float(500 * costs[at]), 1)

    optimizer = make_optimizer("race", space, tasks, objective, options={"regret": 0})
    for config in rows:
        seen = tasks[: int(rng.integers(0, round(2 * SEEN * TASKS)))]
        optimizer.tell([cell(config, task) for task in seen])
    times = []
    for _ in range(asks + 1):
        began = time.process_time()
        wanted: Sequence[Observation] = optimizer.ask()
        times.append(time.process_time() - began)
        optimizer.tell([cell(space.key(item.point), task) for item in wanted for task in item.task_ids])
    return times[0], sorted(times[1:]), len(optimizer.cells)  # type: ignore[attr-defined]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
