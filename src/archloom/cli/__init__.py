"""The command line: one file a command; each imports what it needs only when it runs."""

from archloom.cli._app import app
from archloom.cli._main import main

__all__ = ["app", "main"]
