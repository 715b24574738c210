"""``archloom store``: what the sample store holds."""

from __future__ import annotations

import typer

from archloom.cli._app import app
from archloom.cli._options import STORE, Json, Store, print_json
from archloom.tools.errors import UsageError

store_app = typer.Typer(help="The sample store.", no_args_is_help=True)
app.add_typer(store_app, name="store")


@store_app.command()
def stats(store: Store = STORE, json: Json = False) -> None:
    """Samples and tokens by model."""
    from archloom.orchestrator.models import SQLiteStore

    if not store.exists():
        raise UsageError(f"{store}: there is no sample store.", hint="It appears with the first run.")
    opened = SQLiteStore(store)
    try:
        rows = [row._asdict() for row in opened.stats()]
    finally:
        opened.close()
    if json:
        print_json(rows)
    for row in [] if json else rows:
        typer.echo(
            f"{row['model']}: {row['samples']:,} samples, {row['tokens_in']:,} prompt and {row['tokens_out']:,} "
            f"completion tokens, {row['latency_s']:,.0f} s"
        )
