"""Graphs inside a document: its own, and the bodies of its composite nodes, however deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, get_args

from archloom.graphs._yaml import Json, Path
from archloom.nodes import INPUT, Composite, Kind, Node, node_types


class Graph(NamedTuple):
    """A graph as written.

    Attributes:
        path: Where it stands: empty for the document's own, ``("nodes", "refine", "body")`` for a body.
        data: The mapping with ``nodes`` and ``output``.
    """

    path: Path
    data: dict[str, Json]

    @property
    def nodes(self) -> dict[str, Json]:
        """Its nodes by name; empty where they are no mapping."""
        nodes = self.data.get("nodes")
        return nodes if isinstance(nodes, dict) else {}

    def place(self, name: str) -> Path:
        """Where one of its nodes stands in the document."""
        return (*self.path, "nodes", name)


def graphs_in(data: dict[str, Json], path: Path = ()) -> Iterator[Graph]:
    """The graph at this path and all graphs inside its nodes, in reading order; what is malformed has none."""
    graph = Graph(path, data)
    yield graph
    for name, spec in graph.nodes.items():
        for inside, body in bodies_of(spec):
            yield from graphs_in(body, (*graph.place(name), *inside))


def bodies_of(spec: Json) -> Iterator[tuple[Path, dict[str, Json]]]:
    """The bodies of one node as written, with their places inside it."""
    cls = node_types().get(str(spec.get("type"))) if isinstance(spec, dict) else None
    if cls is not None and issubclass(cls, Composite):
        for pattern in cls.bodies_at:
            yield from _found(spec, pattern, ())


def _found(data: Json, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, dict[str, Json]]]:
    if not isinstance(data, dict):
        return
    if not pattern:
        yield path, data
        return
    first, *rest = pattern
    for key in data if first == "*" else (first,):
        yield from _found(data.get(key), tuple(rest), (*path, key))


def kinds_taken(node: Node) -> frozenset[Kind]:
    """Kinds of candidates that a node works on; for a composite node those that all its bodies can begin with."""
    if not isinstance(node, Composite):
        return node.takes
    bodies = [part.body for part in node.parts if INPUT in part.given]
    readers = [kinds_taken(each) for body in bodies for each in body.nodes.values() if INPUT in each.after]
    return frozenset(get_args(Kind)).intersection(*readers)


def kinds_given(node: Node | None) -> frozenset[Kind]:
    """Kinds of candidates that a node gives; for a composite node those that some body of it ends with."""
    if not isinstance(node, Composite):
        return frozenset() if node is None else node.gives
    last = (part.body.nodes.get(part.body.output) for part in node.parts if part.gives)
    return frozenset[Kind]().union(*map(kinds_given, last))


def needs_input(node: Node) -> bool:
    """Whether a node cannot be the first; what the bodies of a composite node need is checked inside them."""
    return node.works_on_input if isinstance(node, Composite) else node.needs_input
