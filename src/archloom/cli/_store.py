"""``archloom store``: what the sample store holds, and looking after it."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from archloom.cli._app import app
from archloom.cli._options import STORE, Json, Store, print_json
from archloom.cli._store_explain import explain_key
from archloom.tools.errors import UsageError

store_app = typer.Typer(help="The sample store.", no_args_is_help=True)
app.add_typer(store_app, name="store")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if not found:
        raise typer.BadParameter(f"{text!r} is no age. Write a number and a unit (s, m, h, d, w), e.g. 30d.")
    return float(found[1]) * _UNITS[found[2]]


Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Only of this model, as 'stats' names it.")]


@store_app.command()
def stats(store: Store = STORE, json: Json = False) -> None:
    """Samples and tokens by model."""
    from archloom.orchestrator.models import SQLiteStore

    with closing(SQLiteStore(_existing(store))) as opened:
        rows = [row._asdict() for row in opened.stats()]
    if json:
        print_json(rows)
    for row in [] if json else rows:
        typer.echo(
            f"{row['model']}: {row['samples']:,} samples, {row['tokens_in']:,} prompt and {row['tokens_out']:,} "
            f"completion tokens, {row['latency_s']:,.0f} s"
        )


@store_app.command()
def prune(
    store: Store = STORE,
    model: Model = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", metavar="AGE", parser=_seconds, help="Only what is older, e.g. 12h, 30d, 8w."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove samples that fit all options, and give their space back."""
    from archloom.orchestrator.models import prune_store

    if model is None and older_than is None:
        raise UsageError(
            "Nothing says what to remove.",
            hint=f"Give --model or --older-than; to start afresh, delete {store}.",
        )
    pruned = prune_store(_existing(store), model=model, older_than_s=older_than, dry_run=dry_run)
    freed = "" if dry_run else f" {pruned.freed_bytes / 1e6:,.1f} MB freed."
    typer.echo(
        f"{'would remove' if dry_run else 'removed'} {pruned.samples:,} samples, {pruned.failures:,} failures, "
        f"{pruned.questions:,} questions.{freed}"
    )


@store_app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines; compressed when it ends in .gz.")],
    store: Store = STORE,
    model: Model = None,
    key: Annotated[str, typer.Option("--key", metavar="PREFIX", help="Only keys that begin like this.")] = "",
) -> None:
    """Write samples to a file, with which others replay a run."""
    from archloom.orchestrator.models import export_samples

    done = export_samples(_existing(store), file, model=model, key=key)
    typer.echo(f"{file}: {done.samples:,} samples, {done.failures:,} failures, {done.questions:,} questions.")
    typer.echo(f"sha256 {done.digest}")


@store_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What 'export' wrote.")],
    store: Store = STORE,
) -> None:
    """Add the samples of a file; what the store has already stays."""
    from archloom.orchestrator.models import import_samples

    added = import_samples(store, file)
    typer.echo(f"{added.new:,} new, {added.known:,} known, {added.conflicting:,} conflicting (the store's own stay).")


@store_app.command()
def verify(store: Store = STORE, json: Json = False) -> None:
    """Check the file, the digests of all questions, and every sample; ends with 1 when something is wrong."""
    from archloom.orchestrator.models import verify_store

    flaws = [flaw._asdict() for flaw in verify_store(_existing(store))]
    if json:
        print_json(flaws)
    for flaw in [] if json else flaws:
        typer.echo(f"{flaw['where']}: {flaw['what']}")
    if flaws:
        raise typer.Exit(1)
    if not json:
        typer.echo(f"{store}: nothing wrong.")


@store_app.command()
def explain(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Beginning of a key; KEY/STREAM/INDEX shows one whole.")],
    store: Store = STORE,
    json: Json = False,
) -> None:
    """Show a request, and what models gave."""
    from archloom.orchestrator.models import SQLiteStore

    with closing(SQLiteStore(_existing(store))) as opened:
        explain_key(opened, key, json=json)


def _existing(store: Path) -> Path:
    if not store.exists():
        raise UsageError(f"{store}: there is no sample store.", hint="It appears with the first run.")
    return store
