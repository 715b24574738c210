"""The entry point: runs a command, and turns how it ended into an exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from archloom.cli._app import app
from archloom.tools.errors import ArchloomError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and leaves with its exit code.

    0 done, 1 failed, 2 bad usage or document, 3 budget reached, 4 below the threshold, 130 interrupted.
    """
    # Thousands of calls under way are no garbage; looking through them again and again costs a fifth of the time.
    gc.set_threshold(50_000, 20, 100)
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="archloom")
    except ArchloomError as exc:
        print(f"archloom: {exc}", file=sys.stderr)
        sys.exit(exc.exit_code)
    except OSError as exc:
        if exc.filename is None:
            raise
        print(f"archloom: {exc.filename}: {exc.strerror}.", file=sys.stderr)
        sys.exit(1)
    except SystemExit as exc:
        if exc.code == _INTERRUPTED:  # typer makes this of Ctrl-C, and says nothing
            print("archloom: interrupted; what is finished is kept, and the same command goes on.", file=sys.stderr)
        raise
