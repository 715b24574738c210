"""Library graphs: ``use: library/NAME`` stands for the nodes of a parametrised graph."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import cast

from archloom.graphs._yaml import Json, Located, Path, load
from archloom.tools import suggest

Report = Callable[[str, Path, str, str | None], None]
"""Takes a code, a path, a message and a hint, if there is one."""


@cache
def library_names() -> tuple[str, ...]:
    """Names of the graphs that ship, such as ``library/self_consistency``."""
    folder = files("archloom.graphs") / "library"
    return tuple(sorted(f"library/{entry.name[:-5]}" for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def library_graph(name: str) -> dict[str, Json]:
    """The data of one of :func:`library_names`."""
    text = (files("archloom.graphs") / f"{name}.yaml").read_text(encoding="utf-8")
    located = load(text, f"{name}.yaml")
    assert not located.problems and isinstance(located.data, dict), located.problems
    return located.data


def inline(located: Located, report: Report) -> None:
    """Replaces every ``use:`` node by the nodes it stands for.

    The library graph's output node takes the name of the ``use`` node, so that edges to it stay; its other
    nodes are called ``NAME.inner``. Nodes of the library graph without ``after`` get that of the ``use`` node.
    Positions of all inlined parts are those of the ``use`` node.
    """
    data = located.data
    nodes = data.get("nodes") if isinstance(data, dict) else None
    if not isinstance(nodes, dict):
        return
    out: dict[str, Json] = {}
    for name, spec in nodes.items():
        if isinstance(spec, dict) and "use" in spec:
            expanded = _expand(name, spec, report)
            for inner in sorted((set(expanded) - {name}) & set(nodes)):
                report("E011", ("nodes", inner), f"{name!r} brings its own node of this name.", None)
            out.update(expanded)
        else:
            out[name] = spec
    cast(dict[str, Json], data)["nodes"] = out
    for path, position in list(located.positions.items()):
        if path[:1] == ("nodes",) and len(path) == 2 and path[1] in nodes:
            for name in out:
                if name not in nodes and name.startswith(f"{path[1]}."):
                    located.positions[("nodes", name)] = position


def _expand(name: str, spec: dict[str, Json], report: Report) -> dict[str, Json]:
    path: Path = ("nodes", name)
    for key in sorted(set(spec) - {"use", "with", "after", "optional"}):
        report(
            "E012",
            (*path, key),
            "unknown field.",
            "A 'use' node takes 'use', 'with', 'after' and 'optional'.",
        )
    used = spec["use"]
    if not isinstance(used, str) or used not in library_names():
        report("E023", (*path, "use"), f"there is no graph {used!r}.", suggest(str(used), list(library_names())))
        return {}
    graph = library_graph(used)
    values = _parameters(graph, spec.get("with", {}), path, report)
    inner = cast(dict[str, dict[str, Json]], graph["nodes"])
    names = {old: name if old == graph["output"] else f"{name}.{old}" for old in inner}
    out: dict[str, Json] = {}
    for old, body in inner.items():
        new = cast(dict[str, Json], _filled(deepcopy(body), values))
        after = new.pop("after", None)
        if after is None:
            if "after" in spec:
                new["after"] = spec["after"]
        else:
            new["after"] = [names[parent] for parent in ([after] if isinstance(after, str) else cast(list[str], after))]
        if "optional" in spec and old == graph["output"]:
            new["optional"] = spec["optional"]
        out[names[old]] = new
    return out


def _parameters(graph: dict[str, Json], given: Json, path: Path, report: Report) -> dict[str, Json]:
    declared = cast(dict[str, dict[str, Json]], graph.get("parameters", {}))
    if not isinstance(given, dict):
        report("E023", (*path, "with"), "'with' gives values to parameters: a mapping.", "")
        return {}
    for key in given:
        if key not in declared:
            report(
                "E023",
                (*path, "with", key),
                f"{graph['name']} has no parameter {key!r}.",
                suggest(key, list(declared)),
            )
    values: dict[str, Json] = {}
    for key, declaration in declared.items():
        if key in given:
            values[key] = given[key]
        elif "default" in declaration:
            values[key] = declaration["default"]
        else:
            report(
                "E023",
                (*path, "use"),
                f"parameter {key!r} has no value.",
                f"Write it under 'with': {declaration['doc']}",
            )
    return values


def _filled(data: Json, values: dict[str, Json]) -> Json:
    """The data with every ``{param: NAME}`` replaced by its value.

    The value is the same object in all its places, so that a hole given to a parameter stays one choice.
    """
    if isinstance(data, list):
        return [_filled(item, values) for item in data]
    if isinstance(data, dict):
        if set(data) == {"param"}:
            return values.get(str(data["param"]))
        return {key: _filled(value, values) for key, value in data.items()}
    return data
