"""Geometry of the report's charts: everything in percent of the plotting area, so one picture fits any width.

The charts are SVG that the page already contains: they need no script, print sharp, follow dark mode and can
be read aloud. ``report.html.j2`` turns what is computed here into elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, floor, inf, log10

from archloom.orchestrator._labels import Label, place
from archloom.orchestrator._numbers import MINUS

_LOG_FROM = 8.0  # ratio of the largest to the smallest value that makes an axis logarithmic
_TINY = 1e-12  # values closer than this differ by rounding only


@dataclass(frozen=True)
class Tick:
    """A grid line."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """A scale from ``low`` (0 %) to ``high`` (100 %)."""

    low: float
    high: float
    log: bool
    ticks: tuple[Tick, ...] = ()

    def at(self, value: float) -> float:
        """Where a value lies, in percent from the low end."""
        low, high, value = (log10(v) if self.log else v for v in (self.low, self.high, value))
        return round(100 * (value - low) / (high - low), 2)


@dataclass(frozen=True)
class Point:
    """A configuration, or the state of a search, at a cost (``x``) and with a score (``y``)."""

    x: float
    y: float
    kind: str
    """Decides the marker: ``winner``, ``front``, ``baseline``, ``tried`` or ``step``."""
    tip: str
    """What hovering shows; the first line is the heading."""
    label: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Mark:
    """A point as drawn: percent from the left and from the top."""

    point: Point
    x: float
    y: float
    top: float | None
    bottom: float | None
    label: Label | None = None


@dataclass(frozen=True)
class Line:
    """A straight line, percent from the left and from the top."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Plot:
    """Marks on a plane, with a staircase through some of them."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    stairs: tuple[Line, ...]


def plot(points: Sequence[Point], stairs: Sequence[Point], *, log: bool = True, onwards: bool = True) -> Plot | None:
    """Marks for all points and a staircase through some; ``None`` where there is nothing to show.

    Args:
        points: What to mark.
        stairs: Points the staircase goes through, from left to right.
        log: Whether costs that span a factor of eight or more get a logarithmic axis.
        onwards: Whether the staircase runs on to the right end: whoever can pay more can have that score too.
    """
    if not points:
        return None
    x = _axis([p.x for p in points], within=(0.0, inf), log=log, text=_plain)
    y = score_axis([v for p in points for v in (p.y, p.low, p.high) if v is not None])

    def mark(point: Point) -> Mark:
        low, high = (None if v is None else _from_top(y, v) for v in (point.low, point.high))
        return Mark(point, x.at(point.x), _from_top(y, point.y), high, low)

    lines: list[Line] = []
    corners = list(map(mark, stairs))
    for here, there in pairwise(corners):
        lines.append(Line(here.x, here.y, there.x, here.y))
        lines.append(Line(there.x, here.y, there.x, there.y))
    if corners and onwards:
        lines.append(Line(corners[-1].x, corners[-1].y, 100.0, corners[-1].y))
    # Drawn in this order: what matters most lies on top.
    ranks = ("tried", "step", "baseline", "front", "winner")
    marks = sorted(map(mark, points), key=lambda m: ranks.index(m.point.kind))
    return Plot(x, y, _labelled(marks, lines), tuple(lines))


def rising(points: Sequence[Point]) -> list[Point]:
    """From left to right, the points that are better than all that cost no more."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if not kept or point.y > kept[-1].y:
            kept.append(point)
    return kept


def score_axis(values: Sequence[float]) -> Axis:
    """A scale that holds these scores; it stays inside 0 to 1 where they do."""
    inside = min(values) >= 0 and max(values) <= 1
    return _axis(values, within=(0.0, 1.0) if inside else (-inf, inf), log=False, text=_percent)


def _axis(values: Sequence[float], *, within: tuple[float, float], log: bool, text: Callable[[float], str]) -> Axis:
    low, high = min(values), max(values)
    if log and low > _TINY and high / low >= _LOG_FROM:
        axis = Axis(low / 1.25, high * 1.25, log=True)
        first, last = floor(log10(axis.low)), ceil(log10(axis.high))
        steps = (1, 2, 5) if last - first <= 3 else (1,)
        at = [m * 10.0**k for k in range(first, last + 1, max(1, (last - first) // 5)) for m in steps]
    else:
        if high - low > _TINY * (1 + abs(high)):
            spare = 0.06 * (high - low)
        else:
            spare = 0.1 * abs(high) if abs(high) > _TINY else 0.05
        axis = Axis(max(low - spare, within[0]), min(high + spare, within[1]), log=False)
        step = _nice((axis.high - axis.low) / 5)
        at = [k * step for k in range(ceil(axis.low / step - 1e-9), floor(axis.high / step + 1e-9) + 1)]
    ticks = (Tick(axis.at(value), text(value)) for value in at)
    return replace(axis, ticks=tuple(tick for tick in ticks if 0 <= tick.at <= 100))


def _plain(value: float) -> str:
    return f"{value:,.10f}".rstrip("0").rstrip(".").replace("-", MINUS)


def _percent(score: float) -> str:
    return _plain(100 * score)


def _nice(step: float) -> float:
    """The nearest rounder step that is not smaller: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _from_top(axis: Axis, value: float) -> float:
    return round(100 - axis.at(value), 2)


def _labelled(marks: Sequence[Mark], stairs: Sequence[Line]) -> tuple[Mark, ...]:
    lines = [(s.x1, min(s.y1, s.y2), s.x2 - s.x1, abs(s.y1 - s.y2)) for s in stairs]
    whiskers = [
        (m.x, m.top, 0.0, m.bottom - m.top)
        for m in marks
        if m.point.label and m.top is not None and m.bottom is not None
    ]
    labels = place([(m.x, m.y, m.point.label) for m in marks], [*lines, *whiskers])
    return tuple(replace(mark, label=label) for mark, label in zip(marks, labels, strict=True))
