"""Graphs as JSON that a model can read and write."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from archloom.graphs import InvalidConfigurationError
from archloom.graphs._topology import Graph, Place, Topology


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    role: str
    model: str
    after: list[int] = []


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    nodes: list[_Node]
    choices: dict[str, JsonValue] = {}


def graph_words(graph: Graph, choices: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A graph and what else is chosen; nodes are numbered from 1 in the order of the list."""
    nodes: list[JsonValue] = [
        {"role": place.role, "model": place.model, "after": [1 + parent for parent in place.after]} for place in graph
    ]
    return {"nodes": nodes, "choices": dict(choices)} if choices else {"nodes": nodes}


def read_graph(words: object, topology: Topology) -> tuple[Graph, dict[str, JsonValue]]:
    """The graph that somebody wrote, and what else is chosen.

    Raises:
        InvalidConfigurationError: it is none that these roles and models can form.
    """
    try:
        written = _Words.model_validate(words)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise InvalidConfigurationError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from exc
    for number, node in enumerate(written.nodes, 1):
        if node.role not in topology.roles or node.model not in topology.models:
            raise InvalidConfigurationError(f"Node {number}: there is no {node.role!r} of {node.model!r}.")
        if len(set(node.after)) < len(node.after) or not all(0 < parent < number for parent in node.after):
            raise InvalidConfigurationError(f"Node {number} reads something other than earlier nodes, each once.")
    places = (
        Place(node.role, node.model, tuple(sorted(parent - 1 for parent in node.after))) for node in written.nodes
    )
    return tuple(places), dict(written.choices)
