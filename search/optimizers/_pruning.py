"""Pruning over tasks: an evaluation is given up half-way when an Optuna pruner sees that it leads nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from archloom.graphs import Objective
from archloom.orchestrator import Cell
from archloom.search._cells import Cells
from archloom.search._objective import limits
from archloom.search.optimizers._quiet import quiet
from archloom.search.optimizers._rivals import may_replace, means_on

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.trial import Trial

PrunerName: TypeAlias = Literal["none", "wilcoxon", "hyperband"]
"""Optuna's pruners that fit evaluations over tasks."""


class Pruning:
    """Says which evaluations are given up.

    Each configuration is a trial of a study in memory that learns of its cells one by one, so what it says is a
    function of the cells in the order in which they were told. ``wilcoxon`` is told the score on each task, as
    Optuna recommends for means over instances; ``hyperband`` the mean score so far, with one rung at the first look
    and three times as many tasks for each next one.

    Optuna's pruners know of scores alone. So what they say counts only where a fully observed configuration would
    also be taken instead by the objective: within the limits, no dearer by any cost of a wanted front, and at least
    as good on the same tasks.
    """

    def __init__(self, pruner: PrunerName, cells: Cells, objective: Objective, *, step: int) -> None:
        import optuna

        self._per_task = pruner == "wilcoxon"
        self._cells, self._objective, self._step = cells, objective, step
        self._column = {task: column for column, task in enumerate(cells.task_ids)}
        with quiet():
            self._study = optuna.create_study(
                study_name="pruning",  # Hyperband's brackets depend on it
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                pruner=_pruner(pruner, step, len(cells.task_ids)),
            )
        self._trials: dict[str, Trial] = {}
        self._finished: list[str] = []
        self.given_up: set[str] = set()

    def learn(self, cell: Cell) -> None:
        """Takes in a cell that has just been added to the search's, for the first time."""
        from optuna.trial import TrialState

        config = cell.config
        if config not in self._trials:
            self._trials[config] = self._study.ask()
        if config in self.given_up or config in self._finished:
            return
        trial, seen = self._trials[config], self._cells.n_tasks(config)
        mean = float(np.nanmean(self._cells.matrix("score", [config])))
        trial.report(cell.value if self._per_task else mean, self._column[cell.task] if self._per_task else seen)
        if seen == len(self._cells.task_ids):
            self._finish(config, mean)
        elif seen % self._step == 0 and trial.should_prune() and self._beaten(config):
            self.given_up.add(config)
            self._study.tell(trial, state=TrialState.PRUNED)

    def _finish(self, config: str, score: float) -> None:
        means = self._cells.means([config])
        for measure, limit in limits(self._objective).items():
            self._trials[config].set_constraint(measure, float(means[measure][0]) - limit)
        self._study.tell(self._trials[config], score)
        self._finished.append(config)

    def _beaten(self, config: str) -> bool:
        """Whether some finished configuration would be taken instead, by the tasks that this one has seen."""
        seen = ~np.isnan(self._cells.matrix("score", [config])[0])
        means = means_on(self._cells, self._objective, [*self._finished, config], seen)
        as_good = means["score"] >= means["score"][-1]
        return bool((may_replace(self._objective, means)[:, -1] & as_good)[:-1].any())


def _pruner(pruner: PrunerName, step: int, tasks: int) -> BasePruner:
    from optuna.pruners import HyperbandPruner, WilcoxonPruner

    if pruner == "wilcoxon":
        return WilcoxonPruner()
    return HyperbandPruner(min_resource=min(step, tasks), max_resource=tasks)
