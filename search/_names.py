"""Short names for the points of a space."""

from __future__ import annotations

from archloom.search._of_document import DocumentSpace
from archloom.search._space import Point

_MARKS = {
    "samples": "×{}",
    "temperature": "T{}",
    "votes": "{} votes",
    "keep": "keep {}",
    "rounds": "{} rounds",
}


def short_name(space: DocumentSpace, point: Point) -> str:
    """The choices that matter, such as ``×8 T0.4 checked``.

    Choices of nodes that this configuration does not have are left out, and so are nodes that were not taken.
    """
    present = space.configuration(point).nodes
    fields = [axis.name.split(".")[-1] for axis in space.axes]
    parts = []
    for axis, index in zip(space.axes, point, strict=True):
        path, option = axis.name.split("."), axis.options[index]
        field, node = path[-1], ".".join(path[1:-1])
        if path[0] == "nodes" and node.split("[")[0] not in present:
            continue
        if field == "optional":
            parts.append(node)
        elif field == "after":
            parts.append(f"{node}←{'+'.join(map(str, option)) if isinstance(option, list) else option}")
        else:
            mark = _MARKS.get(field, f"{field} {{}}" if isinstance(option, int | float) else "{}").format(option)
            parts.append(mark if fields.count(field) == 1 else f"{node} {mark}")
    return " ".join(parts) or "as written"


def unique_names(space: DocumentSpace, points: list[Point]) -> dict[Point, str]:
    """A name for each point; names that would be equal are told apart by the configuration's id."""
    names = {point: short_name(space, point) for point in points}
    taken = list(names.values())
    return {
        point: name if taken.count(name) == 1 else f"{name} ({space.configuration(point).id[:6]})"
        for point, name in names.items()
    }
