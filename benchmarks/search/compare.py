"""Compares optimizers by replay on tables: mean regret at shares of the brute-force spend.

    python benchmarks/search/compare.py --data ../shared/data/agentopt --workers 4
    python benchmarks/search/compare.py --data ../shared/data/agentopt --short
    python benchmarks/search/compare.py --simulated 96 --optimizers random race
    python benchmarks/search/compare.py --data ../shared/data/agentopt --tables hotpotqa --write docs/search.md

Each finished run is one JSON line of the output file, and a run that is there is not done again: an interrupted
comparison goes on, and more seeds or optimizers can be added later. Name another file after the code has changed.

The options of ``race`` were chosen on simulated tables and on gpqa, never on hotpotqa; those of the others are their
authors' or ours before any table was looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from curves import draw
from records import shown, write
from replay import SHARES, replay, simulated

from archloom.search import Interval, paired_difference
from archloom.search._table import Table

METHODS: dict[str, tuple[str, Mapping[str, object]]] = {
    "grid": ("grid", {}),
    "random": ("random", {}),
    "random+wilcoxon": ("random", {"pruner": "wilcoxon"}),
    "random+hyperband": ("random", {"pruner": "hyperband"}),
    "tpe": ("tpe", {}),
    "tpe+wilcoxon": ("tpe", {"pruner": "wilcoxon"}),
    "tpe+hyperband": ("tpe", {"pruner": "hyperband"}),
    "gp": ("gp", {}),
    "nsga2": ("nsga2", {}),
    "itas": ("itas", {}),
    "itas-gp": ("itas", {"variant": "gp"}),
    "arm_elimination": ("arm_elimination", {}),
    "matrix_ucb": ("matrix_ucb", {}),
    "reinforce": ("reinforce", {}),
    "reinforce, no baseline": ("reinforce", {"baseline": "none"}),
    "agent_reinforce, no model": ("agent_reinforce", {}),
    "agent_tts, no model": ("agent_tts", {}),
    "mcts, no model": ("mcts", {}),
    "race": ("race", {"regret": 0.0}),
}
SHORT_SEEDS = 3
_JUDGED = 2  # the share of the spend by which methods are put in order
SIMULATED = "simulated"


class Job(NamedTuple):
    """One run: a method on a table with a seed. Of simulated tables there is another one for each seed."""

    table: str
    method: str
    options: str
    seed: int


def jobs(args: argparse.Namespace) -> Iterator[Job]:
    """All runs that are wanted, seed by seed, so that a comparison cut short is a fair one with fewer seeds."""
    given = dict(option.split("=", 1) for option in args.option)
    counts = {**(dict.fromkeys(args.tables, args.seeds) if args.data else {}), SIMULATED: args.simulated}
    for seed in range(max(counts.values())):
        for table, count in counts.items():
            for method in args.optimizers if seed < count else ():
                name, options = METHODS.get(method, (method, {}))
                options = {**options, **(given if name == "race" else {})}
                yield Job(table, method, json.dumps(options, sort_keys=True), seed)


@lru_cache(maxsize=4)
def _table(folder: Path | None, name: str, seed: int) -> Table:
    return simulated(seed) if folder is None else Table.load(folder / f"{name}.json.gz")


def run(job: Job, folder: Path | None) -> dict[str, Any]:
    """Does a run; what it returns is a line of the output file."""
    began = time.perf_counter()
    table = _table(None, SIMULATED, job.seed) if job.table == SIMULATED else _table(folder, job.table, 0)
    name, _ = METHODS.get(job.method, (job.method, {}))
    found = replay(table, name, json.loads(job.options), job.seed)
    return {
        **job._asdict(),
        "regrets": found.regrets,
        "asks": len(found.asks_s),
        "ask_s": median(found.asks_s),
        "wall_s": round(time.perf_counter() - began, 3),
    }


def finished(path: Path) -> dict[Job, dict[str, Any]]:
    """The runs in an output file; a last line that was not written whole is ended, and does not count."""
    if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        with path.open("a") as file:
            file.write("\n")
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[Job(row["table"], row["method"], row["options"], row["seed"])] = row
    return found


def means(rows: Sequence[Mapping[str, Any]]) -> list[Interval]:
    """Mean regret of some runs at each share of the spend, with its bootstrap interval."""
    every = ([row["regrets"][place] for row in rows] for place in range(len(SHARES)))
    return [paired_difference(regrets, [0.0] * len(regrets)) for regrets in every]


def ranked(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The runs of each method, the one with the smallest mean regret at 20 % first."""
    return dict(sorted(rows.items(), key=lambda item: means(item[1])[_JUDGED].estimate))


def markdown(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A row per method: mean regret at each share of the spend, and how often it was within 1 point at 20 %."""
    shares = " | ".join(f"{share:.0%}".replace("%", " %") for share in SHARES)
    lines = [
        f"| method | n | {shares} | within 1 point at 20 % |",
        "|---" * (len(SHARES) + 3) + "|",
    ]
    for method, own in ranked(rows).items():
        near = fmean(row["regrets"][_JUDGED] <= 0.01 for row in own)
        cells = " | ".join(map(shown, means(own)))
        lines.append(f"| {method} | {len(own)} | {cells} | {near:.2f} |")
    return "\n".join([*lines, ""])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with published tables, such as hotpotqa.json.gz")
    parser.add_argument("--tables", nargs="*", default=["hotpotqa", "gpqa"], help="names of tables in that folder")
    parser.add_argument("--seeds", type=int, default=30, help="runs per method on each published table")
    parser.add_argument("--simulated", type=int, default=0, help="number of simulated tables, one run each")
    parser.add_argument("--optimizers", nargs="*", default=list(METHODS), metavar="NAME")
    parser.add_argument("--option", nargs="*", default=[], help="options of race, such as batch=4")
    parser.add_argument("--out", type=Path, default=Path("runs/compare.jsonl"), help="file of finished runs")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--write", type=Path, help="page that has these tables between comments; they are replaced")
    parser.add_argument("--plot", type=Path, help="folder for a picture of each table")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_SEEDS} seeds: minutes, and wide intervals")
    args = parser.parse_args()
    if args.short:
        args.seeds = SHORT_SEEDS
    return args


def main() -> None:
    """Does the runs that are missing, and prints markdown of all that are wanted."""
    args = arguments()
    wanted, done = list(jobs(args)), finished(args.out)
    missing = [job for job in wanted if job not in done]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # Fresh processes, so that each reads how many threads it may use before it loads numpy.
    with args.out.open("a") as file, ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, job, args.data): job for job in missing}
        try:
            for number, future in enumerate(as_completed(running), 1):
                done[running[future]] = row = future.result()
                file.write(json.dumps(row) + "\n")
                file.flush()
                sys.stderr.write(f"\r{number}/{len(missing)} runs")
        finally:
            pool.shutdown(cancel_futures=True)
            sys.stderr.write("\n" if missing else "")
    for table in dict.fromkeys(job.table for job in wanted):
        rows: dict[str, list[dict[str, Any]]] = {}
        for job in wanted:
            if job.table == table:
                rows.setdefault(job.method, []).append(done[job])
        sys.stdout.write(f"### {table}\n\n{markdown(rows)}\n")
        if args.write:
            write(args.write, f"compare {table}", markdown(rows))
        if args.plot:
            title = f"Mean regret on {table}, {max(map(len, rows.values()))} runs a method"
            lines = {method: means(own) for method, own in ranked(rows).items()}
            draw(args.plot / f"{table}.svg", title, SHARES, lines, worth="regret, in score")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
