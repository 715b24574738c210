"""Where model-written programs run: what every level gives, and what a program is seen to do."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from archloom.tools.sandboxes._workspace import Workspace

SandboxLevel: TypeAlias = Literal["bwrap", "docker", "none"]
"""How far a program is kept apart: in namespaces of its own by bubblewrap, in a container, or not at all."""

Files: TypeAlias = Mapping[str, str | bytes]
"""Contents by path relative to the working directory."""

NO_FILES: Files = MappingProxyType({})
NO_ENV: Mapping[str, str] = MappingProxyType({})
MAIN = "main.py"
"""What :meth:`Sandbox.python` calls the program's own file."""


@dataclass(frozen=True)
class ExecResult:
    """What a program did.

    Attributes:
        exit_code: What it exited with, 128 + signal when a signal ended it; ``None`` when it was killed from
            outside, for its time or for what it used.
        stdout: Its output up to the limit, undecodable bytes replaced.
        stderr: The same for its errors.
        timed_out: It was killed because its time was up.
        truncated: It wrote more than the limit to one of the two.
        duration_s: Seconds from start to end.
        exceeded: What else it was killed for: ``output`` without end, more memory than all its processes may use
            together, more disk than its workspace may take, or more processes where the kernel does not limit them.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool
    truncated: bool
    duration_s: float
    exceeded: Literal["disk", "memory", "output", "processes"] | None = None


class Sandbox(Protocol):
    """Runs commands that are not trusted."""

    @property
    def level(self) -> SandboxLevel:
        """How far programs are kept apart."""

    async def exec(
        self,
        cmd: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] = NO_ENV,
        files: Files = NO_FILES,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a command to its end and kills it, with all it started, when that does not come in time.

        Args:
            cmd: Program and arguments; see :func:`python_command`.
            cwd: Where it starts, relative to its fresh working directory.
            env: Variables beside ``PATH``, ``HOME`` and ``LANG``. Nothing is taken from our own environment.
            files: Written into its working directory before it starts.
            stdin: Its standard input.
            timeout_s: Seconds it may take.
            output_limit: Bytes of output, and of errors, that are kept. The rest is read and dropped.

        Raises:
            ToolError: the sandbox, not the program, failed; or a path leaves the working directory.
        """

    async def python(
        self,
        program: str,
        *,
        files: Files = NO_FILES,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a Python program, as ``exec`` of ``python main.py`` would; where possible, in an interpreter that is up.

        Each program has an interpreter, namespaces and folders of its own, that no program used before and none
        uses after.

        Args:
            program: Its text, which becomes ``main.py``.
            files: Written beside it; it can import them.
            stdin: See :meth:`exec`, like the rest.
            timeout_s: Seconds from its first statement.
            output_limit: Bytes that are kept of each stream.

        Raises:
            ToolError: the sandbox, not the program, failed; or a path leaves the working directory.
        """

    def workspace(
        self, *, files: Files = NO_FILES, folder: Path | None = None
    ) -> AbstractAsyncContextManager[Workspace]:
        """A directory that lives on across several commands::

            async with box.workspace(folder=Path("repository")) as space:
                before = space.snapshot()
                await space.exec(["make", "test"], timeout_s=60)
                patch = space.diff(before)

        Args:
            files: What lies in it at first, on top of ``folder``.
            folder: A folder of this machine that is copied into it. The folder itself is never changed.

        Raises:
            ToolError: it cannot be made, or ``folder`` does not fit into it.
        """


def python_command() -> list[str]:
    """The interpreter for sandboxed programs: this one, without environment variables and user packages."""
    return [sys.executable, "-I"]
