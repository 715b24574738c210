"""``archloom schema``: JSON schemas, for editors and for readers of run logs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from archloom.cli._app import app
from archloom.cli._options import print_json


@app.command()
def schema(
    of: Annotated[
        Literal["workflow", "log"], typer.Argument(help="The document, or one line of a run log.")
    ] = "workflow",
) -> None:
    """Print a JSON schema; with installed node types in it, editors complete and check workflow files."""
    if of == "log":
        from archloom.orchestrator import event_schema

        print_json(event_schema())
    else:
        from archloom.graphs import document_schema

        print_json(document_schema())
