"""Evaluations that a pruner may cut short and that an Optuna storage may keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.orchestrator import Cell
from archloom.search._space import Space
from archloom.search.optimizers._history import FullEvaluations
from archloom.search.optimizers._pruning import PrunerName, Pruning
from archloom.search.optimizers._published import PublishedStudy


class StudyOptions(Spec):
    """Options of optimizers that evaluate one configuration after the other."""

    storage: str | None = None
    """Where Optuna's tools can read the search: ``sqlite:///search.db`` or another database, or a journal file."""


class PruningOptions(StudyOptions):
    """Options of those whose evaluations may be cut short."""

    pruner: PrunerName = "none"
    """Who gives up an evaluation that leads nowhere: nobody, or one of Optuna's pruners, told the score of each task
    in the common order."""
    step: Annotated[int, Field(ge=1)] = 8
    """Tasks observed between two looks of the pruner."""


class Evaluations(FullEvaluations):
    """Evaluates one configuration after the other, on all tasks unless a pruner gives it up."""

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: StudyOptions
    ) -> None:
        super().__init__(space, task_ids, objective, seed=seed)
        self._pruning: Pruning | None = None
        if isinstance(options, PruningOptions) and options.pruner != "none":
            self._pruning = Pruning(options.pruner, self.cells, objective, step=options.step)
            self._at_a_time = options.step
        self._published: PublishedStudy | None = None
        if options.storage:
            identity = f"{seed} {options.model_dump_json(exclude={'storage'})}"
            name = type(self).__name__.lower()
            self._published = PublishedStudy(
                options.storage, name, identity, space=space, cells=self.cells, objective=objective
            )

    def tell(self, cells: Sequence[Cell]) -> None:
        """Takes in cells one by one, so that what a pruner says does not depend on how many come at a time.

        Raises:
            UnknownConfigurationError: a cell is of a configuration that the space does not know.
            UnknownTaskError: a cell is of a task that is not of this search.
        """
        for cell in cells:
            new = (cell.config, cell.task) not in self.cells
            super().tell([cell])
            if new and self._pruning:
                self._pruning.learn(cell)
        for config in dict.fromkeys(cell.config for cell in cells):
            given_up = self._given_up(config)
            if self._published and (given_up or self.cells.n_tasks(config) == len(self.cells.task_ids)):
                self._published.add(config, given_up=given_up)

    def _given_up(self, config: str) -> bool:
        return self._pruning is not None and config in self._pruning.given_up
