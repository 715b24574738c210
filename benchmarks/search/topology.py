"""Compares optimizers on a free topology of simulated models: the true score of what they recommend at equal tokens.

    python benchmarks/search/topology.py --out topology.jsonl
    python benchmarks/search/topology.py --out topology.jsonl --methods race random --seeds 20 --tokens 1000000

Every run has its own empty store, its own tasks, and the same budget of charged tokens. At shares of that budget, what
the optimizer recommends is evaluated on tasks that it never sees. Each run is a line of the file; runs that are there
are not done again, so an interrupted comparison goes on with the same command.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from archloom.graphs import Document
from archloom.nodes import Budget
from archloom.orchestrator import Evaluator, ModelPool
from archloom.orchestrator.errors import SearchBudgetError
from archloom.orchestrator.models import MemoryStore
from archloom.search import DocumentSpace, Point, space_of
from archloom.search.optimizers import make_optimizer
from archloom.tasks import load_tasks

SHARES = (0.25, 0.5, 1.0)
METHODS: Mapping[str, Mapping[str, object]] = {
    "random": {},
    "race": {"regret": 0.0},
    "reinforce": {},
    "reinforce, no baseline": {"baseline": "none"},
    "agent_reinforce": {"budget": 24},
    "mcts": {},
}
SPACE = """\
archloom: 1
name: topology
answer: number
models:
  solver: {provider: simulated, model: solver, skill: [3, 3], shared_difficulty: 0.7, tokens: 40,
           hit: 0.75, false_alarm: 0.3, fixes: 0.25, breaks: 0.1}
  tiny: {provider: simulated, model: tiny, skill: [2, 4], shared_difficulty: 0.7, tokens: 20,
         hit: 0.6, false_alarm: 0.4, fixes: 0.1, breaks: 0.2}
  judge: {provider: simulated, model: judge, skill: [3, 4], shared_difficulty: 0.5, tokens: 40,
          hit: 0.92, false_alarm: 0.12, fixes: 0.15, breaks: 0.05}
nodes:
  draft: {type: generator, model: solver, max_tokens: 128}
  answer: {type: vote, after: draft}
output: answer
search:
  objective: {maximize: score, within: {tokens: 1000}}
  topology: {roles: [generator, fuser, critic, verifier], models: [solver, tiny, judge], max_nodes: 8}
"""


async def run(method: str, seed: int, *, tokens: int, tasks: int, held_out: int) -> dict[str, Any]:
    """One search; the true score of its recommendation at each share of the tokens."""
    document = Document.parse(SPACE)
    space = space_of(document)
    split = load_tasks(f"simulated:topology{seed}?size={tasks + held_out}").split(tasks, held_out, seed=seed)
    ids = [example.task.id for example in split.search.examples]
    kind = method.partition(",")[0]
    optimizer = make_optimizer(kind, space, ids, document.search.objective, seed=seed, options=METHODS[method])
    found: list[Point] = []
    async with ModelPool(MemoryStore(), budget=Budget(tokens=tokens)) as pool:
        evaluator = Evaluator(pool, split.search)
        try:
            while wanted := optimizer.ask():
                for observation in wanted:
                    configuration = space.configuration(observation.point)
                    cells = [cell async for cell, _ in evaluator.observe(configuration, observation.task_ids)]
                    optimizer.tell(sorted(cells, key=lambda cell: ids.index(cell.task)))
                    while len(found) < len(SHARES) and pool.charged.settled.tokens >= SHARES[len(found)] * tokens:
                        found.append(optimizer.recommend().point)
        except SearchBudgetError:
            pass  # the end of every run that does not stop by itself
        spent = pool.charged.settled.tokens
    found += [optimizer.recommend().point] * (len(SHARES) - len(found))
    truth = {point: await true_score(space, point, split.report) for point in dict.fromkeys(found)}
    return {
        "method": method,
        "seed": seed,
        "tokens": tokens,
        "spent": spent,
        "scores": [truth[point][0] for point in found],
        "deployed_tokens": [truth[point][1] for point in found],
        "recommended": space.describe(found[-1]),
    }


async def true_score(space: DocumentSpace, point: Point, tasks: Any) -> tuple[float, float]:
    """Mean score and tokens on held-out tasks."""
    async with ModelPool(MemoryStore()) as pool:
        evaluator = Evaluator(pool, tasks)
        ids = [example.task.id for example in tasks.examples]
        cells = [cell async for cell, _ in evaluator.observe(space.configuration(point), ids)]
    return fmean(cell.value for cell in cells), fmean(cell.tokens for cell in cells)


def markdown(rows: list[dict[str, Any]]) -> str:
    """A row per method: mean true score with its 95% interval over seeds, at each share of the tokens."""
    lines = [
        "| method | " + " | ".join(f"{share:.0%}" for share in SHARES) + " | deployed tokens | seeds |",
        "|---" * (len(SHARES) + 3) + "|",
    ]
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        if not own:
            continue
        cells = [_interval([row["scores"][place] for row in own]) for place in range(len(SHARES))]
        deployed = fmean(row["deployed_tokens"][-1] for row in own)
        lines.append(f"| {method} | {' | '.join(cells)} | {deployed:.0f} | {len(own)} |")
    return "\n".join([*lines, ""])


def _interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{fmean(values):.3f}"
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return f"{fmean(values):.3f} ± {half:.3f}"


def main() -> None:
    """Runs what is missing and prints markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of finished runs, a JSON line each")
    parser.add_argument("--seeds", type=int, default=3, help="runs per method")
    parser.add_argument("--tokens", type=int, default=400_000, help="charged tokens of a run")
    parser.add_argument("--tasks", type=int, default=40, help="tasks that a search may look at")
    parser.add_argument("--held-out", type=int, default=200, help="tasks on which recommendations are judged")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    args = parser.parse_args()
    lines = args.out.read_text(encoding="utf-8").splitlines() if args.out.exists() else []
    rows = [row for row in map(json.loads, lines) if row["tokens"] == args.tokens]
    done = {(row["method"], row["seed"]) for row in rows}
    for seed in range(args.seeds):
        for method in args.methods:
            if (method, seed) not in done:
                sizes = {"tokens": args.tokens, "tasks": args.tasks, "held_out": args.held_out}
                rows.append(asyncio.run(run(method, seed, **sizes)))
                with args.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
                sys.stderr.write(f"{method} {seed}: {rows[-1]['scores']} {rows[-1]['recommended']}\n")
    sys.stdout.write(markdown(rows))


if __name__ == "__main__":
    main()
