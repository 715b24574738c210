"""A directory that lives on across several commands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from archloom.tools.sandboxes._folder import Folder
from archloom.tools.sandboxes._sandbox import NO_ENV, ExecResult
from archloom.tools.sandboxes._snapshot import Snapshot, taken

_READ_BYTES = 2**20
_FILE_BYTES = 64 * 2**20
_NOT_WORK = (".git", "__pycache__")


class RunInPlace(Protocol):
    """Runs a command where the files of a workspace lie."""

    async def __call__(
        self, cmd: Sequence[str], cwd: str, env: Mapping[str, str], stdin: str, timeout_s: float, output_limit: int
    ) -> ExecResult:
        """See :meth:`Workspace.exec`."""


class Workspace:
    """The files of one piece of work, and commands that run among them; from :meth:`~archloom.tools.Sandbox.workspace`.

    Files stay from one command to the next, and nothing else does: each command has processes and a ``/tmp`` of
    its own, which end with it. Paths are relative to the workspace.
    """

    def __init__(self, folder: Folder, run: RunInPlace) -> None:
        """Args: where the files lie, and what runs a command there."""
        self._folder = folder
        self._run = run

    async def exec(
        self,
        cmd: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] = NO_ENV,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a command among the files; see :meth:`~archloom.tools.Sandbox.exec`.

        Raises:
            ToolError: the sandbox, not the program, failed; or ``cwd`` leads out of the workspace.
        """
        return await self._run(cmd, cwd, env, stdin, timeout_s, output_limit)

    def write(self, path: str, content: str | bytes, *, executable: bool = False) -> None:
        """Writes a file, and makes the folders that lead to it.

        Raises:
            ToolError: the path leads out of the workspace or through a symbolic link, or there is no space.
        """
        self._folder.write(path, content, executable=executable)

    def read(self, path: str, *, limit_bytes: int = _READ_BYTES) -> bytes:
        """The contents of a file.

        Raises:
            ToolError: it is no file or larger than the limit; the path leads out of the workspace or through a
                symbolic link. Links are never followed: a program could let them point anywhere.
        """
        return self._folder.read(path, limit_bytes=limit_bytes)

    def snapshot(self, *, without: Collection[str] = _NOT_WORK) -> Snapshot:
        """What lies in it now, held in memory.

        Args:
            without: Names of folders and files that are left out wherever they stand.

        Raises:
            ToolError: it cannot be read: more than 100 levels deep, more than 100 000 files, a file over 64 MiB.
        """
        return taken(self._folder, without=without, limit_bytes=_FILE_BYTES)

    def diff(self, before: Snapshot, after: Snapshot | None = None) -> str:
        """The patch from one snapshot to another, or to what lies in it now; see :meth:`Snapshot.diff`.

        Raises:
            ToolError: as for :meth:`snapshot`.
        """
        return before.diff(self.snapshot() if after is None else after)
