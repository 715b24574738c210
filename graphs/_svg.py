"""The graph as an SVG picture that stands alone or inside a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from archloom.graphs._drawing import HEAT_COLOUR, Drawing, DrawnNode, columns, opacity, printable
from archloom.graphs._layout import Slot, layered

_MARGIN, _PAD, _GAP, _BOX, _ROW = 2.0, 12.0, 26.0, 46.0, 92.0
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
    notes = {node.name: node.type + (" → output" if node.name == drawing.output else "") for node in drawing.nodes}
    widths = {node.name: _box_width(node, notes[node.name]) for node in drawing.nodes}
    layout = layered(widths, drawing.arrows, gap=_GAP)
    boxes = {slot.node: slot for row in layout.layers for slot in row if not slot.towards}
    width, height = layout.width + 2 * _MARGIN, (len(layout.layers) - 1) * _ROW + _BOX + 2 * _MARGIN
    label = "Workflow graph: " + ("; ".join(f"{a} to {b}" for a, b in drawing.arrows) or drawing.output)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="al-graph" role="img" aria-label="{_xml(label)}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        _STYLE,
    ]
    for route in layout.routes:
        lines.append(_edge(route, [_MARGIN + layout.x[slot] for slot in route]))
    for node in drawing.nodes:
        slot = boxes[node.name]
        left = _MARGIN + layout.x[slot] - widths[node.name] / 2
        lines.append(_node(node, notes[node.name], left, _top(slot), widths[node.name], node.name == drawing.output))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _edge(route: Sequence[Slot], xs: Sequence[float]) -> str:
    path = f"M{xs[0]:.1f} {_top(route[0]) + _BOX:.1f}"
    for (x0, upper), (x1, lower) in pairwise(zip(xs, route, strict=True)):
        y0, y1 = _top(upper) + _BOX, _top(lower)
        if upper.towards:  # straight down past the boxes of the layer it only crosses
            path += f"V{y0:.1f}"
        end = y1 if lower.towards else y1 - 5  # the head covers the rest
        path += f"C{x0:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {end:.1f}"
    return f'<path class="al-edge" d="{path}"/><path class="al-head" d="M{xs[-1]:.1f} {y1 - 1:.1f}l-4 -8h8z"/>'


def _node(node: DrawnNode, note: str, x: float, y: float, width: float, is_output: bool) -> str:
    title = " · ".join(part for part in (node.name, note, node.detail) if part)
    shape, heat = "al-box al-output" if is_output else "al-box", ""
    if node.heat is not None:
        title, shape, heat = (
            f"{title} · {node.heat:.0%}",
            f"{shape} al-heat",
            f'style="fill-opacity:{opacity(node.heat)}" ',
        )
    right, first = x + width - _PAD, y + (19 if node.detail else 27)
    return (
        f"<g><title>{_xml(title)}</title>"
        f'<rect class="{shape}" {heat}x="{x:.1f}" y="{y:.1f}"'
        f' width="{width:.1f}" height="{_BOX:.0f}" rx="6"/>'
        f'<text class="al-name" x="{x + _PAD:.1f}" y="{first:.1f}">{_xml(node.name)}</text>'
        f'<text class="al-note" text-anchor="end" x="{right:.1f}" y="{first:.1f}">{_xml(note)}</text>'
        f'<text class="al-note" x="{x + _PAD:.1f}" y="{y + 36:.1f}">{_xml(node.detail)}</text></g>'
    )


def _top(slot: Slot) -> float:
    return _MARGIN + slot.layer * _ROW


def _box_width(node: DrawnNode, note: str) -> float:
    # No font metrics here: monospace advances are 0.6 em, and 0.57 em is generous for sans-serif text.
    first = 7.9 * columns(node.name) + 18 + 6.6 * columns(note)
    return 2 * _PAD + max(first, 6.6 * columns(node.detail))


def _xml(text: str) -> str:
    return escape(printable(text))
