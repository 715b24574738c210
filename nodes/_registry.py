"""Node types by name: ours and those that plug-ins bring through the entry point group ``archloom.nodes``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from archloom.nodes._node import Node

N = TypeVar("N", bound=type[Node])
_types: dict[str, type[Node]] = {}
_log = logging.getLogger(__name__)


def register(name: str) -> Callable[[N], N]:
    """Makes a node class available as ``type: NAME``. Plug-ins name theirs ``package/name``."""

    def add(cls: N) -> N:
        if name in _types and _types[name] is not cls:
            raise ValueError(f"node type {name!r} is registered twice: {_types[name]} and {cls}")
        _types[name] = cls
        return cls

    return add


@cache
def _load_plugins() -> None:
    for point in entry_points(group="archloom.nodes"):
        try:
            point.load()
        except Exception as exc:  # noqa: BLE001 - a broken plug-in must hurt nobody else
            _log.warning("node plug-in %s of %s does not load: %s", point.name, point.dist, exc)


def node_types() -> dict[str, type[Node]]:
    """All node types by name, in alphabetical order."""
    _load_plugins()
    return dict(sorted(_types.items()))
