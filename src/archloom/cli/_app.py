"""The application object that every command file adds itself to."""

from __future__ import annotations

from importlib import import_module

import typer

app = typer.Typer(
    name="archloom",
    help="Weave language models into collaboration graphs, and search for the graph that buys the most "
    "accuracy per token, dollar or second.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (
    "init",
    "import",
    "validate",
    "graph",
    "schema",
    "plan",
    "run",
    "eval",
    "search",
    "report",
    "compare",
    "explain",
    "models",
    "store",
    "doctor",
)
for _name in COMMANDS:
    import_module(f"archloom.cli._{_name}")
