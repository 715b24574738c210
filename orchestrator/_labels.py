"""Words beside the marks of a chart, where they cover nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 900.0, 360.0  # px that labels are laid out for; narrower pages hide all but the winner's
_CHARACTER, _LINE, _MARKER = 6.8, 15.0, 14.0

Box = tuple[float, float, float, float]
"""Left, top, width and height in px."""


@dataclass(frozen=True)
class Label:
    """Words and where they start or end, in px from their mark."""

    text: str
    dx: float
    dy: float
    anchor: str


def place(marks: Sequence[tuple[float, float, str]], obstacles: Sequence[Box]) -> list[Label | None]:
    """A label for each mark (percent from the left, from the top, words), as far as there is room.

    The last mark is the most important and chooses first.

    Args:
        marks: Where they are; one with empty words gets no label, and none is ever covered.
        obstacles: Other things not to cover, in percent.
    """
    spots = [(x * _WIDTH / 100, y * _HEIGHT / 100) for x, y, _ in marks]
    taken: list[Box] = [(x - _MARKER / 2, y - _MARKER / 2, _MARKER, _MARKER) for x, y in spots]
    taken += [
        (x * _WIDTH / 100, y * _HEIGHT / 100, max(w * _WIDTH / 100, 2), max(h * _HEIGHT / 100, 2))
        for x, y, w, h in obstacles
    ]
    labels: list[Label | None] = [None] * len(marks)
    for index in reversed(range(len(marks))):
        text = marks[index][2]
        for label, box in _choices(text, *spots[index]) if text else ():
            if box[0] >= 0 and box[0] + box[2] <= _WIDTH and not any(_overlap(box, other) for other in taken):
                labels[index] = label
                taken.append(box)
                break
    return labels


def _choices(text: str, x: float, y: float) -> Iterator[tuple[Label, Box]]:
    width = _CHARACTER * len(text)
    for dx, dy in ((14, 4), (-14, 4), (9, -12), (-9, -12), (9, 20), (-9, 20)):
        left = x + dx - (width if dx < 0 else 0)
        yield Label(text, dx, dy, "end" if dx < 0 else "start"), (left, y + dy - 12, width, _LINE)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
