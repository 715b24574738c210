"""Searches by replay: tables whose every cell is known, and what an optimizer's recommendation was worth on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from archloom.graphs import Objective
from archloom.search._table import Entry, Table, TableEvaluator
from archloom.search.optimizers import Observation, make_optimizer

SHARES = (0.05, 0.10, 0.20, 0.33)
"""Shares of the brute-force spend at which a recommendation is judged."""
SHAPES = ((9, 9), (5, 4, 4), (3, 3, 3, 3), (12, 6))


class Run(NamedTuple):
    """Regret at each share of the spend, and the times of all questions to the optimizer."""

    regrets: tuple[float, ...]
    asks_s: tuple[float, ...]


def replay(table: Table, method: str, options: Mapping[str, object], seed: int) -> Run:
    """One search on a table, until the largest share of the spend is used or the optimizer is done.

    A seed shuffles the tasks and seeds the optimizer. Regret is the best configuration's mean score over all tasks
    of the table minus that of the recommended one, just before the first cell that would exceed a share of the spend.
    """
    evaluator = TableEvaluator(table)
    task_ids = np.random.default_rng(seed).permutation(evaluator.task_ids).tolist()
    optimizer = make_optimizer(method, evaluator.space, task_ids, Objective(), seed=seed, options=options)
    truth = evaluator.true_scores()
    limits = [share * evaluator.brute_force_usd for share in SHARES]
    regrets: list[float] = []
    asks_s: list[float] = []
    wanted = [Observation(evaluator.space.points()[0], ())]
    while wanted:
        began = time.perf_counter()
        wanted = optimizer.ask()
        asks_s.append(time.perf_counter() - began)
        for point, task in [(observation.point, task) for observation in wanted for task in observation.task_ids]:
            next_usd = evaluator.spent_usd + evaluator.cell(point, task).cost_usd
            while len(regrets) < len(limits) and next_usd > limits[len(regrets)]:
                regrets.append(max(truth.values()) - truth[optimizer.recommend().point])
            if len(regrets) == len(limits):
                return Run(tuple(regrets), tuple(asks_s))
            optimizer.tell(evaluator.observe([Observation(point, (task,))]))
    final = max(truth.values()) - truth[optimizer.recommend().point]
    return Run((*regrets, *[final] * (len(limits) - len(regrets))), tuple(asks_s))


def simulated(number: int) -> Table:
    """A table with known make-up: main effects, interactions, tasks that suit some options, dear good options.

    The shape and the size of every component vary from table to table, so that no one of them decides the tuning.
    """
    rng = np.random.default_rng([7, number])
    sizes, tasks = SHAPES[number % len(SHAPES)], int(rng.choice([100, 200]))
    points = np.array(list(product(*map(range, sizes))))
    one_hot = np.concatenate([np.eye(size)[points[:, axis]] for axis, size in enumerate(sizes)], axis=1)
    main = np.concatenate([rng.normal(0, rng.choice([0.3, 0.8, 1.5]), size) for size in sizes])
    level = rng.normal(0.5, 0.5) + one_hot @ main + rng.normal(0, rng.choice([0.0, 0.1, 0.2]), len(points))
    for first, second in product(range(len(sizes)), repeat=2):
        if first < second:
            effects = rng.normal(0, rng.choice([0.0, 0.3, 0.6]), (sizes[first], sizes[second]))
            level = level + effects[points[:, first], points[:, second]]
    suits = rng.normal(0, rng.choice([0.0, 0.7, 1.5]) / math.sqrt(len(sizes)), (one_hot.shape[1], tasks))
    logit = level[:, None] + rng.normal(0, rng.choice([1.0, 2.0]), tasks) + one_hot @ suits
    logit = logit + rng.normal(0, rng.choice([0.5, 1.0, 1.5]), logit.shape)
    scores = (logit > 0).astype(float) if rng.random() < 0.5 else np.round(6 / (1 + np.exp(-1.5 * logit))) / 6
    price = one_hot @ (0.5 * main + rng.normal(0, 1, len(main)))
    costs = np.exp(price[:, None] + rng.normal(0, 0.3, tasks) + rng.normal(0, 0.2, logit.shape))
    names = [" + ".join(f"role{axis}={option:02}" for axis, option in enumerate(point)) for point in points]
    ids = tuple(map(str, range(tasks)))
    entries = {
        name: {task: Entry(scores[row, q], 1.0, 0, 0, costs[row, q]) for q, task in enumerate(ids)}
        for row, name in enumerate(names)
    }
    return Table(f"simulated {number}", tuple(names), ids, entries)
