"""Where the nodes of a drawing go: layers from top to bottom, few crossings, straight long edges.

The classic layered method (Sugiyama): a node's layer is its longest path from a source, an edge that skips
layers passes through invisible slots, slots are ordered by the mean place of their neighbours and then moved
as close to it as the gaps allow. Small enough to need no graph library, whose import would slow the command
line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

_SWEEPS = 8


class Slot(NamedTuple):
    """A place in a layer: a node, or where an edge passes by (``node`` is then the edge's source)."""

    layer: int
    node: str
    towards: str = ""


@dataclass(frozen=True)
class Layout:
    """Layers from top to bottom, and the centre of each slot across."""

    layers: tuple[tuple[Slot, ...], ...]
    x: Mapping[Slot, float]
    routes: tuple[tuple[Slot, ...], ...]
    """The slots of each edge, from its source to its target."""
    width: float
    """From the left of the leftmost slot to the right of the rightmost."""


def layered(widths: Mapping[str, float], edges: Sequence[tuple[str, str]], *, gap: float) -> Layout:
    """Places nodes of these widths (at least one, no cycles) with ``gap`` or more between neighbours."""
    layer = _longest_paths(widths, edges)
    routes = tuple(
        (
            Slot(layer[a], a),
            *(Slot(passed, a, b) for passed in range(layer[a] + 1, layer[b])),
            Slot(layer[b], b),
        )
        for a, b in edges
    )
    slots = dict.fromkeys([*(Slot(layer[name], name) for name in widths), *(s for r in routes for s in r)])
    above: dict[Slot, list[Slot]] = {slot: [] for slot in slots}
    below: dict[Slot, list[Slot]] = {slot: [] for slot in slots}
    for upper, lower in (pair for route in routes for pair in pairwise(route)):
        below[upper].append(lower)
        above[lower].append(upper)
    layers = _fewest_crossings(
        [[s for s in slots if s.layer == i] for i in range(max(layer.values()) + 1)], above, below
    )

    def width(slot: Slot) -> float:
        return 0.0 if slot.towards else widths[slot.node]

    x = {slot: float(place) for row in layers for place, slot in enumerate(row)}
    for _ in range(_SWEEPS):
        # Down, then up: long chains come out straight, and parents end up centred over their children.
        for row, near in [*((row, above) for row in layers), *((row, below) for row in reversed(layers))]:
            wanted = [fmean(x[n] for n in near[slot]) if near[slot] else x[slot] for slot in row]
            x.update(zip(row, _spread(wanted, [width(slot) for slot in row], gap), strict=True))
    left = min(x[slot] - width(slot) / 2 for slot in slots)
    right = max(x[slot] + width(slot) / 2 for slot in slots)
    return Layout(tuple(map(tuple, layers)), {slot: x[slot] - left for slot in slots}, routes, right - left)


def _longest_paths(names: Mapping[str, float], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    inputs: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        inputs[b].append(a)
    layer: dict[str, int] = {}
    for name in TopologicalSorter(inputs).static_order():
        layer[name] = 1 + max((layer[a] for a in inputs[name]), default=-1)
    return layer


def _fewest_crossings(
    layers: list[list[Slot]], above: Mapping[Slot, list[Slot]], below: Mapping[Slot, list[Slot]]
) -> list[list[Slot]]:
    """The best order seen while each layer in turn follows the mean place of its neighbours."""
    best, fewest = layers, _crossings(layers, below)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        near, order = (above, 1) if sweep % 2 == 0 else (below, -1)
        layers = [list(row) for row in layers]
        place = {slot: float(i) for row in layers for i, slot in enumerate(row)}
        for row in layers[::order]:
            mean = {slot: fmean(place[n] for n in near[slot]) if near[slot] else place[slot] for slot in row}
            row.sort(key=mean.__getitem__)
            place.update((slot, float(i)) for i, slot in enumerate(row))
        if (crossings := _crossings(layers, below)) < fewest:
            best, fewest = layers, crossings
    return best


def _crossings(layers: list[list[Slot]], below: Mapping[Slot, list[Slot]]) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        place = {slot: i for i, slot in enumerate(lower)}
        ends = [end for slot in upper for end in sorted(place[n] for n in below[slot])]
        total += sum(later < end for i, end in enumerate(ends) for later in ends[i + 1 :])
    return total


def _spread(wanted: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """Centres nearest to the wanted ones (least squares) that keep the order and the gaps."""
    offsets = [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + gap)
    blocks: list[tuple[float, int]] = []  # pool adjacent violators: (mean, length) of slots that touch
    for want, offset in zip(wanted, offsets, strict=True):
        mean, length = want - offset, 1
        while blocks and blocks[-1][0] >= mean:
            earlier, count = blocks.pop()
            mean, length = (earlier * count + mean * length) / (count + length), count + length
        blocks.append((mean, length))
    starts = [mean for mean, length in blocks for _ in range(length)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]
