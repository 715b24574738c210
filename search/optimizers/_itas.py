"""``itas``: Archon's inference-time architecture search, over any space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import ceil
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from archloom.graphs import Measure, Objective
from archloom.nodes import Spec
from archloom.orchestrator import Cell
from archloom.search._cells import Cells
from archloom.search._objective import Array, best_rows
from archloom.search._space import Point, Space
from archloom.search.errors import OptimizerOptionsError
from archloom.search.optimizers._base import Observation
from archloom.search.optimizers._history import History
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._surrogate import most_promising


class ITASOptions(Spec):
    """Options of ``itas``."""

    variant: Literal["greedy", "gp"] = "greedy"
    """One sweep of each hole after the other, or Bayesian optimization over all of them."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the tasks that is the development sample: the first ones of the common order."""
    cost_weight: Annotated[float, Field(ge=0)] = 0.0
    """Archon's λ: what one unit of ``cost`` takes off the score."""
    cost: Literal["tokens", "cost_usd", "latency_s", "calls", "flops", "memory_bytes"] = "tokens"
    """The cost that λ is for, per task."""
    startup: Annotated[int, Field(ge=1)] = 10
    """``gp``: random configurations before the process is asked."""
    evaluations: Annotated[int, Field(ge=1)] = 50
    """``gp``: configurations evaluated on the development sample."""


@register_optimizer("itas")
class ITAS(History):
    """Looks for the best ``score - λ cost`` on a development sample, then observes what it found on all tasks.

    ``greedy`` goes through the holes in the order of the document, tries every option of one with the others held,
    keeps the best, and goes on. It begins at the first option of each hole, without any optional node; where the
    rules forbid that, at the allowed configuration nearest to it among the candidates. ``gp`` evaluates random
    configurations and then those with the highest expected improvement.

    Archon (Saad-Falcon et al. 2024) has this order of holes: generators, samples, layers, fusers, critic and ranker,
    verifier; a document that lists its nodes like that is searched like that. It ranks single models first; here the
    sweep of the first node's model does. Limits are kept to in every comparison. Archon reports the winner as the
    development sample saw it; here the winner, or the front, is observed on the other tasks too.
    """

    Options: ClassVar[type[Spec]] = ITASOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        super().__init__(space, task_ids, objective, seed=seed)
        self._options = ITASOptions.model_validate(options.model_dump())
        self._sample = Cells(self.cells.task_ids[: ceil(self._options.share * len(self.cells.task_ids))])

    def tell(self, cells: Sequence[Cell]) -> None:
        """Takes in cells; those of the development sample decide where the search goes.

        Raises:
            UnknownConfigurationError: a cell is of a configuration that the space does not know.
            UnknownTaskError: a cell is of a task that is not of this search.
        """
        super().tell(cells)
        for cell in cells:
            if cell.task in self._sample.task_ids:
                self._sample.add(cell)

    def ask(self) -> list[Observation]:
        """A sweep, or one configuration, on the development sample; at last all tasks of what was found."""
        wanted = self._sweep() if self._options.variant == "greedy" else self._improve()
        if wanted or not self._sample.configs:
            return wanted
        configs = self._sample.configs
        found = [configs[row] for row in best_rows(self.objective, self._worth(self._sample, configs))]
        points = [self.space.point(config) for config in found]
        return [self._want(point, left) for point in points if (left := self._open_tasks(point))]

    def _sweep(self) -> list[Observation]:
        """The options of the first hole that was not swept yet."""
        here = self._start
        for axis in range(len(self.space.axes)):
            options = self._options_of(here, axis)
            if wanted := self._open_in_sample(options):
                return wanted
            here = self._best([here, *options])
        return []

    def _improve(self) -> list[Observation]:
        """What was begun; else a random configuration, and from the startup on the most promising one."""
        if wanted := self._open_in_sample([self.space.point(config) for config in self._asked]):
            return wanted
        left = [point for point in self._candidates() if self.space.key(point) not in self._asked]
        if len(self._asked) >= self._options.evaluations or not left:
            return []
        rng, configs = self._rng(), self._sample.configs
        if len(configs) < self._options.startup:
            return self._open_in_sample([left[int(rng.integers(len(left)))]])
        seen = [self.space.point(config) for config in configs]
        means = self._worth(self._sample, configs)
        return self._open_in_sample([most_promising(self.space, self.objective, seen, means, left, rng)])

    @cached_property
    def _start(self) -> Point:
        """The plainest configuration: first options, and no optional node."""
        plain = tuple(axis.options.index(False) if axis.options == (True, False) else 0 for axis in self.space.axes)
        if self.space.valid(plain):
            return self.space.normal(plain)
        away = [sum(a != b for a, b in zip(point, plain, strict=True)) for point in self._explored]
        return self._explored[int(np.argmin(away))]

    def _options_of(self, here: Point, axis: int) -> list[Point]:
        """The configurations that differ from this one in one hole at most."""
        points = ((*here[:axis], option, *here[axis + 1 :]) for option in range(len(self.space.axes[axis].options)))
        return list(dict.fromkeys(self.space.normal(point) for point in points if self.space.valid(point)))

    def _open_in_sample(self, points: Sequence[Point]) -> list[Observation]:
        sample = set(self._sample.task_ids)
        left = [(point, [task for task in self._open_tasks(point) if task in sample]) for point in points]
        return [self._want(point, tasks) for point, tasks in left if tasks]

    def _best(self, points: Sequence[Point]) -> Point:
        """The best of those of which anything is known; the first of equals, and of unknowns."""
        known = [point for point in points if self._sample.n_tasks(self.space.key(point))]
        if not known:
            return points[0]
        worth = self._worth(self._sample, [self.space.key(point) for point in known])
        return known[best_rows(Objective(within=self.objective.within), worth)[0]]

    def _judge(self, configs: Sequence[str]) -> Mapping[Measure, Array]:
        return self._worth(self.cells, configs)

    def _worth(self, cells: Cells, configs: Sequence[str]) -> dict[Measure, Array]:
        """Means of every measure, with ``score - λ cost`` in the place of the score."""
        means = cells.means(configs)
        if not self._options.cost_weight:
            return means
        if self._options.cost not in means:
            raise OptimizerOptionsError(
                f"Option 'cost': {self._options.cost!r} is not known of any configuration observed.",
                hint="Give each model a shape, or price tokens.",
            )
        return means | {"score": means["score"] - self._options.cost_weight * means[self._options.cost]}
