"""Where ``race`` ends by itself on tables: what it has spent by then, and what it has found.

    python benchmarks/search/stop.py --data ../shared/data/agentopt
    python benchmarks/search/stop.py --simulated 24 --option regret=0.002

Spend is a share of that of evaluating every configuration on every task. Intervals are Wilson's for shares and paired
bootstrap ones for means, at 95 %.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from replay import simulated

from archloom.graphs import Objective
from archloom.search import Interval, paired_difference, wilson
from archloom.search._table import Table, TableEvaluator
from archloom.search.optimizers import make_optimizer

_ROUNDING = 1e-9


class Ended(NamedTuple):
    """A search that ended by itself: the share of the spend, and the regret of what it recommends."""

    spent: float
    regret: float


def to_the_end(table: Table, options: dict[str, object], seed: int) -> Ended:
    """One search; the seed shuffles the tasks and seeds the optimizer, as in ``compare.py``."""
    evaluator = TableEvaluator(table)
    task_ids = np.random.default_rng(seed).permutation(evaluator.task_ids).tolist()
    optimizer = make_optimizer("race", evaluator.space, task_ids, Objective(), seed=seed, options=options)
    while wanted := optimizer.ask():
        optimizer.tell(evaluator.observe(wanted))
    truth = evaluator.true_scores()
    regret = max(truth.values()) - truth[optimizer.recommend().point]
    return Ended(evaluator.spent_usd / evaluator.brute_force_usd, regret)


def _share(hits: int, n: int) -> str:
    return _interval(wilson(hits, n), "{:.2f}")


def _mean(values: list[float], digits: str) -> str:
    return _interval(paired_difference(values, [0.0] * len(values)), digits)


def _interval(interval: Interval, digits: str) -> str:
    estimate, low, high = map(digits.format, interval)
    return f"{estimate} [{low}, {high}]"


def main() -> None:
    """Prints a line of markdown per table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with published tables")
    parser.add_argument("--tables", nargs="*", default=["hotpotqa", "gpqa"], help="names of tables in that folder")
    parser.add_argument("--seeds", type=int, default=30, help="searches per table")
    parser.add_argument("--simulated", type=int, default=0, help="number of simulated tables, one search each")
    parser.add_argument("--option", nargs="*", default=[], help="options of race, such as regret=0.002")
    args = parser.parse_args()
    options: dict[str, object] = dict(option.split("=", 1) for option in args.option)
    sys.stdout.write("| table | n | best found | within 1 point | mean regret | spend, mean | spend, highest |\n")
    sys.stdout.write("|---" * 7 + "|\n")
    searches = {"simulated": [simulated(number) for number in range(args.simulated)]} if args.simulated else {}
    for name in args.tables if args.data else ():
        searches[name] = [Table.load(args.data / f"{name}.json.gz")] * args.seeds
    for name, tables in searches.items():
        ended = [to_the_end(table, options, seed) for seed, table in enumerate(tables)]
        best = _share(sum(each.regret < _ROUNDING for each in ended), len(ended))
        near = _share(sum(each.regret <= 0.01 for each in ended), len(ended))
        spent = [each.spent for each in ended]
        regret = _mean([each.regret for each in ended], "{:.4f}")
        mean, most = _mean(spent, "{:.3f}"), max(spent)
        sys.stdout.write(f"| {name} | {len(ended)} | {best} | {near} | {regret} | {mean} | {most:.3f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
