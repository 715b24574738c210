"""A document's data with its choices made, and the nodes it then describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import cast

from archloom.graphs._bodies import Graph, graphs_in
from archloom.graphs._holes import Hole
from archloom.graphs._yaml import Json, Path
from archloom.nodes import Node, default_after, node_types


def mapping(data: Json) -> dict[str, Json]:
    """Data that was found to be a mapping."""
    return cast(dict[str, Json], data)


def filled(data: dict[str, Json], holes: tuple[Hole, ...], chosen: Mapping[str, object]) -> dict[str, Json]:
    """A copy with every hole replaced; nodes that are left out are gone and their neighbours joined."""
    out = deepcopy(data)
    left_out: set[Path] = set()
    for hole in holes:
        option = cast(Json, chosen[hole.name])
        if hole.kind != "optional":
            for place in hole.places:
                put(out, place, deepcopy(option))
        elif not option:
            left_out.add(hole.path[:-1])
    for graph in list(graphs_in(out)):
        for spec in graph.nodes.values():
            mapping(spec).pop("optional", None)
        here = [str(path[-1]) for path in left_out if path[:-1] == (*graph.path, "nodes")]
        # what a library graph brought goes with the node that it stands for
        gone = [name for name in graph.nodes if any(name == node or name.startswith(f"{node}.") for node in here)]
        _leave_out(graph, gone)
    return out


def put(data: Json, path: Path, value: Json) -> None:
    """Writes a value at this place."""
    for part in path[:-1]:
        data = data[part]  # type: ignore[index]  # the path was found in this data
    data[path[-1]] = value  # type: ignore[index]


def _after(spec: Json, default: Sequence[str] = ()) -> list[str]:
    after = mapping(spec).get("after", list(default))
    return [after] if isinstance(after, str) else list(cast(list[str], after))


def _leave_out(graph: Graph, names: list[str]) -> None:
    """Takes nodes out and joins their neighbours; what led to one of them now leads to its predecessors."""
    nodes = graph.nodes
    end: dict[str, Json] = {"after": graph.data["output"]}
    for name in names:
        gone = mapping(nodes.pop(name))
        parents = _after(gone, default_after(node_types()[str(gone["type"])]) if graph.path else ())
        for spec in (*map(mapping, nodes.values()), end):
            if name in (after := _after(spec)):
                at = after.index(name)
                spec["after"] = list(dict.fromkeys([*after[:at], *parents, *after[at + 1 :]]))
    if len(last := _after(end)) == 1:  # else no single node is left to give the answer: the rules will say so
        graph.data["output"] = last[0]


def without_dead_ends(data: dict[str, Json]) -> bool:
    """Removes nodes from which no path leads to the output of their graph; whether there were any."""
    found = False
    for graph in graphs_in(data):
        leading: set[str] = set()
        waiting = [str(graph.data["output"])]
        while waiting:
            if (name := waiting.pop()) in graph.nodes and name not in leading:
                leading.add(name)
                waiting.extend(_after(graph.nodes[name]))
        for name in [name for name in graph.nodes if name not in leading]:
            del graph.nodes[name]
            found = True
    return found


def built(data: dict[str, Json]) -> tuple[dict[str, Node], str]:
    """The nodes, and the name of the output."""
    types = node_types()
    nodes = {
        name: types[str(mapping(spec)["type"])].model_validate(spec) for name, spec in mapping(data["nodes"]).items()
    }
    return nodes, str(data["output"])
