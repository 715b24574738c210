"""``archloom models``: weights for the embedded engine."""

from __future__ import annotations

from typing import Annotated

import typer

from archloom.cli._app import app
from archloom.cli._options import Json, print_json, talk

models = typer.Typer(help="Weights for the embedded engine.", no_args_is_help=True)
app.add_typer(models, name="models")


@models.command("list")
def list_(json: Json = False) -> None:
    """Models that can be pulled, and whether they are here."""
    from archloom.orchestrator.models import installed, model_cards

    rows = [
        {
            "name": card.name,
            "size_mb": round(card.size / 1e6),
            "licence": card.licence,
            "installed": str(path) if (path := installed(card.name)) else None,
        }
        for card in model_cards()
    ]
    if json:
        print_json(rows)
    for row in [] if json else rows:
        typer.echo(f"{row['name']}  {row['size_mb']} MB  {row['licence']}  {row['installed'] or 'not pulled'}")


@models.command()
def pull(name: Annotated[str, typer.Argument(help="Name from 'archloom models list'.")]) -> None:
    """Fetch weights and check them by their checksum; does nothing when they are already here."""
    from archloom.orchestrator.models import pull as fetch

    with talk().status(f"pulling {name}"):
        path = fetch(name)
    typer.echo(str(path))
