"""``archloom validate``: everything that is wrong with workflow files, with line and column."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archloom.cli._app import app
from archloom.cli._options import Json, print_json

if TYPE_CHECKING:
    from archloom.graphs import Problem


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="WORKFLOW", help="Workflow files (YAML).")],
    json: Json = False,
) -> None:
    """Check workflow files; all errors at once, nothing is run."""
    from archloom.graphs import Document, DocumentError, graphs_in

    problems: list[Problem] = []
    lines: list[str] = []
    for file in files:
        try:
            document = Document.load(file)
        except DocumentError as exc:
            problems.extend(exc.problems)
            continue
        count = sum(len(graph.nodes) for graph in graphs_in(document.data))
        kind = f"search space, {len(document.holes)} open choices" if document.holes else "workflow"
        kind += " and a free topology" if document.search.topology else ""
        lines.append(f"{file}: ok ({kind}, {count} nodes)")
    if json:
        print_json({"ok": not problems, "problems": [asdict(problem) for problem in problems]})
    else:
        for line in lines:
            typer.echo(line)
        for problem in problems:
            typer.echo(str(problem), err=True)
        if problems:
            typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}.", err=True)
    if problems:
        raise typer.Exit(2)
