"""Kinds of task sets by prefix: ours, and those of plug-ins (entry point group ``archloom.tasks``)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeAlias

from archloom.tasks._task_set import TaskSet

Loader: TypeAlias = Callable[[str, Path], TaskSet]
"""Loads a task set, given what follows the prefix and the folder that relative paths start from."""

_loaders: dict[str, Loader] = {}
_log = logging.getLogger(__name__)


def register(prefix: str) -> Callable[[Loader], Loader]:
    """Makes a loader available for specs that start with ``PREFIX:``."""

    def add(loader: Loader) -> Loader:
        if prefix in _loaders and _loaders[prefix] is not loader:
            raise ValueError(f"task sets {prefix!r} are registered twice: {_loaders[prefix]} and {loader}")
        _loaders[prefix] = loader
        return loader

    return add


@cache
def _load_plugins() -> None:
    for point in entry_points(group="archloom.tasks"):
        try:
            point.load()
        except Exception as exc:  # noqa: BLE001 - a broken plug-in must hurt nobody else
            _log.warning("task plug-in %s of %s does not load: %s", point.name, point.dist, exc)


def task_loaders() -> dict[str, Loader]:
    """All loaders by prefix, in alphabetical order."""
    _load_plugins()
    return dict(sorted(_loaders.items()))
