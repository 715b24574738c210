"""Library graphs: ``use: library/NAME`` stands for the nodes of a parametrised graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import cast

from archloom.graphs._bodies import Graph, bodies_of
from archloom.graphs._yaml import Json, Located, Path, load
from archloom.tools import suggest

Report = Callable[[str, Path, str, str | None], None]
"""Takes a code, a path, a message and a hint, if there is one."""


@cache
def library_names() -> tuple[str, ...]:
    """Names of the graphs that ship, such as ``library/self_consistency`` or ``library/text2sql/vote``."""
    return tuple(sorted(_names(files("archloom.graphs") / "library", "library")))


def _names(folder: Traversable, path: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _names(entry, f"{path}/{entry.name}")
        elif entry.name.endswith(".yaml"):
            yield f"{path}/{entry.name.removesuffix('.yaml')}"


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
    nodes are called ``NAME.inner``. Nodes of the library graph without ``after`` get that of the ``use`` node. Where
    a parameter says what a node comes after, nodes that then lead nowhere are left out. Positions of all inlined
    parts are those of the ``use`` node.
    """
    if isinstance(located.data, dict):
        _inline(Graph((), located.data), located, report)


def _inline(graph: Graph, located: Located, report: Report) -> None:
    """The same for one graph, and then for those inside its nodes."""
    nodes = graph.data.get("nodes")
    if not isinstance(nodes, dict):
        return
    out: dict[str, Json] = {}
    for name, spec in nodes.items():
        if isinstance(spec, dict) and "use" in spec:
            expanded = _expand(name, spec, graph.place(name), report)
            for inner in sorted((set(expanded) - {name}) & set(nodes)):
                report("E011", graph.place(inner), f"{name!r} brings its own node of this name.", None)
            out.update(expanded)
            if (position := located.positions.get(graph.place(name))) is not None:
                located.positions.update({graph.place(inner): position for inner in expanded if inner not in nodes})
        else:
            out[name] = spec
    graph.data["nodes"] = out
    for name, spec in out.items():
        for inside, body in bodies_of(spec):
            _inline(Graph((*graph.place(name), *inside), body), located, report)


def _expand(name: str, spec: dict[str, Json], path: Path, report: Report) -> dict[str, Json]:
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
            new["after"] = _renamed(after, names)
        if "optional" in spec and old == graph["output"]:
            new["optional"] = spec["optional"]
        out[names[old]] = new
    leading = _leading(out, name)
    return {each: body for each, body in out.items() if each in leading}


def _renamed(after: Json, names: Mapping[str, str]) -> Json:
    """What a node comes after, or a choice of that, with the names that the graph's nodes have in the document."""
    if isinstance(after, dict):
        return {key: [_renamed(each, names) for each in value] if isinstance(value, list) else value
                for key, value in after.items()}  # fmt: skip
    if isinstance(after, list):
        return [names.get(str(each), each) for each in after]
    return names.get(str(after), after)


def _leading(nodes: Mapping[str, Json], output: str) -> set[str]:
    """The nodes from which a path leads to the output, with any option of each choice."""
    found: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting.extend(_strings(cast(dict[str, Json], nodes[name]).get("after")))
    return found


def _strings(data: Json) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list | dict):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _strings(each)


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
