"""The search space of a document: its holes as axes, its construction rules as validity."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from archloom.graphs import Configuration, Document, InvalidConfigurationError
from archloom.search._demands import Demands, demands
from archloom.search._space import Axis, Point, Space
from archloom.search.errors import EmptySpaceError


class DocumentSpace(Space):
    """A space whose points are configurations of one document."""

    def __init__(self, document: Document, *, more: Iterable[Axis] = ()) -> None:
        self.document = document
        self._configuration = lru_cache(maxsize=65_536)(self._configure)
        self._demands = lru_cache(maxsize=65_536)(lambda point: demands(self.configuration(point)))
        axes = (Axis(hole.name, hole.options, hole.ordered) for hole in document.holes)
        super().__init__((*axes, *more), valid=self._valid, canonical=lambda point: self.configuration(point).id)

    def configuration(self, point: Point) -> Configuration:
        """The workflow at a valid point."""
        found = self._configuration(point)
        assert found is not None, "an invalid point was evaluated"
        return found

    def demands(self, point: Point) -> Demands:
        """What the configuration asks of its models."""
        return self._demands(self.normal(point))

    def describe(self, point: Point) -> str:
        """The choices in words, such as ``samples 8 · temperature 0.6 · check yes``."""
        return " · ".join(_words(axis.name, axis.options[i]) for axis, i in zip(self.axes, point, strict=True))

    def _configure(self, point: Point) -> Configuration | None:
        try:
            return self.document.configure(self.assignment(point))
        except InvalidConfigurationError:
            return None

    def _valid(self, point: Point) -> bool:
        return self._configuration(point) is not None


def space_of(document: Document) -> DocumentSpace:
    """The space of a document with holes, or with a free topology.

    Raises:
        EmptySpaceError: it has neither.
        DocumentError: its topology does not fit to its nodes and models.
    """
    if document.search.topology is not None:
        from archloom.search._topology import TopologySpace  # which extends the class above

        return TopologySpace(document, document.search.topology)
    if not document.holes:
        raise EmptySpaceError(
            f"{document.source}: no choice is open, so there is nothing to search.",
            hint="Write a hole, such as 'samples: {choose: [1, 2, 4]}', or use 'archloom eval'.",
        )
    return DocumentSpace(document)


def _words(name: str, option: object) -> str:
    parts = name.removeprefix("nodes.").split(".")
    if parts[-1] == "optional":
        return f"{'with' if option else 'without'} {'.'.join(parts[:-1])}"
    value = "+".join(map(str, option)) if isinstance(option, list) else option
    return f"{parts[-1]} {value}" if parts[-1] != "after" else f"{parts[0]} after {value}"
