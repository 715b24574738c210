"""``archloom import``: workflow files out of the configurations of other systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archloom.cli._app import app
from archloom.tools.errors import UsageError

_import = typer.Typer(help="Turn configurations of other systems into workflow files.", no_args_is_help=True)
app.add_typer(_import, name="import")


@_import.command()
def archon(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A configuration of Archon.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the workflow here instead of printing it.")] = None,
) -> None:
    """Turn a configuration of Archon into a workflow; what is not taken over is said on stderr."""
    from archloom.graphs.importers import import_archon

    if out is not None and out.exists():
        raise UsageError(f"{out} exists and is left as it is.", hint="Name another file.")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{file}: not UTF-8 text.") from exc
    imported = import_archon(text, source=str(file))
    for remark in imported.remarks:
        typer.echo(str(remark), err=True)
    if out is None:
        typer.echo(imported.yaml, nl=False)
        return
    out.write_text(imported.yaml, encoding="utf-8")
    nodes = len(imported.document.configure().nodes)
    typer.echo(f"{out}: {nodes} nodes, {len(imported.remarks)} remarks. Try: archloom graph {out}", err=True)
