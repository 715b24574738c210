"""``archloom eval``: workflows on a task set, against what the same tokens buy otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archloom.cli._app import app
from archloom.cli._live import Live
from archloom.cli._options import (
    STORE,
    Json,
    MaxTokens,
    MaxUsd,
    Record,
    Replay,
    Set,
    Store,
    Tasks,
    print_json,
    run_folder,
    store_use,
)
from archloom.cli._ready import check_models
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.graphs import Configuration, Document
    from archloom.orchestrator.models import StoreUse
    from archloom.search import Comparison
    from archloom.tasks import TaskSet


@app.command(name="eval")
def eval_(
    workflows: Annotated[
        list[Path], typer.Argument(metavar="WORKFLOW", help="Workflow files; the first is compared with the rest.")
    ],
    tasks: Tasks = None,
    held_out: Annotated[
        Path | None,
        typer.Option("--held-out", metavar="FOLDER", help="The tasks that this search run kept for its report."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first tasks of the set.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Run folder; by default runs/eval-NAME-DIGEST.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Add a single call, and self-consistency and best-of-n at the same tokens.")
    ] = True,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    fail_below: Annotated[
        float | None,
        typer.Option("--fail-below", min=0, max=1, help="Exit with 4 when the first workflow scores less."),
    ] = None,
    set: Set = None,
    store: Store = STORE,
    replay: Replay = False,
    record: Record = False,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Tasks under way at once.")] = 8,
    json: Json = False,
) -> None:
    """Score workflows on tasks, with intervals; the same command continues where it was stopped."""
    from archloom.graphs import Document
    from archloom.nodes import Budget
    from archloom.orchestrator import configuration_of

    documents = [Document.load(path, overrides=set or []) for path in workflows]
    configurations = [configuration_of(document) for document in documents]
    task_set = _tasks(documents[0], tasks, held_out)
    task_set = task_set.take(limit) if limit else task_set
    use = store_use(replay, record)
    check_models(documents, use)
    folder = out or run_folder(f"eval-{documents[0].name}-{configurations[0].id[:4]}{task_set.digest[:4]}")
    budget = Budget(tokens=max_tokens, cost_usd=max_usd)
    with Live(f"{len(configurations)} workflow(s) on {len(task_set)} tasks of {task_set.name}") as live:
        result = asyncio.run(_run(configurations, task_set, folder, store, use, budget, concurrency, baselines, live))
    if json:
        print_json(
            {
                "rows": [row.model_dump() for row in result.rows],
                "gaps": [gap._asdict() for gap in result.gaps],
                "charged": vars(result.charged),
                "endings": result.endings,
                "servers": dict(result.servers),
                "budget_ended": result.budget_ended,
                "cost_models": dict(result.cost_models),
            }
        )
    else:
        _show(result)
    if result.budget_ended:
        raise typer.Exit(3)
    if fail_below is not None and (result.rows[0].score or 0.0) < fail_below:
        typer.echo(f"archloom: {result.rows[0].score} is below {fail_below}.", err=True)
        raise typer.Exit(4)


def _tasks(document: Document, tasks: str | None, held_out: Path | None) -> TaskSet:
    """The task set that was named: of a search run, on the command line, or in the document."""
    from archloom.search import held_out_tasks
    from archloom.tasks import load_tasks

    if held_out is not None:
        if tasks is not None:
            raise UsageError("--tasks and --held-out both name a task set.", hint="Use one of them.")
        return held_out_tasks(held_out)
    spec = tasks or document.search.tasks
    if spec is None:
        raise UsageError("there is no task set.", hint="Name one with --tasks.")
    return load_tasks(spec, base=Path() if tasks else document.folder)


async def _run(
    configurations: list[Configuration],
    tasks: TaskSet,
    folder: Path,
    store: Path,
    use: StoreUse,
    budget: object,
    concurrency: int,
    baselines: bool,
    live: Live,
) -> Comparison:
    from archloom.nodes import Budget
    from archloom.orchestrator.models import SQLiteStore
    from archloom.search import evaluate_all

    assert isinstance(budget, Budget)
    samples = SQLiteStore(store)
    try:
        return await evaluate_all(
            configurations,
            tasks,
            folder=folder,
            store=samples,
            use=use,
            budget=budget,
            concurrency=concurrency,
            baselines=baselines,
            progress=live.cells,
        )
    finally:
        samples.close()


def _show(result: Comparison) -> None:
    from archloom.cli._tables import comparison, cost_models, page_text

    comparison(result.rows)
    first = result.rows[0].name
    for gap in result.gaps:
        page_text(
            f"{first} − {gap.name}: {100 * gap.estimate:+.1f} points [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}] "
            f"on {gap.tasks} common tasks, at {gap.tokens_ratio:.2g}× its tokens"
        )
    paid = result.charged
    estimated = f" ({paid.tokens_estimated:,} of them estimated)" if paid.tokens_estimated else ""
    page_text(f"charged: {paid.calls:,} calls, {paid.tokens:,} tokens{estimated}, ${paid.cost_usd:.4f}")
    if result.endings:
        page_text(f"endings: {result.endings}")
    for model, load in result.servers:
        page_text(f"server of {model}: {load}")
    cost_models(result.cost_models)
