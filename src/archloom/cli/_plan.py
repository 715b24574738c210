"""``archloom plan``: what it will cost, and what the store already has, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archloom.cli._app import app
from archloom.cli._options import STORE, Json, Set, Store, Tasks, WorkflowFile, page, print_json

if TYPE_CHECKING:
    from archloom.graphs import Configuration, Document
    from archloom.nodes import Task
    from archloom.orchestrator.models import SampleStore
    from archloom.search import DocumentSpace, Point

_MOST_CONFIGURATIONS = 200


@app.command()
def plan(
    workflow: WorkflowFile,
    tasks: Tasks = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first tasks of the set.")] = None,
    set: Set = None,
    store: Store = STORE,
    json: Json = False,
) -> None:
    """Calls, tokens, dollars and seconds as ranges; of a space, of its cheapest and its dearest configuration."""
    from archloom.graphs import Document

    document = Document.load(workflow, overrides=set or [])
    asked = _tasks(document, tasks, limit)
    samples = _open(store)
    try:
        is_space = document.holes or document.search.topology
        data = _space(document, asked, samples) if is_space else _plan(document.configure(), asked, samples)
    finally:
        if samples:
            samples.close()
    data = {"workflow": str(workflow), "tasks": len(asked), **data}
    if json:
        print_json(data)
    else:
        _show(data)


def _tasks(document: Document, spec: str | None, limit: int | None) -> list[Task]:
    """The tasks named, else those of the document's search block, else one short question."""
    from archloom.nodes import Task

    named = spec or document.search.tasks
    if named is None:
        return [Task.ask("What is 7 times 8?")]
    from archloom.tasks import load_tasks

    examples = load_tasks(named, base=Path() if spec else document.folder).examples
    return [example.task for example in examples[:limit]]


def _open(store: Path) -> SampleStore | None:
    from archloom.orchestrator.models import SQLiteStore

    return SQLiteStore(store) if store.exists() else None


def _plan(configuration: Configuration, tasks: list[Task], store: SampleStore | None) -> dict[str, Any]:
    from archloom.orchestrator import ModelPool, plan
    from archloom.orchestrator.models import MemoryStore

    kept = store or MemoryStore()
    samplers = ModelPool(kept).peek(configuration)
    nodes = plan(configuration, samplers, tasks, kept)
    speeds = {row.model: row for row in kept.stats()}
    rows: list[dict[str, Any]] = []
    seconds: list[float] | None = [0.0, 0.0]
    for node in nodes:
        rows.append(
            {
                "node": node.node,
                "type": node.type,
                "calls": [node.least.calls, node.most.calls],
                "tokens": [node.least.tokens, node.most.tokens],
                "cost_usd": [node.least.cost_usd, node.most.cost_usd],
                "stored": node.stored,
                "missing": node.missing,
                "inner": node.inner,
            }
        )
        name = getattr(configuration.all_nodes[node.node], "model", None)
        if name is not None and seconds is not None:
            speed = speeds.get(samplers[name].client.identity)
            lanes = samplers[name].spec.max_concurrency
            if speed is None or not speed.samples:
                seconds = None
            else:
                calls = (node.missing if node.missing is not None else node.least.calls, node.most.calls)
                seconds = [
                    total + count * speed.latency_s / speed.samples / lanes
                    for total, count in zip(seconds, calls, strict=True)
                ]
    whole = [row for row in rows if not row["inner"]]
    unpriced = [name for name in configuration.used_models if samplers[name].costs.price is None]
    return {
        "nodes": rows,
        "calls": [sum(row["calls"][i] for row in whole) for i in (0, 1)],
        "tokens": [sum(row["tokens"][i] for row in whole) for i in (0, 1)],
        "cost_usd": [sum(row["cost_usd"][i] for row in whole) for i in (0, 1)],
        "seconds": seconds,
        "without_price": unpriced,
        "cost_models": {name: str(samplers[name].costs) for name in configuration.used_models},
    }


def _space(document: Document, tasks: list[Task], store: SampleStore | None) -> dict[str, Any]:
    from archloom.search import space_of

    space = space_of(document)
    points = space.points() if space.size <= _MOST_CONFIGURATIONS else _some_points(space)
    one = tasks[:1]
    costs = sorted(
        ((_plan(space.configuration(point), one, None), point) for point in points),
        key=lambda pair: pair[0]["tokens"][1],
    )
    low, high = costs[0][0], costs[-1][0]
    count = len(tasks)
    chosen = _plan(space.configuration(costs[-1][1]), tasks, store)
    return {
        "configurations": len(points) if space.size <= _MOST_CONFIGURATIONS else space.size,
        "calls": [low["calls"][0] * count, high["calls"][1] * count],
        "tokens": [low["tokens"][0] * count, high["tokens"][1] * count],
        "cost_usd": [low["cost_usd"][0] * count, high["cost_usd"][1] * count],
        "search_budget": document.search.budget.model_dump(exclude_none=True),
        "dearest": chosen,
    }


def _some_points(space: DocumentSpace) -> list[Point]:
    """Points of a space that is too large to look at as a whole."""
    import numpy as np

    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(_MOST_CONFIGURATIONS)]


def _show(data: dict[str, Any]) -> None:
    from rich.table import Table

    from archloom.cli._tables import cost_models

    def span(pair: list[float], form: str = ",.0f") -> str:
        low, high = (format(value, form) for value in pair)
        return low if low == high else f"{low} .. {high}"

    console = page()
    detail = data.get("dearest", data)
    if "configurations" in data:
        console.print(f"{data['workflow']}: {data['configurations']} configurations, {data['tasks']} tasks")
        console.print(
            f"one of them on all tasks: {span(data['calls'])} calls, {span(data['tokens'])} tokens, "
            f"${span(data['cost_usd'], '.4f')}"
        )
        console.print(f"search budget: {data['search_budget'] or 'none set'}")
        console.print("the dearest configuration:")
    else:
        console.print(f"{data['workflow']}: {data['tasks']} tasks")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("node", "type", "calls", "tokens", "USD", "in the store"):
        table.add_column(name, justify="left" if name in {"node", "type"} else "right")
    for row in detail["nodes"]:
        known = row["stored"]
        stored = f"{known} of {known + row['missing']}" if known is not None else ("" if row["calls"][1] == 0 else "?")
        table.add_row(
            row["node"],
            row["type"],
            span(row["calls"]),
            span(row["tokens"]),
            span(row["cost_usd"], ".4f"),
            stored,
        )
    console.print(table)
    seconds = detail["seconds"]
    time = (
        f"{span(seconds)} s at the speed recorded in the store"
        if seconds
        else "unknown: nothing of this model is in the store yet"
    )
    console.print(
        f"total: {span(detail['calls'])} calls, {span(detail['tokens'])} tokens, "
        f"${span(detail['cost_usd'], '.4f')}; time: {time}"
    )
    cost_models(detail["cost_models"].items())
    if detail["without_price"]:
        console.print(f"counted as free (no price): {', '.join(detail['without_price'])}")
