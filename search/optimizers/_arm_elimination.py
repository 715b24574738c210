"""``arm_elimination``: AgentOpt's successive elimination over growing batches of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._objective import Array
from archloom.search._space import Point, Space
from archloom.search.optimizers._base import Observation
from archloom.search.optimizers._history import POOL, History
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._rivals import may_replace, means_on

_LONE_SPREAD = 0.5  # standard deviation that AgentOpt takes for a single score


class ArmEliminationOptions(Spec):
    """Options of ``arm_elimination``."""

    pool: Annotated[int, Field(ge=2)] = POOL
    """Random configurations that start when the space has more."""


@register_optimizer("arm_elimination")
class ArmElimination(History):
    """All configurations on the same batch of tasks; the clearly worse are dropped, and the batch doubles.

    The first batch is a tenth of the tasks. After each, a configuration goes whose mean plus one standard error is
    below another's mean minus one. It ends when one is left or the tasks are used up. This is the arm elimination of
    AgentOpt (arXiv 2604.06296) with its settings. Three things differ: configurations come in a random order, so that
    a budget that ends within a batch does not favour the first ones listed; limits and fronts are kept to, for only
    one that is within the limits and no dearer may drive another out; and the recommendation is one of those that
    were observed on the most tasks.
    """

    Options: ClassVar[type[Spec]] = ArmEliminationOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        pool = ArmEliminationOptions.model_validate(options.model_dump()).pool
        super().__init__(space, task_ids, objective, seed=seed, pool=pool)

    @cached_property
    def _arms(self) -> tuple[Point, ...]:
        order = np.random.default_rng([self._seed, 0, 1]).permutation(len(self._explored))
        return tuple(self._explored[row] for row in order)

    def ask(self) -> list[Observation]:
        """The next batch of tasks for every configuration that is left."""
        arms = self._arms
        for end in _batch_ends(len(self.cells.task_ids)):
            tasks = set(self.cells.task_ids[:end])
            left = [(arm, [task for task in self._open_tasks(arm) if task in tasks]) for arm in arms]
            if wanted := [self._want(arm, missing) for arm, missing in left if missing]:
                return wanted
            arms = self._survivors(arms, end)
            if len(arms) <= 1:
                break
        return []

    def _survivors(self, arms: tuple[Point, ...], end: int) -> tuple[Point, ...]:
        """Those that no other is clearly better than, on the first tasks; one that was never observed stays."""
        keys = [self.space.key(arm) for arm in arms]
        scores = self.cells.matrix("score", keys)[:, :end]
        seen = np.flatnonzero(~np.isnan(scores).all(axis=1))
        means = means_on(self.cells, self.objective, [keys[row] for row in seen], slice(end))
        error = _standard_errors(scores[seen])
        better = (means["score"] - error)[:, None] > means["score"] + error
        beaten = (better & may_replace(self.objective, means)).any(axis=0)
        gone = set(seen[beaten].tolist())
        return tuple(arm for row, arm in enumerate(arms) if row not in gone)


def _batch_ends(tasks: int) -> Iterator[int]:
    """Number of tasks after each batch: a tenth of all, then twice as many more each time."""
    batch, end = max(1, tasks // 10), 0
    while end < tasks:
        end = min(tasks, end + batch)
        yield end
        batch *= 2


def _standard_errors(scores: Array) -> Array:
    counts = (~np.isnan(scores)).sum(axis=1)
    spread = np.full(len(scores), _LONE_SPREAD)
    several = counts > 1
    spread[several] = np.nanstd(scores[several], axis=1, ddof=1)
    return np.asarray(spread / np.sqrt(counts))
