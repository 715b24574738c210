"""From documents and configurations to drawings."""

from __future__ import annotations

from collections.abc import Mapping

from archloom.graphs._configuration import Configuration
from archloom.graphs._document import Document
from archloom.graphs._draw import Drawing, DrawnNode
from archloom.graphs._yaml import Json


def picture(subject: Configuration | Document, *, heat: Mapping[str, float] | None = None) -> Drawing:
    """What to draw of a workflow or of a space (holes are written as ``1|2|4``; optional nodes with ``?``).

    Args:
        subject: A configuration or a document.
        heat: Share of something (score, cost) by node, 0 to 1, that colours the nodes.
    """
    if isinstance(subject, Configuration):
        specs: dict[str, dict[str, Json]] = {
            name: {**node.model_dump(mode="json", exclude_defaults=True), "type": node.type}
            for name, node in subject.nodes.items()
        }
        order, output = list(subject.order), subject.output
    else:
        specs = dict(subject.data["nodes"])  # type: ignore[arg-type]  # checked when the document was read
        order, output = list(specs), _written(subject.data["output"])
    nodes = tuple(
        DrawnNode(name, str(specs[name]["type"]), _detail(specs[name]), (heat or {}).get(name)) for name in order
    )
    edges = tuple(
        (parent, name) for name in order for parent in _parents(specs[name].get("after", [])) if parent in specs
    )
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
        return "|".join(_written(option) for option in value.get("choose") or value.get("subset") or [])  # type: ignore[union-attr]
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
