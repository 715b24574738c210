"""Compares optimizers by replay on published tables: mean regret at shares of the brute-force spend.

    python benchmarks/search/race_on_tables.py --data ../shared/data/agentopt --seeds 30
    python benchmarks/search/race_on_tables.py --simulated 48

Regret is the best configuration's mean score over all tasks of the table minus that of the recommended one. A seed
shuffles the tasks and seeds the optimizer. Every method stops when the share of the spend (US dollars) is used.
The options of ``race`` were chosen on simulated tables (``--simulated``) and on gpqa, never on hotpotqa.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from archloom.graphs import Objective
from archloom.search._table import Entry, Table, TableEvaluator
from archloom.search.optimizers import make_optimizer

SHARES = (0.05, 0.10, 0.20, 0.33)
METHODS: dict[str, Mapping[str, object]] = {"random": {}, "tpe": {}, "race": {"regret": 0.0}}
SHAPES = ((9, 9), (5, 4, 4), (3, 3, 3, 3), (12, 6))


class Run(NamedTuple):
    """Regret at each share of the spend, and the slowest question to the optimizer."""

    regrets: tuple[float, ...]
    ask_s: float


def replay(table: Table, method: str, options: Mapping[str, object], seed: int) -> Run:
    """One search on a table that goes on until the largest share of the spend is used."""
    evaluator = TableEvaluator(table)
    task_ids = np.random.default_rng(seed).permutation(evaluator.task_ids).tolist()
    optimizer = make_optimizer(method, evaluator.space, task_ids, Objective(), seed=seed, options=options)
    truth, regrets, slowest = evaluator.true_scores(), [], 0.0
    best, brute_force_usd = max(truth.values()), evaluator.brute_force_usd
    wanted = []
    for share in SHARES:
        limit = share * brute_force_usd
        while True:
            if not wanted:
                began = time.perf_counter()
                wanted = optimizer.ask()
                slowest = max(slowest, time.perf_counter() - began)
            cells = evaluator.observe(wanted, budget_usd=limit)
            optimizer.tell(cells)
            count = sum(len(observation.task_ids) for observation in wanted)
            if len(cells) < count or not wanted:
                break
            wanted = []
        regrets.append(best - truth[optimizer.recommend().point])
        # What the limit cut off is wanted again under the next one.
        done = {(cell.config, cell.task) for cell in cells}
        wanted = [
            observation.__class__(observation.point, left)
            for observation in wanted
            if (
                left := tuple(
                    task
                    for task in observation.task_ids
                    if (evaluator.space.key(observation.point), task) not in done
                )
            )
        ]
    return Run(tuple(regrets), slowest)
