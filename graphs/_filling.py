"""A document's data with its choices made, and the nodes it then describes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import cast

from archloom.graphs._holes import Hole
from archloom.graphs._yaml import Json, Path
from archloom.nodes import Node, node_types


def mapping(data: Json) -> dict[str, Json]:
    """Data that was found to be a mapping."""
    return cast(dict[str, Json], data)


def filled(data: dict[str, Json], holes: tuple[Hole, ...], chosen: Mapping[str, object]) -> dict[str, Json]:
    """A copy with every hole replaced; nodes that are left out are gone and their neighbours joined."""
    out = deepcopy(data)
    left_out: set[str] = set()
    for hole in holes:
        option = cast(Json, chosen[hole.name])
        if hole.kind != "optional":
            for place in hole.places:
                put(out, place, deepcopy(option))
        elif not option:
            left_out.add(str(hole.path[1]))
    nodes = mapping(out["nodes"])
    for spec in nodes.values():
        mapping(spec).pop("optional", None)
    _leave_out(out, [name for name in nodes if any(name == gone or name.startswith(f"{gone}.") for gone in left_out)])
    return out


def put(data: Json, path: Path, value: Json) -> None:
    """Writes a value at this place."""
    for part in path[:-1]:
        data = data[part]  # type: ignore[index]  # the path was found in this data
    data[path[-1]] = value  # type: ignore[index]


def _after(spec: Json) -> list[str]:
    after = mapping(spec).get("after", [])
    return [after] if isinstance(after, str) else list(cast(list[str], after))


def _leave_out(data: dict[str, Json], names: list[str]) -> None:
    """Takes nodes out and joins their neighbours; what led to one of them now leads to its predecessors."""
    nodes = mapping(data["nodes"])
    end: dict[str, Json] = {"after": data["output"]}
    for name in names:
        parents = _after(nodes.pop(name))
        for spec in (*map(mapping, nodes.values()), end):
            if name in (after := _after(spec)):
                at = after.index(name)
                spec["after"] = list(dict.fromkeys([*after[:at], *parents, *after[at + 1 :]]))
    if len(last := _after(end)) == 1:  # else no single node is left to give the answer: the rules will say so
        data["output"] = last[0]


def built(data: dict[str, Json]) -> tuple[dict[str, Node], str]:
    """The nodes, and the name of the output."""
    types = node_types()
    nodes = {
        name: types[str(mapping(spec)["type"])].model_validate(spec) for name, spec in mapping(data["nodes"]).items()
    }
    return nodes, str(data["output"])
