"""``archloom run``: one question through a workflow."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archloom.cli._app import app
from archloom.cli._options import STORE, Json, Record, Replay, Set, Store, WorkflowFile, print_json, store_use, talk
from archloom.cli._ready import check_models
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.orchestrator import NodeOutcome, RunResult
    from archloom.orchestrator.models import StoreUse


@app.command()
def run(
    workflow: WorkflowFile,
    question: Annotated[str, typer.Argument(help="What to ask; '-' reads standard input.")],
    set: Set = None,
    store: Store = STORE,
    replay: Replay = False,
    record: Record = False,
    trace: Annotated[bool, typer.Option("--trace", help="Say what each node did.")] = False,
    json: Json = False,
) -> None:
    """Answer one question; the answer goes to standard output, what it cost to standard error."""
    text = sys.stdin.read() if question == "-" else question
    if not text.strip():
        raise UsageError("there is no question.")
    use = store_use(replay, record)
    result = asyncio.run(_run(workflow, text, set or [], store, use, trace and not json))
    if json:
        print_json(
            {
                "text": result.text,
                "answer": result.answer,
                "tokens": result.usage.tokens,
                "calls": result.usage.calls,
                "cost_usd": result.usage.cost_usd,
                "latency_s": result.latency_s,
                "truncated": result.truncated,
                "error": result.error,
                "message": result.message,
                "nodes": [node.to_json() for node in result.nodes],
            }
        )
    elif result.error is None:
        typer.echo(result.text)
    if not json:
        _say(result)
    if result.error is not None:
        raise typer.Exit(1)
    if result.truncated:
        raise typer.Exit(3)


async def _run(
    workflow: Path, question: str, overrides: list[str], store: Path, use: StoreUse, trace: bool
) -> RunResult:
    from archloom.graphs import Document
    from archloom.orchestrator import ModelPool, RunResult, Workflow, configuration_of
    from archloom.orchestrator.models import SQLiteStore

    document = Document.load(workflow, overrides=overrides)
    configuration = configuration_of(document)
    check_models([document], use)
    samples = SQLiteStore(store)
    try:
        async with ModelPool(samples, use=use) as pool:
            async for event in Workflow(configuration, pool=pool).stream(question):
                if isinstance(event, RunResult):
                    return event
                if trace:
                    _trace(event)
    finally:
        samples.close()
    raise AssertionError("unreachable: a stream ends with its result")


def _trace(outcome: NodeOutcome) -> None:
    console = talk()
    console.print(f"{outcome.node}: {outcome.usage.calls} calls, {outcome.usage.tokens} tokens", style="bold")
    for candidate in outcome.candidates:
        marks = [
            f"answer {candidate.answer}" if candidate.answer is not None else "no answer",
            *([f"score {candidate.score:.2f}"] if candidate.score is not None else []),
            *(["accepted" if candidate.accepted else "rejected"] if candidate.accepted is not None else []),
            *([f"{candidate.votes} votes"] if candidate.votes is not None else []),
        ]
        console.print(f"  {candidate.id} ({', '.join(marks)}): ", end="")
        console.print(" ".join(candidate.text.split())[:100])
    for note in outcome.notes:
        console.print(f"  note: {note.what} {dict(note.fields)}"[:200], style="yellow")


def _say(result: RunResult) -> None:
    usage = result.usage
    cost = f", ${usage.cost_usd:.6f}" if usage.cost_usd else ""
    best = ", this is the best so far" if result.error is None else ""
    end = f"; the budget ended early{best}" if result.truncated else ""
    typer.echo(f"[{usage.calls} calls, {usage.tokens} tokens{cost}, {result.latency_s:.2f} s{end}]", err=True)
    if result.error is not None:
        typer.echo(f"archloom: failed: {result.message}  [archloom-{result.error}]", err=True)
