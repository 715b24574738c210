"""The graph as an SVG picture that stands alone or inside a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from typing import NamedTuple

from archloom.graphs._drawing import HEAT_COLOUR, Drawing, DrawnNode, columns, opacity, printable
from archloom.graphs._layout import Layout, Slot, layered

_MARGIN, _PAD, _GAP, _BOX, _ROW, _LINE = 2.0, 12.0, 26.0, 46.0, 92.0, 16.0
_STYLE = f"""<style>
.al-graph {{ font: 11.5px ui-sans-serif, system-ui, sans-serif; color-scheme: light dark }}
@media (prefers-color-scheme: dark) {{ svg.al-graph:root {{ color: #e8e8e8; background: #16181b }} }}
.al-box {{ fill: currentColor; fill-opacity: .03; stroke: currentColor; stroke-opacity: .5 }}
.al-heat {{ fill: var(--al-heat, {HEAT_COLOUR}) }}
.al-output {{ stroke-width: 2; stroke-opacity: 1 }}
.al-edge {{ fill: none; stroke: currentColor; stroke-opacity: .55; stroke-width: 1.2 }}
.al-head {{ fill: currentColor; fill-opacity: .7 }}
.al-name {{ fill: currentColor; font: 600 13px ui-monospace, monospace }}
.al-note {{ fill: currentColor; fill-opacity: .72 }}
</style>"""


def svg(drawing: Drawing) -> str:
    """The graph as an SVG picture, top down, to inline in a page or to save as a file.

    Lines and words take the colour of the text around, so it fits light and dark pages; ``--al-heat`` sets
    the colour of heat.
    """
    graph = _placed(drawing)
    width, height = graph.layout.width + 2 * _MARGIN, graph.height + 2 * _MARGIN
    label = "Workflow graph: " + ("; ".join(f"{a} to {b}" for a, b in drawing.arrows) or drawing.output)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="al-graph" role="img" aria-label="{_xml(label)}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        _STYLE,
        *_graph(drawing, graph, _MARGIN, _MARGIN, output=drawing.output),
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


class _Size(NamedTuple):
    """Of a box."""

    width: float
    height: float


@dataclass(frozen=True)
class _Graph:
    """Where the parts of a graph go, from its left upper corner.

    Attributes:
        layout: Across.
        boxes: Size of each node.
        tops: Upper edge of each layer.
        height: Of all layers together.
        inside: Where the bodies of each node go.
    """

    layout: Layout
    boxes: Mapping[str, _Size]
    tops: Sequence[float]
    height: float
    inside: Mapping[str, Sequence[_Graph]]


def _placed(drawing: Drawing) -> _Graph:
    inside = {node.name: [_placed(body.drawing) for body in node.bodies] for node in drawing.nodes}
    boxes = {node.name: _size(node, _note(node, drawing.output), inside[node.name]) for node in drawing.nodes}
    layout = layered({name: box.width for name, box in boxes.items()}, drawing.arrows, gap=_GAP)
    heights = [max((boxes[slot.node].height for slot in row if not slot.towards), default=0.0) for row in layout.layers]
    tops = list(accumulate((height + _ROW - _BOX for height in heights), initial=0.0))
    return _Graph(layout, boxes, tops, tops[-1] - (_ROW - _BOX), inside)


def _size(node: DrawnNode, note: str, inside: Sequence[_Graph]) -> _Size:
    width = _box_width(node, note)
    if not inside:
        return _Size(width, _BOX)
    bodies = sum(graph.layout.width for graph in inside) + _GAP * (len(inside) - 1)
    return _Size(max(width, bodies + 2 * _PAD), _head(node) + max(graph.height for graph in inside) + _PAD)


def _head(node: DrawnNode) -> float:
    """Room for the words above the bodies of a node."""
    return _BOX + (_LINE if any(body.name for body in node.bodies) else 0.0)


def _graph(drawing: Drawing, graph: _Graph, x: float, y: float, *, output: str = "") -> Iterator[str]:
    """A graph at this place."""
    for route in graph.layout.routes:
        yield _edge(graph, route, x, y)
    slots = {slot.node: slot for row in graph.layout.layers for slot in row if not slot.towards}
    for node in drawing.nodes:
        slot, size = slots[node.name], graph.boxes[node.name]
        left, top = x + graph.layout.x[slot] - size.width / 2, y + graph.tops[slot.layer]
        yield _node(node, _note(node, output), left, top, size, node.name == output)
        inner = left + _PAD
        for body, inside in zip(node.bodies, graph.inside[node.name], strict=True):
            below = top + _head(node)
            if body.name:
                yield f'<text class="al-note" x="{inner:.1f}" y="{below - 6:.1f}">{_xml(body.name)}</text>'
            yield from _graph(body.drawing, inside, inner, below)
            inner += inside.layout.width + _GAP


def _note(node: DrawnNode, output: str) -> str:
    return node.type + (" → output" if node.name == output else "")


def _edge(graph: _Graph, route: Sequence[Slot], x: float, y: float) -> str:
    xs = [x + graph.layout.x[slot] for slot in route]
    path = f"M{xs[0]:.1f} {y + graph.tops[route[0].layer] + graph.boxes[route[0].node].height:.1f}"
    for (x0, upper), (x1, lower) in pairwise(zip(xs, route, strict=True)):
        y0, y1 = y + graph.tops[lower.layer] - (_ROW - _BOX), y + graph.tops[lower.layer]
        if upper.towards or graph.tops[upper.layer] + graph.boxes[upper.node].height < y0 - y:
            path += f"V{y0:.1f}"  # straight down past the boxes of its layer
        end = y1 if lower.towards else y1 - 5  # the head covers the rest
        path += f"C{x0:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {end:.1f}"
    return f'<path class="al-edge" d="{path}"/><path class="al-head" d="M{xs[-1]:.1f} {y1 - 1:.1f}l-4 -8h8z"/>'


def _node(node: DrawnNode, note: str, x: float, y: float, size: _Size, is_output: bool) -> str:
    title = " · ".join(part for part in (node.name, note, node.detail) if part)
    shape, heat = "al-box al-output" if is_output else "al-box", ""
    if node.heat is not None:
        title, shape, heat = (
            f"{title} · {node.heat:.0%}",
            f"{shape} al-heat",
            f'style="fill-opacity:{opacity(node.heat)}" ',
        )
    right, first = x + size.width - _PAD, y + (19 if node.detail else 27)
    return (
        f"<g><title>{_xml(title)}</title>"
        f'<rect class="{shape}" {heat}x="{x:.1f}" y="{y:.1f}"'
        f' width="{size.width:.1f}" height="{size.height:.0f}" rx="6"/>'
        f'<text class="al-name" x="{x + _PAD:.1f}" y="{first:.1f}">{_xml(node.name)}</text>'
        f'<text class="al-note" text-anchor="end" x="{right:.1f}" y="{first:.1f}">{_xml(note)}</text>'
        f'<text class="al-note" x="{x + _PAD:.1f}" y="{y + 36:.1f}">{_xml(node.detail)}</text></g>'
    )


def _box_width(node: DrawnNode, note: str) -> float:
    # No font metrics here: monospace advances are 0.6 em, and 0.57 em is generous for sans-serif text.
    first = 7.9 * columns(node.name) + 18 + 6.6 * columns(note)
    return 2 * _PAD + max(first, 6.6 * columns(node.detail))


def _xml(text: str) -> str:
    return escape(printable(text))
