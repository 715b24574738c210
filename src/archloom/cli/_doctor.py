"""``archloom doctor``: what works here, and what to do about the rest."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from typing import NamedTuple

import typer

from archloom.cli._app import app
from archloom.cli._options import Json, print_json
from archloom.tools.errors import ArchloomError


class Finding(NamedTuple):
    """One thing that was looked at; ``needed`` when something does not work without it."""

    what: str
    ok: bool
    detail: str
    needed: bool = True


@app.command()
def doctor(json: Json = False) -> None:
    """Look at Python, the sandbox, the embedded engine, its weights and the disk."""
    findings = [_python(), *_sandbox(), _engine(), _weights(), _disk()]
    if json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else "MISS" if finding.needed else "no  "
            typer.echo(f"{mark}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings if finding.needed):
        raise typer.Exit(1)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), version)


_LEVELS = {
    "bwrap": "model-written programs run isolated, by bubblewrap",
    "docker": "model-written programs run isolated, in containers",
    "none": "model-written programs run WITHOUT a sandbox",
}


def _sandbox() -> list[Finding]:
    """The level that programs run at, and what is to be said about the others."""
    from archloom.tools import sandbox
    from archloom.tools.sandboxes import sandbox_levels

    try:
        used = sandbox().level
        findings = [Finding("sandbox", True, f"{used}: {_LEVELS[used]}")]
    except ArchloomError as exc:
        used = None
        findings = [Finding("sandbox", False, " ".join(filter(None, (exc.message, exc.hint))))]
    for level, reason in sandbox_levels().items():
        if level != used:
            can = f"ARCHLOOM_SANDBOX={level} would choose it; {_LEVELS[level]}"
            findings.append(Finding(f"sandbox level {level}", reason is None, reason or can, needed=False))
    return findings


def _engine() -> Finding:
    found = find_spec("xllamacpp") is not None
    return Finding("embedded engine", found, "xllamacpp" if found else 'pip install "archloom[local]"')


def _weights() -> Finding:
    from archloom.orchestrator.models import installed, model_cards

    name = model_cards()[0].name
    try:
        path = installed(name)
    except ArchloomError as exc:
        return Finding("weights", False, f"{exc.message} {exc.hint}")
    return Finding("weights", path is not None, str(path) if path else f"archloom models pull {name}")


def _disk() -> Finding:
    free_gb = shutil.disk_usage(".").free / 1e9
    return Finding("disk", free_gb > 1, f"{free_gb:.0f} GB free here")
