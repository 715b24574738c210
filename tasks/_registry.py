"""Kinds of task sets by prefix: ours, and those of plug-ins (entry point group ``archloom.tasks``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from archloom.tasks._task_set import TaskSet
from archloom.tools import Registry

Loader: TypeAlias = Callable[[str, Path], TaskSet]
"""Loads a task set, given what follows the prefix and the folder that relative paths start from."""

_loaders: Registry[Loader] = Registry("archloom.tasks", "task set")


def register(prefix: str) -> Callable[[Loader], Loader]:
    """Makes a loader available for specs that start with ``PREFIX:``."""
    return _loaders.decorator(prefix)


def task_loaders() -> dict[str, Loader]:
    """All loaders by prefix, in alphabetical order."""
    return _loaders.all()
