"""``archloom report``: the report of a finished run, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archloom.cli._app import app
from archloom.cli._options import Json, print_json
from archloom.tools.errors import UsageError


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="FOLDER", help="Run folder of a finished search.")],
    json: Json = False,
) -> None:
    """Show the comparison of a finished search and write its HTML page again."""
    from pydantic import ValidationError

    from archloom.cli._tables import comparison, page_text
    from archloom.orchestrator.report import ReportData, render_report
    from archloom.search import write_whole

    file = run / "report.json"
    if not file.exists():
        raise UsageError(f"{run}: there is no finished search.", hint="'archloom search' on this folder finishes it.")
    try:
        data = ReportData.model_validate_json(file.read_bytes())
    except ValidationError as exc:
        raise UsageError(
            f"{file}: not a report of this version of archloom.",
            hint="'archloom search' on this folder writes it again.",
        ) from exc
    write_whole(run / "report.html", render_report(data).encode())
    if json:
        print_json(data.model_dump(mode="json"))
        return
    page_text(f"{data.title}: {data.subtitle}", style="bold")
    comparison([row for row in data.rows if row.score is not None])
    page_text(f"\n{data.verdict}\nreport: {run / 'report.html'}")
