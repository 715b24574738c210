"""``grid``: brute force, for spaces small enough to afford it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import LISTABLE, Point, Space
from archloom.search.errors import SpaceTooLargeError
from archloom.search.optimizers._history import FullEvaluations
from archloom.search.optimizers._registry import register_optimizer


class GridOptions(Spec):
    """``grid`` has no options."""


@register_optimizer("grid")
class Grid(FullEvaluations):
    """Every configuration on every task, in the fixed order of the space.

    What it finds is the truth about the tasks of the search; what the others must find for less. It refuses a space
    with more than 20,000 points. Its seed changes nothing.
    """

    Options: ClassVar[type[Spec]] = GridOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        del options
        if not space.listable:
            raise SpaceTooLargeError(
                f"Optimizer 'grid' observes every configuration, and this space has {space.size:,} points "
                f"(at most {LISTABLE:,}).",
                hint="Close some holes, or use 'race'.",
            )
        super().__init__(space, task_ids, objective, seed=seed)

    def _next(self) -> Point | None:
        return next((point for point in self.space.points() if self.space.key(point) not in self._asked), None)
