"""``archloom explain``: how an answer came to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archloom.cli._app import app
from archloom.cli._options import Json, page, print_json
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.nodes import Candidate
    from archloom.orchestrator import Explanation, LoggedRun, Step

_LONGEST = 300


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(metavar="FOLDER", help="Run folder of an evaluation or a search.")],
    task: Annotated[str | None, typer.Argument(help="Id of a task; left out, the tasks are listed.")] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", metavar="ID", help="Configuration, by the first letters of its id; by default the main."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say how the answer to a task came to be: who wrote it, judged it, changed it, chose it, and what that cost."""
    from archloom.orchestrator import Explanation

    runs = _runs(run, config)
    if task is None:
        _list(runs, json=json)
        return
    found = next((each for each in runs if each.cell.task == task), None)
    if found is None:
        raise UsageError(
            f"{run}: nothing is known of how task {task!r} was answered.",
            hint=f"'archloom explain {run}' lists the tasks.",
        )
    explanation = Explanation(found.outcomes)
    if json:
        print_json(_data(found, explanation))
    else:
        _show(found, explanation)


def _runs(folder: Path, config: str | None) -> list[LoggedRun]:
    """The runs of one configuration: the one that was named, or the one that the run folder is about."""
    from archloom.orchestrator import logged_runs, read_events
    from archloom.search import RunFolder

    runs = logged_runs(read_events(folder))
    ids = list(dict.fromkeys(each.cell.config for each in runs))
    wanted = RunFolder.read(folder).main if config is None else config
    matching = [id_ for id_ in ids if id_.startswith(wanted)]
    if len(matching) != 1:
        raise UsageError(
            f"{folder}: {'no' if not matching else 'more than one'} configuration {wanted!r} with a trace.",
            hint=f"There are traces of {', '.join(ids)}." if ids else "Logs of this version of archloom have traces.",
        )
    return [each for each in runs if each.cell.config == matching[0]]


def _list(runs: list[LoggedRun], *, json: bool) -> None:
    from rich.table import Table

    if json:
        print_json([each.cell.to_json() for each in runs])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("task", "score", "answer", "calls", "tokens", "s"):
        table.add_column(name, justify="left" if name in {"task", "answer"} else "right")
    for each in runs:
        cell = each.cell
        score = cell.error or f"{cell.value:.2f}"
        table.add_row(
            cell.task, score, (cell.answer or "–")[:40], str(cell.calls), f"{cell.tokens:,}", f"{cell.latency_s:.2f}"
        )
    page().print(table)


def _show(run: LoggedRun, explanation: Explanation) -> None:
    from archloom.cli._tables import page_text

    cell = run.cell
    ended = f"failed with {cell.error}" if cell.failed else f"answer {cell.answer or '–'}, score {cell.value:.2f}"
    cost = f", ${cell.cost_usd:.6f}" if cell.cost_usd else ""
    page_text(f"{cell.task}: {ended}", style="bold")
    page_text(
        f"{cell.calls} calls, {cell.tokens:,} tokens{cost}, {cell.latency_s:.2f} s, configuration {cell.config}\n"
    )
    for step in explanation.steps:
        for line in _told(step):
            page_text(line)
    if explanation.answer is None:
        return
    page_text("\nHow the answer came to be", style="bold")
    for candidate in explanation.lineage:
        page_text(f"{candidate.id} {_origin(candidate)}, answer {candidate.answer or '–'}")
        page_text(f"  {_short(candidate.text)}", style="dim")
        for judgement in explanation.said_of(candidate.id):
            page_text(f"  {judgement.node}: {judgement}")
            if judgement.critique:
                page_text(f"    {_short(judgement.critique)}", style="dim")


def _told(step: Step) -> list[str]:
    """What a node did: a line with its cost, then what it wrote, said, dropped and noted."""
    outcome = step.outcome
    usage = outcome.usage
    cost = f" ({usage.calls} calls, {usage.tokens:,} tokens, {outcome.finish_s - outcome.start_s:.2f} s)"
    lines = [f"{outcome.node}{cost if usage.calls else ''}"]
    if outcome.error is not None:
        lines.append(f"  failed: {outcome.message} [{outcome.error}]")
    if step.wrote:
        answers = ", ".join(f"{answer or 'no answer'} ×{count}" for answer, count in step.answers.items())
        lines.append(f"  wrote {len(step.wrote)}: {_short(answers)}")
    lines += [f"  {judgement.candidate}: {judgement}" for judgement in step.judged]
    if step.dropped:
        lines.append(f"  dropped {', '.join(step.dropped)}")
    lines += [f"  note: {note.what} {_short(str(dict(note.fields)))}" for note in outcome.notes]
    return lines


def _origin(candidate: Candidate) -> str:
    return f"made from {', '.join(candidate.parents)}" if candidate.parents else "written from the task"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _data(run: LoggedRun, explanation: Explanation) -> dict[str, Any]:
    return {
        "cell": run.cell.to_json(),
        "answer": explanation.answer.id if explanation.answer else None,
        "lineage": [
            {
                "candidate": candidate.to_json(),
                "judgements": [vars(judgement) for judgement in explanation.said_of(candidate.id)],
            }
            for candidate in explanation.lineage
        ],
        "nodes": [
            {
                "node": step.outcome.node,
                "calls": step.outcome.usage.calls,
                "tokens": step.outcome.usage.tokens,
                "cost_usd": step.outcome.usage.cost_usd,
                "wrote": [candidate.id for candidate in step.wrote],
                "judged": [vars(judgement) for judgement in step.judged],
                "passed": list(step.passed),
                "dropped": list(step.dropped),
                "notes": [{"what": note.what, **note.fields} for note in step.outcome.notes],
                "error": step.outcome.error,
            }
            for step in explanation.steps
        ],
    }
