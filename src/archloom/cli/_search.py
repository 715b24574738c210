"""``archloom search``: finds the workflow that buys the most accuracy, and says how sure it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archloom.cli._app import app
from archloom.cli._live import Live
from archloom.cli._options import (
    STORE,
    Json,
    MaxSeconds,
    MaxTokens,
    MaxUsd,
    Record,
    Replay,
    Set,
    Store,
    Tasks,
    WorkflowFile,
    print_json,
    run_folder,
    store_use,
)
from archloom.cli._ready import check_models

if TYPE_CHECKING:
    from archloom.graphs import Document, SearchSpec
    from archloom.orchestrator.models import StoreUse
    from archloom.search import SearchResult


@app.command()
def search(
    workflow: WorkflowFile,
    tasks: Tasks = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Run folder; by default runs/NAME.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="One of docs/search.md, or a plug-in's.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the split and the optimizer.")] = None,
    search_tasks: Annotated[
        int | None, typer.Option("--search-tasks", min=2, help="Tasks that the search may see.")
    ] = None,
    report_tasks: Annotated[
        int | None, typer.Option("--report-tasks", min=2, help="Tasks kept for the report.")
    ] = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_seconds: MaxSeconds = None,
    set: Set = None,
    store: Store = STORE,
    replay: Replay = False,
    record: Record = False,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Tasks under way at once.")] = 8,
    json: Json = False,
) -> None:
    """Search a space; the same command continues a search that was stopped or killed."""
    from archloom.graphs import Document
    from archloom.search import prepare

    document = Document.load(workflow, overrides=set or [])
    spec = _spec(
        document, tasks=tasks, optimizer=optimizer, seed=seed, search_tasks=search_tasks, report_tasks=report_tasks
    )
    limits = {"tokens": max_tokens, "cost_usd": max_usd, "time_s": max_seconds}
    if chosen := {name: value for name, value in limits.items() if value is not None}:
        spec = spec.model_copy(update={"budget": spec.budget.model_copy(update=chosen)})
    setting = prepare(document, spec, tasks_base=Path() if tasks else None)
    use = store_use(replay, record)
    check_models([document], use)
    folder = out or run_folder(document.name)
    with Live(f"{document.name}: searching {setting.space.size} configurations on {len(setting.search)} tasks") as live:
        result = asyncio.run(_run(setting, folder, store, use, concurrency, live))
    if json:
        print_json(_data(result))
    else:
        _show(result)
    if result.budget_ended:
        raise typer.Exit(3)


def _spec(document: Document, **changes: Any) -> SearchSpec:
    """The document's search block with what the command line says; checked like the document."""
    from archloom.graphs import SearchSpec

    given = {name: value for name, value in changes.items() if value is not None}
    return SearchSpec.model_validate({**document.search.model_dump(), **given})


async def _run(setting: Any, folder: Path, store: Path, use: StoreUse, concurrency: int, live: Live) -> SearchResult:
    from archloom.orchestrator.models import SQLiteStore
    from archloom.search import run_search

    samples = SQLiteStore(store)
    try:
        return await run_search(
            setting,
            folder=folder,
            store=samples,
            use=use,
            concurrency=concurrency,
            progress=live.search,
            say=live.say,
        )
    finally:
        samples.close()


def _data(result: SearchResult) -> dict[str, Any]:
    return {
        "best": str(result.folder / "best.yaml"),
        "report": str(result.folder / "report.html"),
        "verdict": result.report.verdict,
        "stopped": result.stopped,
        "rows": [row.model_dump() for row in result.report.rows],
        "front": list(result.report.front),
        "cost_models": dict(result.report.cost_models),
    }


def _show(result: SearchResult) -> None:
    from archloom.cli._tables import comparison, cost_models, front_chart, page_text

    report = result.report
    rows = [row for row in report.rows if row.score is not None]
    page_text(f"\nPareto front on {rows[0].tasks if rows else 0} held-out tasks ({report.objective})", style="bold")
    page_text(front_chart([row for row in rows if row.name in report.front]))
    comparison(rows)
    page_text(f"\n{report.verdict}")
    for note in report.notes[1:]:
        page_text(note)
    page_text(f"\nsearch ended by: {result.stopped}")
    cost_models(report.cost_models)
    page_text(f"workflow: {result.folder / 'best.yaml'}    report: {result.folder / 'report.html'}")
