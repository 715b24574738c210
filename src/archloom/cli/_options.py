"""Options that several commands share, and how they print."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from archloom.orchestrator.models import StoreUse

STORE = Path(".archloom/samples.sqlite")


def _positive(value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise typer.BadParameter(f"{value:g} is not above 0.")
    return value


WorkflowFile = Annotated[Path, typer.Argument(metavar="WORKFLOW", help="Workflow file (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Store = Annotated[
    Path,
    typer.Option(
        "--store", metavar="FILE", envvar="ARCHLOOM_STORE", help="Sample store; what it has is never paid for again."
    ),
]
Replay = Annotated[
    bool, typer.Option("--replay", help="Draw nothing: end with 2 at the first sample that the store does not hold.")
]
Record = Annotated[
    bool, typer.Option("--record", help="Draw every sample once more and keep it in place of the stored one.")
]
Tasks = Annotated[
    str | None,
    typer.Option(
        "--tasks", metavar="SET", help="Task set: a .jsonl or .yaml file, reasoning_gym:NAME?..., gsm8k:FILE."
    ),
]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Hard limit on tokens paid.")]
MaxUsd = Annotated[float | None, typer.Option("--max-usd", callback=_positive, help="Hard limit on dollars paid.")]
MaxSeconds = Annotated[
    float | None,
    typer.Option("--max-seconds", callback=_positive, help="Time limit; the search gets three quarters of it."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override an entry of the document, e.g. nodes.draft.samples=4."),
]


def store_use(replay: bool, record: bool) -> StoreUse:
    """How the store is used, from the two flags."""
    if replay and record:
        raise UsageError("--replay and --record exclude each other.", hint="Use one of them.")
    return "replay" if replay else "record" if record else "reuse"


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def run_folder(name: str) -> Path:
    """Where a run of this name is kept, unless the user names a place; a name can not lead out of ``runs``."""
    return Path("runs") / (re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run")


def talk() -> Console:
    """The console for what is said to people, on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def page() -> Console:
    """The console for results, on standard output; wide enough not to cut tables in files and pipes."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=max(console.width, 120))
