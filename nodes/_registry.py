"""Node types by name: ours and those that plug-ins bring through the entry point group ``archloom.nodes``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from archloom.nodes._node import Node
from archloom.tools import Registry

N = TypeVar("N", bound=type[Node])
_nodes: Registry[type[Node]] = Registry("archloom.nodes", "node type")


def register(name: str) -> Callable[[N], N]:
    """Makes a node class available as ``type: NAME``. Plug-ins name theirs ``package/name``."""
    return _nodes.decorator(name)


def node_types() -> dict[str, type[Node]]:
    """All node types by name, in alphabetical order."""
    return _nodes.all()
