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
from archloom.cli._run_sql import SqlAnswer, question_to, sql_answer
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.nodes import Task
    from archloom.orchestrator import NodeOutcome, RunResult
    from archloom.orchestrator.models import StoreUse


@app.command()
def run(
    workflow: WorkflowFile,
    question: Annotated[str, typer.Argument(help="What to ask; '-' reads standard input.")],
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="FILE",
            help="Ask an SQLite file, or a postgresql:// URL: the answer is a query and its result.",
        ),
    ] = None,
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
    task = text if database is None else question_to(text, database)
    result = asyncio.run(_run(workflow, task, set or [], store, use, trace and not json))
    sql = None if database is None or result.error else sql_answer(result, database)
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
                **({"sql": sql._asdict()} if sql else {}),
            }
        )
    elif result.error is None:
        typer.echo(result.text if sql is None else _written(sql, result.text))
    if not json:
        _say(result)
    if result.error is not None:
        raise typer.Exit(1)
    if result.truncated:
        raise typer.Exit(3)


async def _run(
    workflow: Path, question: str | Task, overrides: list[str], store: Path, use: StoreUse, trace: bool
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
                for outcome in event.walk() if trace else ():
                    _trace(outcome)
    finally:
        samples.close()
    raise AssertionError("unreachable: a stream ends with its result")


def _written(answer: SqlAnswer, text: str) -> str:
    """The query and its result; what the model wrote where there is no query in it."""
    return text if answer.sql is None else f"{answer.sql}\n\n{answer.shown}"


def _trace(outcome: NodeOutcome) -> None:
    console = talk()
    console.print(f"{outcome.node}: {outcome.usage.calls} calls, {outcome.usage.tokens} tokens", style="bold")
    for candidate in outcome.candidates:
        marks = [
            f"answer {candidate.answer}" if candidate.answer is not None else "no answer",
            *([f"score {candidate.score:.2f}"] if candidate.score is not None else []),
            *(["accepted" if candidate.accepted else "rejected"] if candidate.accepted is not None else []),
            *([f"{candidate.votes} votes"] if candidate.votes is not None else []),
            *([candidate.executed.outcome] if candidate.executed is not None else []),
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
