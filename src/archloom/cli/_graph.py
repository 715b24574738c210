"""``archloom graph``: the drawing of a workflow or a space."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from archloom.cli._app import app
from archloom.cli._options import WorkflowFile


@app.command()
def graph(
    workflow: WorkflowFile,
    format: Annotated[
        Literal["ascii", "mermaid", "dot", "svg"], typer.Option("--format", "-f", help="What to draw it as.")
    ] = "ascii",
) -> None:
    """Draw a workflow; open choices of a space are written as 1|2|4."""
    from archloom import graphs

    drawing = graphs.picture(graphs.Document.load(workflow))
    draw = {"ascii": graphs.ascii, "mermaid": graphs.mermaid, "dot": graphs.dot, "svg": graphs.svg}[format]
    typer.echo(draw(drawing))
