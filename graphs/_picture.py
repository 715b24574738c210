"""From documents and configurations to drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from archloom.graphs._bodies import Graph, bodies_of
from archloom.graphs._configuration import Configuration
from archloom.graphs._document import Document
from archloom.graphs._drawing import Drawing, DrawnBody, DrawnNode
from archloom.graphs._filling import mapping
from archloom.graphs._inside import Input
from archloom.graphs._yaml import Json
from archloom.nodes import INPUT, Repeat, default_after, node_types


def picture(subject: Configuration | Document, *, heat: Mapping[str, float] | None = None) -> Drawing:
    """What to draw of a workflow or of a space (holes are written as ``1|2|4``; optional nodes with ``?``).

    Args:
        subject: A configuration or a document.
        heat: Share of something (score, cost) by node, 0 to 1, that colours the nodes.
    """
    drawing = _configuration(subject) if isinstance(subject, Configuration) else _written_graph(Graph((), subject.data))
    nodes = tuple(replace(node, heat=(heat or {}).get(node.name)) for node in drawing.nodes)
    return replace(drawing, nodes=nodes)


def _configuration(subject: Configuration) -> Drawing:
    specs: dict[str, dict[str, Json]] = {}
    bodies: dict[str, list[DrawnBody]] = {}
    for name in subject.order:
        node = subject.nodes[name]
        specs[name] = {**node.model_dump(mode="json", exclude_defaults=True), "type": node.type}
        if isinstance(node, Repeat):
            specs[name]["rounds"] = node.rounds
        inside = subject.bodies.get(name, {})
        bodies[name] = [DrawnBody("" if label == "*" else label, _configuration(inside[label])) for label in inside]
    return _drawing(
        specs, bodies, subject.output, given=any(isinstance(node, Input) for node in subject.nodes.values())
    )


def _written_graph(graph: Graph) -> Drawing:
    specs: dict[str, dict[str, Json]] = {}
    bodies: dict[str, list[DrawnBody]] = {}
    for name, spec in graph.nodes.items():
        specs[name] = mapping(spec)
        if graph.path:
            specs[name] = {"after": list(default_after(node_types()[str(specs[name]["type"])])), **specs[name]}
        inside = [(path, Graph((*graph.place(name), *path), body)) for path, body in bodies_of(spec)]
        bodies[name] = [
            DrawnBody(str(path[-1]) if len(inside) > 1 else "", _written_graph(body)) for path, body in inside
        ]
    if graph.path:
        specs[INPUT] = {"type": INPUT}
    return _drawing(specs, bodies, _written(graph.data["output"]), given=bool(graph.path))


def _drawing(
    specs: Mapping[str, dict[str, Json]], bodies: Mapping[str, Sequence[DrawnBody]], output: str, *, given: bool
) -> Drawing:
    """The picture of one graph. What a body is given is drawn only where a node reads more than that, or less."""
    parents = {
        name: [each for each in _parents(spec.get("after", [])) if each in specs] for name, spec in specs.items()
    }
    inner = [name for name in specs if name != INPUT or not given]
    plain = all(parents[name] == [INPUT] or (parents[name] and INPUT not in parents[name]) for name in inner)
    shown = [name for name in specs if name in inner or not plain]
    nodes = tuple(
        DrawnNode(
            name,
            str(specs[name]["type"]) if name in inner else "",
            _detail(specs[name]),
            bodies=tuple(bodies.get(name, ())),
        )
        for name in shown
    )
    edges = tuple((parent, name) for name in shown for parent in parents[name] if parent in shown)
    return Drawing(nodes, edges, output)


def _parents(after: Json) -> list[str]:
    if isinstance(after, dict):
        options = after.get("subset") or after.get("choose") or []
        return list(dict.fromkeys(name for option in options for name in _parents(option)))  # type: ignore[union-attr]
    return [after] if isinstance(after, str) else list(after or [])  # type: ignore[arg-type]


def _detail(spec: dict[str, Json]) -> str:
    parts = []
    for field, label in (
        ("model", "{}"),
        ("tool", "{}"),
        ("samples", "×{}"),
        ("votes", "×{} votes"),
        ("keep", "keep {}"),
        ("temperature", "T={}"),
        ("weight", "by {}"),
        ("rounds", "≤{} rounds"),
        ("until", "until {}"),
        ("carry", "carry {}"),
    ):
        if field in spec:
            parts.append(label.format(_written(spec[field])))
    if spec.get("optional") is True:
        parts.append("optional")
    return " ".join(parts)


def _written(value: Json) -> str:
    if isinstance(value, dict):
        if "range" in value:
            return "..".join(map(str, value["range"]))  # type: ignore[arg-type]  # checked when the document was read
        if "score" in value:
            return f"score ≥ {value['score']}"
        return "|".join(_written(option) for option in value.get("choose") or value.get("subset") or [])  # type: ignore[union-attr]
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
