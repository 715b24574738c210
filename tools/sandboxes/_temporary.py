"""Places for files on disk, for levels that have no file system of their own: looked after, not limited by it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from archloom.tools.errors import ToolError
from archloom.tools.sandboxes._folder import Folder
from archloom.tools.sandboxes._level import Place
from archloom.tools.sandboxes._sandbox import ExecResult

_BLOCK = 512
_LEAST = 4096
"""Bytes that a file counts at least, so that a million empty ones are not nothing."""


@dataclass(frozen=True)
class TemporaryPlace(Place):
    """A temporary folder.

    Attributes:
        path: Where it lies on this machine.
        limit_bytes: What its files may take together. Nothing enforces it while a program writes; one that is
            found to take more is killed. Files that are deleted but still open are not seen.
    """

    path: Path
    limit_bytes: int

    def is_full(self) -> bool:
        """Whether its files take more than they may, or cannot be counted."""
        taken = 0
        try:
            for found in self.folder.walk():
                taken += max(found.status.st_blocks * _BLOCK, _LEAST)
                if taken > self.limit_bytes:
                    return True
        except ToolError:
            return True
        return False

    def judged(self, result: ExecResult) -> ExecResult:
        """The result of a program that has written here, also of one too quick to be seen doing it."""
        if result.exit_code is not None and self.is_full():
            return replace(result, exit_code=None, exceeded="disk")
        return result


@contextmanager
def temporary_place(limit_bytes: int, *, owner: int | None = None) -> Iterator[TemporaryPlace]:
    """A temporary folder, owned by a user who is perhaps not our own, and removed at the end."""
    with TemporaryDirectory(prefix="archloom-", ignore_cleanup_errors=True) as name:
        if owner is not None:
            os.chown(name, owner, owner)
        folder = Folder(Path(name), owner=owner)
        try:
            yield TemporaryPlace(folder, Path(name), limit_bytes)
        finally:
            folder.close()
