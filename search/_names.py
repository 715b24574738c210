"""Short names for the points of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archloom.graphs import graphs_in
from archloom.search._of_document import DocumentSpace
from archloom.search._space import Point
from archloom.search._topology import TopologySpace

_MARKS = {
    "samples": "×{}",
    "temperature": "T{}",
    "votes": "{} votes",
    "keep": "keep {}",
    "rounds": "{} rounds",
}
_LONGEST = 24


def short_name(space: DocumentSpace, point: Point) -> str:
    """The choices that matter, such as ``×8 T0.4 checked``.

    Choices of nodes that this configuration does not have are left out, and so are nodes that were not taken.
    """
    if isinstance(space, TopologySpace):
        return space.describe(point)
    present = space.configuration(point).places
    nodes = [graph.place(name) for graph in graphs_in(space.document.data) for name in graph.nodes]
    places = [_place(axis.name, nodes) for axis in space.axes]
    fields = [place.field for place in places]
    parts = []
    for axis, index, (place, node, field) in zip(space.axes, point, places, strict=True):
        option = axis.options[index]
        if node is not None and place not in present:
            continue
        if field == "optional":
            parts.append(str(node))
        elif field == "after":
            parts.append(f"{node}←{'+'.join(map(str, option)) if isinstance(option, list) else option}")
        else:
            form = _MARKS.get(field, f"{field} {{}}" if isinstance(option, int | float) else "{}")
            mark = form.format(_brief(option))
            parts.append(mark if fields.count(field) == 1 else f"{node} {mark}")
    return " ".join(parts) or "as written"


class _Place(NamedTuple):
    """Where a hole stands: in the document, the node it belongs to, if any, and the field there."""

    place: str
    node: str | None
    field: str


def _place(name: str, nodes: Sequence[tuple[str | int, ...]]) -> _Place:
    """Of a hole, by its name."""
    owners = {".".join(map(str, path)): str(path[-1]) for path in nodes}
    place = max((place for place in owners if name.startswith(f"{place}.")), key=len, default=None)
    if place is None:
        return _Place("", None, name)
    return _Place(place, owners[place], name.removeprefix(f"{place}."))


def _brief(option: object) -> str:
    """An option on one line; of a long text, such as a prompt, its beginning."""
    text = " ".join(str(option).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def unique_names(space: DocumentSpace, points: list[Point]) -> dict[Point, str]:
    """A name for each point; names that would be equal are told apart by the configuration's id."""
    names = {point: short_name(space, point) for point in points}
    taken = list(names.values())
    return {
        point: name if taken.count(name) == 1 else f"{name} ({space.configuration(point).id[:6]})"
        for point, name in names.items()
    }
