"""What a picture of a graph shows, whatever the format, and the care that all formats take with its words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from graphlib import TopologicalSorter

HEAT_COLOUR = "#d55e00"


@dataclass(frozen=True)
class DrawnBody:
    """A graph inside a node, with its name where the node has several."""

    name: str
    drawing: Drawing


@dataclass(frozen=True)
class DrawnNode:
    """One box: what it is called, what it is, and one line about its settings."""

    name: str
    type: str
    detail: str = ""
    heat: float | None = None
    """How strongly the box is coloured, 0 to 1: its share of the score, the tokens or the cost."""
    bodies: tuple[DrawnBody, ...] = ()
    """The graphs inside it."""

    @property
    def words(self) -> tuple[str, ...]:
        """Name, type and detail, as far as there is one."""
        return tuple(part for part in (self.name, self.type, self.detail) if part)


@dataclass(frozen=True)
class Drawing:
    """A graph to draw.

    Raises:
        ValueError: two nodes share a name, an edge names no node, or the edges form a cycle.
    """

    nodes: tuple[DrawnNode, ...]
    edges: tuple[tuple[str, str], ...]
    output: str
    """The node whose answer is the workflow's. Nothing is marked where it names none: an open choice."""

    def __post_init__(self) -> None:
        inputs: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        if len(inputs) < len(self.nodes):
            raise ValueError(f"two nodes of a drawing share a name: {[node.name for node in self.nodes]}")
        if unknown := {name for edge in self.edges for name in edge} - inputs.keys():
            raise ValueError(f"edges of a drawing name no node of it: {sorted(unknown)}")
        for source, target in self.edges:
            inputs[target].append(source)
        TopologicalSorter(inputs).prepare()  # raises CycleError, a ValueError that names the nodes

    @property
    def arrows(self) -> tuple[tuple[str, str], ...]:
        """The edges, each once."""
        return tuple(dict.fromkeys(self.edges))


def opacity(heat: float) -> float:
    """How opaque to paint a heat: text stays readable at 1 and the colour can be told at 0."""
    return round(0.06 + 0.54 * min(1.0, max(0.0, heat)), 3)


def printable(text: str) -> str:
    """Without control characters, which could move a terminal's cursor or end an XML document."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def columns(text: str) -> int:
    """How many columns of fixed-width text this takes; East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in printable(text))
