"""What every optimizer is: it asks for cells, is told cells, and recommends from what it was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from archloom.graphs import Measure, Objective
from archloom.nodes import Spec
from archloom.orchestrator import Cell
from archloom.search._space import Point, Space
from archloom.search._statistics import Interval


@dataclass(frozen=True)
class Observation:
    """Cells that an optimizer wants next: one configuration on some tasks."""

    point: Point
    task_ids: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What was observed of a configuration.

    Attributes:
        n_tasks: Tasks it was observed on.
        n_failed: Failed cells among them; they count as score 0.
        score: Mean score and its 95% interval over tasks like these.
        means: Mean of every measure.
    """

    n_tasks: int
    n_failed: int
    score: Interval
    means: Mapping[Measure, float]


@dataclass(frozen=True)
class Recommendation:
    """The configuration an optimizer stands by.

    Attributes:
        point: The best one; where a front is wanted, the one with the best score on it.
        evidence: What was observed of it.
        front: All configurations that no other beats, by falling score; just the best one where no front is wanted.
    """

    point: Point
    evidence: Evidence
    front: tuple[Point, ...]


class Optimizer(Protocol):
    """Decides which cells to observe next, and which configuration they speak for.

    It is deterministic under its seed and the cells it was told, never asks for a cell twice, and is resumed by
    telling a new one all earlier cells in their order. :class:`archloom.testing.OptimizerConformance` checks that.
    """

    def ask(self) -> list[Observation]:
        """The cells wanted next; empty when its own stopping rule is met."""

    def tell(self, cells: Sequence[Cell]) -> None:
        """Takes in cells, asked for or not; failed ones too."""

    def recommend(self) -> Recommendation:
        """The best configuration among those observed.

        Raises:
            NoEvidenceError: nothing has been observed.
        """


class OptimizerType(Protocol):
    """A class of optimizers, as it is registered: how to make one, and its options."""

    Options: type[Spec]

    def __call__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> Optimizer:
        """Makes an optimizer.

        Args:
            space: What it may choose from.
            task_ids: The tasks of the search in one random order, common to all configurations.
            objective: What it looks for.
            seed: Of all its random choices.
            options: An instance of ``Options``.
        """
