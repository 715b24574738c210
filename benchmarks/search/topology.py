"""Compares optimizers on a free topology of simulated models: the true score of what they recommend at equal tokens.

    python benchmarks/search/topology.py --seeds 30
    python benchmarks/search/topology.py --methods race random --seeds 20 --tokens 1000000
    python benchmarks/search/topology.py --short

Every run has its own empty store, its own tasks, and the same budget of charged tokens. At shares of that budget, what
the optimizer recommends is evaluated on tasks that it never sees. Each run is a line of the file; runs that are there
are not done again, so an interrupted comparison goes on with the same command. What was tried out to improve an
optimizer was tried on seeds from 100 on (``--first-seed``).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from curves import REFERENCE, draw
from records import append, mean, read, shown, write

from archloom.graphs import Document
from archloom.nodes import Budget
from archloom.orchestrator import Evaluator, ModelPool
from archloom.orchestrator.errors import SearchBudgetError
from archloom.orchestrator.models import MemoryStore
from archloom.search import DocumentSpace, Interval, Point, space_of
from archloom.search.optimizers import make_optimizer
from archloom.tasks import load_tasks

SHARES = (0.25, 0.5, 1.0)
SHORT_TOKENS = 60_000
METHODS: Mapping[str, Mapping[str, object]] = {
    "random": {},
    "race": {"regret": 0.0},
    "reinforce": {},
    "reinforce, no baseline": {"baseline": "none"},
    "agent_reinforce": {},
    "agent_reinforce, budget of 24": {"budget": 24},
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
        "tasks": tasks,
        "held_out": held_out,
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


def means(rows: Sequence[Mapping[str, Any]]) -> list[Interval]:
    """Mean true score of some runs at each share of the tokens."""
    return [mean([row["scores"][place] for row in rows]) for place in range(len(SHARES))]


def by_method(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The runs of each method that has any, the best in the end first."""
    found = {method: [row for row in rows if row["method"] == method] for method in METHODS}
    return dict(sorted(((m, own) for m, own in found.items() if own), key=lambda each: -means(each[1])[-1].estimate))


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A row per method: mean true score at each share of the tokens, and how far ``race`` leads in the end."""
    shares = " | ".join(f"{100 * share:.0f} %" for share in SHARES)
    lines = [
        f"| method | {shares} | `{REFERENCE}` leads by | tokens a task | seeds |",
        "|---" * (len(SHARES) + 4) + "|",
    ]
    best = {row["seed"]: row["scores"][-1] for row in rows if row["method"] == REFERENCE}
    for method, own in by_method(rows).items():
        leads = [best[row["seed"]] - row["scores"][-1] for row in own if row["seed"] in best]
        lead = shown(mean(leads)) if leads and method != REFERENCE else ""
        deployed = fmean(row["deployed_tokens"][-1] for row in own)
        lines.append(f"| {method} | {' | '.join(map(shown, means(own)))} | {lead} | {deployed:.0f} | {len(own)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Runs what is missing and prints markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/topology.jsonl"), help="file of finished runs")
    parser.add_argument("--seeds", type=int, default=3, help="runs per method")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first run")
    parser.add_argument("--tokens", type=int, default=400_000, help="charged tokens of a run")
    parser.add_argument("--tasks", type=int, default=40, help="tasks that a search may look at")
    parser.add_argument("--held-out", type=int, default=200, help="tasks on which recommendations are judged")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--short", action="store_true", help="one seed with few tokens: seconds, and no interval")
    parser.add_argument("--markdown", action="store_true", help="run nothing, show what the file has")
    parser.add_argument("--write", type=Path, help="page that has this table between comments; it is replaced")
    parser.add_argument("--plot", type=Path, help="folder for a picture")
    args = parser.parse_args()
    if args.short:
        args.seeds, args.tokens, args.held_out = 1, SHORT_TOKENS, 100
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    sizes = {"tokens": args.tokens, "tasks": args.tasks, "held_out": args.held_out}
    done = {(row["method"], row["seed"]): row for row in read(args.out) if sizes.items() <= row.items()}
    wanted = [(method, seed) for seed in seeds for method in args.methods]
    for method, seed in () if args.markdown else wanted:
        if (method, seed) not in done:
            row = asyncio.run(run(method, seed, **sizes))
            append(args.out, row)
            done[method, seed] = row
            sys.stderr.write(f"{method} {seed}: {row['scores']} {row['recommended']}\n")
    rows = [done[each] for each in wanted if each in done]
    sys.stdout.write(markdown(rows))
    if args.write:
        write(args.write, "topology", markdown(rows))
    if args.plot:
        lines = {method: means(own) for method, own in by_method(rows).items()}
        title = f"Score of the recommended graph, {args.tokens:,} tokens, {args.seeds} runs a method"
        draw(args.plot / "topology.svg", title, SHARES, lines, worth="mean score on tasks not seen")


if __name__ == "__main__":
    main()
