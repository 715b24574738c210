"""Paths inside a working directory."""

from __future__ import annotations

from pathlib import PurePosixPath

from archloom.tools.errors import ToolError


def inside(name: str) -> PurePosixPath:
    """A path relative to the working directory; ``.`` is the directory itself.

    Raises:
        ToolError: it leads out of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ToolError(f"programs work inside the working directory, and {name!r} leads out of it")
    return path


def file_inside(name: str) -> PurePosixPath:
    """The same for a file, which has a name.

    Raises:
        ToolError: it leads out of the directory, or is the directory itself.
    """
    path = inside(name)
    if not path.name:
        raise ToolError(f"files are written inside the working directory, so {name!r} cannot be")
    return path
