"""Holes: the open choices that turn a workflow into a search space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import combinations
from typing import Literal, TypeAlias

from archloom.graphs._bodies import graphs_in
from archloom.graphs._yaml import Json, Path, dotted

HoleKind: TypeAlias = Literal["choose", "range", "subset", "optional"]
_KEYS: dict[str, frozenset[str]] = {
    "choose": frozenset({"choose"}),
    "range": frozenset({"range", "step"}),
    "subset": frozenset({"subset", "min", "max"}),
}
MAX_OPTIONS = 4096


@dataclass(frozen=True)
class Hole:
    """An open choice.

    Attributes:
        path: Where it stands in the document.
        kind: How it was written.
        options: What may stand there instead, in the order written. For ``optional``: True, False.
        also: Other places that take the same option: those of one parameter of a library graph.
    """

    path: Path
    kind: HoleKind
    options: tuple[Json, ...]
    also: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """``nodes.draft.samples``; for an optional node ``nodes.review.optional``."""
        return dotted(self.path)

    @property
    def places(self) -> tuple[Path, ...]:
        """All places that it fills."""
        return (self.path, *self.also)

    @property
    def ordered(self) -> bool:
        """True when the options are numbers in order, so that neighbours behave alike."""
        numbers = [o for o in self.options if isinstance(o, int | float) and not isinstance(o, bool)]
        return len(numbers) == len(self.options) and numbers == sorted(numbers)

    @property
    def structural(self) -> bool:
        """True when it changes which nodes there are or how they are joined."""
        return self.kind in {"optional", "subset"} or self.path[-1] in {"after", "output"}


@dataclass(frozen=True)
class BadHole:
    """Something that looks like a hole and is none."""

    path: Path
    why: str


def find_holes(data: dict[str, Json]) -> list[Hole | BadHole]:
    """All holes of a document, in reading order.

    A hole that stands in several places because it is *one* object, as the value of a parameter of a library
    graph does, is one choice.
    """
    nodes = data.get("nodes")
    parts: list[tuple[Path, Json]] = [
        (("nodes", name), spec) for name, spec in (nodes.items() if isinstance(nodes, dict) else ())
    ]
    parts += [((key,), data.get(key)) for key in ("output", "budget")]
    places = frozenset(graph.place(name) for graph in graphs_in(data) for name in graph.nodes)
    found: dict[object, Hole | BadHole] = {}
    for path, part in parts:
        for written, hole in _walk(part, path, places):
            first = found.get(written)
            if isinstance(first, Hole):
                found[written] = replace(first, also=(*first.also, hole.path))
            elif first is None:
                found[written] = hole
    return list(found.values())


def _walk(data: Json, path: Path, nodes: frozenset[Path]) -> Iterator[tuple[object, Hole | BadHole]]:
    """Holes below this part, each with what tells whether it is the same as another one."""
    if isinstance(data, list):
        for i, item in enumerate(data):
            yield from _walk(item, (*path, i), nodes)
    elif isinstance(data, dict):
        if (kind := next((kind for kind in _KEYS if kind in data), None)) is not None:
            yield id(data), _read(kind, data, path)
            return
        for key, value in data.items():
            if key == "optional" and path in nodes:
                yield from ((hole.path, hole) for hole in _optional(value, (*path, key)))
            else:
                yield from _walk(value, (*path, key), nodes)


def _optional(value: Json, path: Path) -> list[Hole | BadHole]:
    if not isinstance(value, bool):
        return [BadHole(path, f"'optional' is true or false, not {value!r}")]
    return [Hole(path, "optional", (True, False))] if value else []


def _read(kind: str, data: dict[str, Json], path: Path) -> Hole | BadHole:
    if extra := sorted(set(data) - _KEYS[kind]):
        return BadHole(path, f"a {kind!r} hole takes no {', '.join(map(repr, extra))}")
    options = {"choose": _choose, "range": _range, "subset": _subset}[kind](data)
    if isinstance(options, str):
        return BadHole(path, options)
    if len(options) > MAX_OPTIONS:
        return BadHole(path, f"{len(options)} options are more than {MAX_OPTIONS}")
    return Hole(path, kind, tuple(options))  # type: ignore[arg-type]  # kind is a key of _KEYS


def _choose(data: dict[str, Json]) -> list[Json] | str:
    options = data["choose"]
    if not isinstance(options, list) or not options:
        return "'choose' needs a list of at least one option"
    if any(option in options[:i] for i, option in enumerate(options)):
        return f"'choose' names an option twice: {options!r}"
    return options


def _range(data: dict[str, Json]) -> list[Json] | str:
    bounds, step = data["range"], data.get("step")
    if not isinstance(bounds, list) or len(bounds) != 2:
        return "'range' needs [lowest, highest]"
    if step is None:
        return "'range' needs a 'step'"
    try:
        low, high, by = numbers = [Decimal(str(value)) for value in (*bounds, step)]
    except InvalidOperation:
        return f"'range' and 'step' must be numbers, not {bounds!r} and {step!r}"
    if not all(number.is_finite() for number in numbers):
        return f"'range' and 'step' must be finite, not {bounds!r} and {step!r}"
    if by <= 0 or high < low:
        return f"'range' must go up by a positive 'step', not {bounds!r} by {step!r}"
    if (high - low) / by >= MAX_OPTIONS:
        return f"a range of {bounds!r} by {step!r} has more than {MAX_OPTIONS} options"
    count = int((high - low) / by) + 1
    whole = all(isinstance(value, int) for value in (*bounds, step))
    return [int(low + i * by) if whole else float(low + i * by) for i in range(count)]


def _subset(data: dict[str, Json]) -> list[Json] | str:
    names = data["subset"]
    if not isinstance(names, list) or not names or len(names) > 12:
        return "'subset' needs a list of 1 to 12 entries"
    low, high = data.get("min", 1), data.get("max", len(names))
    if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low <= high <= len(names):
        return f"'min' and 'max' of a subset must be 0 <= min <= max <= {len(names)}"
    return [list(chosen) for size in range(low, high + 1) for chosen in combinations(names, size)]
