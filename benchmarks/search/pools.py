"""Compares optimizers on sample pools: how close they come to the best configuration for the tokens they are charged.

    python benchmarks/search/pools.py --seeds 30
    python benchmarks/search/pools.py --short

The space has four models, 1 to 64 samples, and four ways to choose among them: majority, weighted vote, best of
majority, the verifier's favourite. Models and tasks differ from seed to seed. The engine evaluates every configuration
on every task first, so what each is worth is known; the searches then observe these cells and are charged for the
samples that no earlier cell of theirs has drawn. The yardstick is what 50 full evaluations chosen by TPE use where
configurations share nothing, as published searches count it. Each run is a line of the file; runs that are there are
not done again.

Options are those of ``compare.py``; nothing was chosen on these spaces but that ``race`` takes free cells.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from curves import draw
from records import append, mean, read, shown, write

from archloom.graphs import Document
from archloom.orchestrator import Cell, Evaluator, ModelPool
from archloom.orchestrator.models import MemoryStore
from archloom.search import Interval, Point, space_of, wilson
from archloom.search.optimizers import make_optimizer
from archloom.tasks import load_tasks

NEAR = 0.01
TRIALS = 50
SHARES = (0.02, 0.05, 0.10)
METHODS: Mapping[str, Mapping[str, object]] = {
    "race": {"regret": 0.0},
    "arm_elimination": {},
    "gp": {},
    "tpe": {},
    "random": {},
}
ALONE = "tpe, nothing shared"
SAMPLES = (1, 2, 4, 8, 16, 32, 64)
SHORT_SAMPLES, SHORT_TASKS = (1, 2, 4, 8, 16), 30
SPACE = """\
archloom: 1
name: pools
answer: number
models:
{models}
nodes:
  draft: {{type: generator, model: {{choose: [m1, m2, m3, m4]}}, samples: {{choose: {samples}}}, max_tokens: 256}}
  review: {{type: verifier, model: judge, keep: all, max_tokens: 64, after: draft}}
  majority: {{type: vote, after: draft}}
  weighted: {{type: vote, after: review, weight: score}}
  best_of_majority: {{type: vote, after: review, weight: score, by: mean, min_share: 0.25}}
  favourite: {{type: vote, after: review, weight: score, by: max}}
output: {{choose: [majority, weighted, best_of_majority, favourite]}}
search: {{objective: {{maximize: score}}}}
"""


def document(seed: int, samples: Sequence[int]) -> Document:
    """The space of a seed: four models of different skill and length, and a judge that errs."""
    rng = np.random.default_rng([11, seed])
    lines = []
    for number in range(1, 5):
        right, sure, tokens = rng.uniform(0.2, 0.65), rng.uniform(1.5, 5.0), rng.uniform(30, 150)
        skill = f"[{right * sure:.2f}, {(1 - right) * sure:.2f}]"
        rest = f"shared_difficulty: 0.6, wrong_answers: {rng.integers(3, 12)}, tokens: {tokens:.0f}"
        lines.append(f"  m{number}: {{provider: simulated, model: m{number}, skill: {skill}, {rest}}}")
    rates = f"hit: {rng.uniform(0.7, 0.95):.2f}, false_alarm: {rng.uniform(0.1, 0.5):.2f}"
    lines.append(f"  judge: {{provider: simulated, model: judge, {rates}, tokens: 30}}")
    return Document.parse(SPACE.format(models="\n".join(lines), samples=list(samples)))


class Pools:
    """What a search is charged: samples and verdicts of each model and task that were not drawn before."""

    def __init__(self) -> None:
        self.tokens = 0
        self._drawn: dict[tuple[str, object, str], int] = {}

    def observe(self, choices: Mapping[str, object], cell: Cell, drafted: Cell) -> None:
        """Charges a cell; ``drafted`` is the cell of the same drafts without a verifier."""
        model = choices["nodes.draft.model"]
        self._charge(("drafts", model, cell.task), drafted.tokens)
        self._charge(("verdicts", model, cell.task), cell.tokens - drafted.tokens)

    def _charge(self, pool: tuple[str, object, str], tokens: int) -> None:
        known = self._drawn.get(pool, 0)
        self.tokens += max(0, tokens - known)
        self._drawn[pool] = max(known, tokens)


class World:
    """A space, and the cell of every configuration on every task."""

    def __init__(self, seed: int, samples: Sequence[int], tasks: int) -> None:
        self.seed = seed
        self.space = space_of(document(seed, samples))
        self._tasks = load_tasks(f"simulated:pools{seed}?size={tasks}")
        ids = [example.task.id for example in self._tasks.examples]
        self._ids = np.random.default_rng(seed).permutation(ids).tolist()
        self._cells: dict[Point, dict[str, Cell]] = {}
        self._choices = {point: self.space.assignment(point) for point in self.space.points()}
        self._majority = {
            (choices["nodes.draft.model"], choices["nodes.draft.samples"]): point
            for point, choices in self._choices.items()
            if choices["output"] == "majority"
        }
        self.every_tokens = 0

    async def evaluate_all(self) -> None:
        """Fills the table through the engine, whose account must agree with that of :class:`Pools`."""
        async with ModelPool(MemoryStore()) as pool:
            evaluator = Evaluator(pool, self._tasks)
            for point in self.space.points():
                observed = evaluator.observe(self.space.configuration(point), self._ids)
                self._cells[point] = {cell.task: cell async for cell, _ in observed}
            self.every_tokens = pool.charged.settled.tokens
        counted = Pools()
        for point in self.space.points():
            for task in self._ids:
                self._observe(counted, point, task)
        assert counted.tokens == self.every_tokens, "the engine is charged for what the pools lack"

    def _observe(self, pools: Pools, point: Point, task: str) -> Cell:
        choices, cell = self._choices[point], self._cells[point][task]
        majority = self._majority[choices["nodes.draft.model"], choices["nodes.draft.samples"]]
        pools.observe(choices, cell, self._cells[majority][task])
        return cell

    def run(self, method: str, limit: float) -> Iterator[tuple[int, int, float]]:
        """One search: after each answer what it was charged, what its cells would cost alone, and its regret."""
        truth = {point: fmean(cell.value for cell in own.values()) for point, own in self._cells.items()}
        objective = self.space.document.search.objective
        optimizer = make_optimizer(
            method, self.space, self._ids, objective, seed=self.seed, options=dict(METHODS[method])
        )
        pools, alone, evaluated = Pools(), 0, 0
        while pools.tokens < limit and evaluated < TRIALS * len(self._ids) and (wanted := optimizer.ask()):
            found = [self._observe(pools, each.point, task) for each in wanted for task in each.task_ids]
            optimizer.tell(found)
            alone += sum(cell.tokens for cell in found)
            evaluated += len(found) if method == "tpe" else 0
            yield pools.tokens, alone, max(truth.values()) - truth[optimizer.recommend().point]


def searches(seed: int, methods: Sequence[str], samples: Sequence[int], tasks: int) -> Iterator[dict[str, Any]]:
    """The finished runs of a seed."""
    world = World(seed, samples, tasks)
    asyncio.run(world.evaluate_all())
    trials = list(world.run("tpe", float("inf")))
    shared, alone, _ = trials[-1]
    for method in methods:
        steps = trials if method == "tpe" else list(world.run(method, max(SHARES) * alone))
        trace = [(charged, round(regret, 9)) for charged, _, regret in steps]
        sizes = {"samples": list(samples), "tasks": tasks}
        spends = {"trials_alone": alone, "trials_shared": shared, "every_tokens": world.every_tokens}
        yield {"method": method, "seed": seed, **sizes, **spends, "trace": trace}
        if method == "tpe":
            trace = [(by_itself, round(regret, 9)) for _, by_itself, regret in steps]
            yield {"method": ALONE, "seed": seed, **sizes, **spends, "trace": trace}


def regret_at(row: Mapping[str, Any], tokens: float) -> float:
    """What the recommendation lacked when the next cells would have exceeded these tokens; 1 before the first."""
    return next((regret for charged, regret in reversed(row["trace"]) if charged <= tokens), 1.0)


def near_after(row: Mapping[str, Any], yardstick: str = "trials_alone") -> float:
    """Share of the yardstick after which the recommendation was and stayed within a point; infinite if it was not."""
    until = float("inf")
    for charged, regret in reversed(row["trace"]):
        if regret > NEAR:
            break
        until = charged / row[yardstick]
    return until


def means(rows: Sequence[Mapping[str, Any]]) -> list[Interval]:
    """Mean regret of some runs at each share of the yardstick."""
    return [mean([regret_at(row, share * row["trials_alone"]) for row in rows]) for share in SHARES]


def by_method(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The runs of each method that has any, the one with the smallest regret at the end first."""
    found = {method: [row for row in rows if row["method"] == method] for method in (*METHODS, ALONE)}
    return dict(sorted(((m, own) for m, own in found.items() if own), key=lambda each: means(each[1])[-1].estimate))


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row per method: regret at shares of the yardstick, how often within a point, and when."""
    shares = " | ".join(f"{100 * share:.0f} %" for share in SHARES)
    lines = [
        f"| method | {shares} | within 1 point at {100 * SHARES[-1]:.0f} % | so from, median | seeds |",
        "|---" * (len(SHARES) + 4) + "|",
    ]
    for method, own in by_method(rows).items():
        near = wilson(sum(regret_at(row, SHARES[-1] * row["trials_alone"]) <= NEAR for row in own), len(own))
        cells = " | ".join(map(shown, means(own)))
        lines.append(f"| {method} | {cells} | {shown(near, 2)} | {_share(median(map(near_after, own)))} | {len(own)} |")
    return "\n".join([*lines, ""])


def where_shared(rows: Sequence[Mapping[str, Any]]) -> str:
    """What remains of the lead when the trials of the yardstick share samples, too."""
    worlds = list({row["seed"]: row for row in rows}.values())
    races = [row for row in rows if row["method"] == "race"]
    if not races:
        return ""
    shared, every = (
        fmean(row[name] / row["trials_alone"] for row in worlds) for name in ("trials_shared", "every_tokens")
    )
    when = median(near_after(row, "trials_shared") for row in races)
    soon = sum(regret_at(row, SHARES[-1] * row["trials_shared"]) <= NEAR for row in races)
    return (
        f"Where samples are shared, the trials use {_share(shared)} of the yardstick, and the whole space "
        f"{_share(every)}.\nOf that smaller sum `race` needs {_share(when)} in the median; {_share(SHARES[-1])} are "
        f"enough in {soon} of {len(races)} spaces.\n"
    )


def _share(value: float) -> str:
    return "never" if value == float("inf") else f"{100 * value:.1f} %"


def main() -> None:
    """Does the runs that are missing, and prints markdown of all that are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/pools.jsonl"), help="file of finished runs")
    parser.add_argument("--seeds", type=int, default=30, help="runs per method, each in a space of its own")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first run")
    parser.add_argument("--tasks", type=int, default=90, help="tasks of a search")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--short", action="store_true", help="two seeds of a small space: seconds, and wide intervals")
    parser.add_argument("--markdown", action="store_true", help="run nothing, show what the file has")
    parser.add_argument("--write", type=Path, help="page that has this table between comments; it is replaced")
    parser.add_argument("--plot", type=Path, help="folder for a picture")
    args = parser.parse_args()
    samples: tuple[int, ...] = SAMPLES
    if args.short:
        args.seeds, args.tasks, samples = 2, SHORT_TASKS, SHORT_SAMPLES
    sizes = {"samples": list(samples), "tasks": args.tasks}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    done = {(row["seed"], row["method"]): row for row in read(args.out) if sizes.items() <= row.items()}
    for seed in () if args.markdown else seeds:
        missing = [method for method in args.methods if (seed, method) not in done]
        for row in searches(seed, missing, samples, args.tasks) if missing else ():
            append(args.out, row)
            done[seed, row["method"]] = row
            sys.stderr.write(f"{row['method']} {seed}: {row['trace'][-1]}, near from {_share(near_after(row))}\n")
    wanted = [(seed, method) for seed in seeds for method in (*args.methods, ALONE)]
    rows = [done[each] for each in wanted if each in done]
    sys.stdout.write(f"{markdown(rows)}\n{where_shared(rows)}")
    if args.write:
        write(args.write, "pools", markdown(rows))
    if args.plot:
        lines = {method: means(own) for method, own in by_method(rows).items()}
        title = f"Mean regret over sample pools, {args.seeds} spaces"
        draw(args.plot / "pools.svg", title, SHARES, lines, worth="regret, in score")


if __name__ == "__main__":
    main()
