"""The graph in Graphviz's language."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from archloom.graphs._drawing import HEAT_COLOUR, Drawing, DrawnNode, opacity, printable


def dot(drawing: Drawing) -> str:
    """The graph in Graphviz's language; a body is a cluster."""
    lines = [
        "digraph workflow {",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname=Helvetica];',
    ]
    if any(node.bodies for node in drawing.nodes):
        lines.append("  compound=true; fontname=Helvetica;")
    page = _Page(lines)
    page.graph(drawing, "  ", output=drawing.output)
    return "\n".join([*page.lines, "}"]) + "\n"


class _Ends(NamedTuple):
    """The nodes that arrows to a box and from it are tied to, and the cluster at whose border they stop."""

    first: str
    last: str
    cluster: str = ""


class _Page:
    """Lines that are written so far."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._numbers = count()

    def graph(self, drawing: Drawing, indent: str, *, output: str = "") -> _Ends:
        """Writes a graph; ``output`` is drawn with a thick line."""
        ids = {node.name: f"n{next(self._numbers)}" for node in drawing.nodes}
        ends = {
            node.name: self._node(node, ids[node.name], indent, marked=node.name == output) for node in drawing.nodes
        }
        for a, b in drawing.arrows:
            stops = [
                f"ltail={ends[a].cluster}" * bool(ends[a].cluster),
                f"lhead={ends[b].cluster}" * bool(ends[b].cluster),
            ]
            said = ", ".join(filter(None, stops))
            self.lines.append(f"{indent}{ends[a].last} -> {ends[b].first}{f' [{said}]' * bool(said)};")
        last = ends.get(drawing.output, ends[drawing.nodes[-1].name])
        return _Ends(ends[drawing.nodes[0].name].first, last.last)

    def _node(self, node: DrawnNode, id: str, indent: str, *, marked: bool) -> _Ends:
        label = r"\n".join(map(_text, node.words))
        heat = "" if node.heat is None else f'fillcolor="{HEAT_COLOUR}{round(opacity(node.heat) * 255):02x}"'
        if not node.bodies:
            said = ", ".join(filter(None, (f'label="{label}"', heat, "penwidth=2" * marked)))
            self.lines.append(f"{indent}{id} [{said}];")
            return _Ends(id, id)
        style = f'style="rounded,filled"; {heat}' if heat else "style=rounded"
        self.lines.append(f'{indent}subgraph cluster_{id} {{ label="{label}"; {style}; penwidth={2 if marked else 1};')
        inside = [self._body(body.name, body.drawing, indent + "  ") for body in node.bodies]
        self.lines.append(f"{indent}}}")
        return _Ends(inside[0].first, inside[-1].last, f"cluster_{id}")

    def _body(self, name: str, drawing: Drawing, indent: str) -> _Ends:
        if not name:
            return self.graph(drawing, indent)
        self.lines.append(
            f'{indent}subgraph cluster_n{next(self._numbers)} {{ label="{_text(name)}"; style=dashed; penwidth=1;'
        )
        ends = self.graph(drawing, indent + "  ")
        self.lines.append(f"{indent}}}")
        return ends


def _text(text: str) -> str:
    # Labels also read HTML entities.
    return printable(text).replace("&", "&amp;").replace("\\", r"\\").replace('"', r"\"")
