"""``archloom compare``: two runs, or two workflows of one run, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archloom.cli._app import app
from archloom.cli._options import Json, page, print_json
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.search import RunFolder, Side, SideBySide

_LONGEST = 60
_Side = Annotated[
    Path,
    typer.Argument(
        help="A run folder (of an evaluation its first workflow counts, of a search the winner), or a workflow file."
    ),
]


@app.command()
def compare(
    a: _Side,
    b: _Side,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="FOLDER", help="The run in which the workflow files were scored.")
    ] = None,
    fail_worse: Annotated[
        bool, typer.Option("--fail-worse", help="Exit with 4 when A is worse than B beyond the interval.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what A is worth against B on their common tasks: difference, tests, costs, and where they differ."""
    from archloom.search import RunFolder, side_by_side

    of = None if run is None else RunFolder.read(run)
    found = side_by_side(_side(a, of), _side(b, of))
    if json:
        print_json(_data(found))
    else:
        _show(found)
    if fail_worse and found.pair.difference.high < 0:
        typer.echo(f"archloom: {found.sides[0].name} is worse than {found.sides[1].name}.", err=True)
        raise typer.Exit(4)


def _side(path: Path, run: RunFolder | None) -> Side:
    """What was named, with its cells."""
    from archloom.graphs import Document
    from archloom.orchestrator import configuration_of
    from archloom.search import RunFolder

    if path.is_dir():
        folder = RunFolder.read(path)
        return folder.row(folder.main, str(path))
    document = Document.load(path)
    if run is None:
        raise UsageError(f"{path}: which run scored this workflow?", hint="Name its folder with --run.")
    return run.row(configuration_of(document).id, str(path))


def _data(found: SideBySide) -> dict[str, Any]:
    pair = found.pair
    return {
        **{
            letter: {
                "name": side.name,
                "config_id": side.config,
                "score": found.scores[place],
                "tokens": found.tokens[place],
                "cost_usd": found.cost_usd[place],
                "failed": found.failed[place],
            }
            for place, (letter, side) in enumerate(zip("ab", found.sides, strict=True))
        },
        "tasks": pair.tasks,
        "difference": pair.difference._asdict(),
        "mcnemar": pair.mcnemar._asdict() if pair.mcnemar else None,
        "tokens_ratio": _ratio(found.tokens),
        "cost_ratio": _ratio(found.cost_usd),
        "tasks_needed": pair.needed,
        "differing": [{"task": one.task, "scores": one.scores, "answers": one.answers} for one in found.differing],
    }


def _show(found: SideBySide) -> None:
    from rich.table import Table

    from archloom.cli._tables import page_text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("", "score", "tokens", "USD", "failed"):
        table.add_column(name, justify="right" if name else "left")
    for place, (letter, side) in enumerate(zip("AB", found.sides, strict=True)):
        figures = (f"{100 * found.scores[place]:.1f}", f"{found.tokens[place]:,.0f}", f"{found.cost_usd[place]:.5f}")
        table.add_row(f"{letter}  {side.name}", *figures, str(found.failed[place]))
    page().print(table)
    gap = found.pair.difference
    page_text(
        f"A − B: {100 * gap.estimate:+.1f} points [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}] on {found.pair.tasks} "
        f"common tasks (95 %, paired over tasks){_ratios(found)}"
    )
    if exact := found.pair.mcnemar:
        page_text(
            f"only A right on {exact.only_first}, only B on {exact.only_second}: exact McNemar p = {exact.p_value:.2g}"
        )
    page_text(_apart(found))
    for one in found.differing:
        a, b = ("failed" if score is None else f"{score:g}" for score in one.scores)
        page_text(f"  {one.task}: A {a} ({_answer(one.answers[0])}), B {b} ({_answer(one.answers[1])})")


def _apart(found: SideBySide) -> str:
    pair = found.pair
    if pair.apart:
        return "The interval does not hold 0: they are told apart."
    if pair.needed is None:
        return "No difference was seen; no number of tasks would tell them apart."
    return (
        f"Not told apart. At the difference seen, {pair.needed:,} tasks ({pair.more:,} more) would do, at 5 % with "
        "a power of 0.8."
    )


def _ratio(amounts: tuple[float, float]) -> float | None:
    """What A costs in units of B; unknown where B costs nothing."""
    return amounts[0] / amounts[1] if amounts[1] else None


def _ratios(found: SideBySide) -> str:
    tokens, cost = _ratio(found.tokens), _ratio(found.cost_usd)
    said = " and ".join(
        f"{ratio:,.0f}× {of}" if ratio >= 100 else f"{ratio:.2g}× {of}"
        for ratio, of in ((tokens, "its tokens"), (cost, "its cost"))
        if ratio
    )
    return f", at {said}" if said else ""


def _answer(answer: str | None) -> str:
    text = "no answer" if answer is None else " ".join(answer.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
