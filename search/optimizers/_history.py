"""What all optimizers keep: the cells they were told, the cells they asked for, and how they judge the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

import numpy as np

from archloom.graphs import Measure, Objective
from archloom.orchestrator import Cell
from archloom.search._cells import Cells
from archloom.search._objective import Array, best_rows, cost_measures
from archloom.search._space import Point, Space
from archloom.search._statistics import mean_interval, wilson
from archloom.search.errors import NoEvidenceError
from archloom.search.optimizers._base import Evidence, Observation, Recommendation

POOL = 500
"""Candidates considered at a time when a space has more configurations."""
_PROMISING = 4
_ALIKE = 8
"""Tasks on which two must agree to count as equal: two that differ on one task in four do so with chance 0.1."""


class History:
    """The part of an optimizer that remembers.

    Everything an optimizer decides is a function of its seed and of this memory, never of earlier decisions. So a
    new one that is told the same cells goes on as the old one would have.
    """

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, pool: int = POOL
    ) -> None:
        self.space = space
        self.objective = objective
        self.cells = Cells(task_ids)
        self._seed = seed
        self._pool = pool
        self._asked: dict[str, set[str]] = {}
        self._neighbours = lru_cache(maxsize=64)(space.neighbours)

    def tell(self, cells: Sequence[Cell]) -> None:
        """Takes in cells, asked for or not; failed ones too.

        Raises:
            UnknownConfigurationError: a cell is of a configuration that the space does not know.
            UnknownTaskError: a cell is of a task that is not of this search.
        """
        for cell in cells:
            self.space.point(cell.config)
            self.cells.add(cell)
            self._asked.setdefault(cell.config, set()).add(cell.task)

    def recommend(self) -> Recommendation:
        """The best configuration among those observed on the most tasks.

        Raises:
            NoEvidenceError: nothing has been observed.
        """
        most = max(map(self.cells.n_tasks, self.cells.configs), default=0)
        configs = [config for config in self.cells.configs if self.cells.n_tasks(config) == most]
        return self._recommended(configs, self._judge(configs))

    def _judge(self, configs: Sequence[str]) -> Mapping[Measure, Array]:
        """The means by which observed configurations are compared."""
        return self.cells.means(configs)

    def _recommended(self, configs: Sequence[str], means: Mapping[Measure, Array]) -> Recommendation:
        """The best of these configurations by these means, and their front."""
        if not configs:
            raise NoEvidenceError("Nothing has been observed yet.", hint="Tell the optimizer some cells first.")
        rows = best_rows(self.objective, means)
        best = self._plainest(configs[rows[0]], configs)
        front = dict.fromkeys([best, *(configs[row] for row in rows[1:])])
        return Recommendation(self.space.point(best), self._evidence(best), tuple(map(self.space.point, front)))

    def _plainest(self, best: str, configs: Sequence[str]) -> str:
        """The cheapest of those that scored exactly as the best one on every task that it was seen on.

        A model of scores knows nothing of equality: where more samples or a critic change no answer, what it expects
        of equals differs a little, and the dearer one may come first.
        """
        own = self.cells.matrix("score", [best])[0]
        seen = ~np.isnan(own)
        if seen.sum() < _ALIKE:
            return best
        same = (self.cells.matrix("score", configs)[:, seen] == own[seen]).all(axis=1)
        alike = [best, *(config for config, is_same in zip(configs, same, strict=True) if is_same and config != best)]
        costs = [self.cells.matrix(measure, alike)[:, seen].mean(axis=1) for measure in _costs(self.objective)]
        cheaper = np.all([cost <= cost[0] for cost in costs], axis=0)
        return alike[int(np.where(cheaper, costs[0], np.inf).argmin())]

    def _evidence(self, config: str) -> Evidence:
        scores = self.cells.matrix("score", [config])
        return Evidence(
            n_tasks=self.cells.n_tasks(config),
            n_failed=self.cells.failures(config),
            score=mean_interval(scores[~np.isnan(scores)]),
            means={measure: float(means[0]) for measure, means in self.cells.means([config]).items()},
        )

    def _open_tasks(self, point: Point) -> tuple[str, ...]:
        """Tasks that were neither asked nor told of a configuration, in the common order."""
        asked = self._asked.get(self.space.key(point), set())
        return tuple(task for task in self.cells.task_ids if task not in asked)

    def _is_open(self, point: Point) -> bool:
        return len(self._asked.get(self.space.key(point), ())) < len(self.cells.task_ids)

    def _want(self, point: Point, task_ids: Sequence[str]) -> Observation:
        """Asks for cells, and remembers it."""
        self._asked.setdefault(self.space.key(point), set()).update(task_ids)
        return Observation(point, tuple(task_ids))

    def _rng(self) -> np.random.Generator:
        """Randomness for the next decision: it depends on the seed and on how much was asked, not on earlier draws."""
        return np.random.default_rng([self._seed, sum(map(len, self._asked.values()))])

    @cached_property
    def _explored(self) -> tuple[Point, ...]:
        """All configurations of a small space; of a larger one, random ones that stay the same through a search."""
        if self._is_small:
            return self.space.points()
        rng = np.random.default_rng([self._seed, 0, 2])
        return tuple(dict.fromkeys(self.space.sample(rng) for _ in range(self._pool)))

    @cached_property
    def _is_small(self) -> bool:
        return self.space.listable and len(self.space.points()) <= self._pool

    def _candidates(self) -> tuple[Point, ...]:
        """All configurations of a small space; else those observed, neighbours of the best, and random ones."""
        if self._is_small:
            return self._explored
        seen = {config: self.space.point(config) for config in self._asked}
        near = [point for config in self._promising() for point in self._neighbours(seen[config])]
        found = dict.fromkeys([*seen.values(), *near, *self._explored])
        return tuple(found)[: max(self._pool, len(seen))]

    def _promising(self) -> list[str]:
        """The few configurations that are surely good."""
        configs = self.cells.configs
        if not configs:
            return []
        scores = self.cells.matrix("score", configs)
        counts = (~np.isnan(scores)).sum(axis=1).tolist()
        lows = [wilson(total, n).low for total, n in zip(np.nansum(scores, axis=1).tolist(), counts, strict=True)]
        return [configs[row] for row in np.argsort(np.negative(lows), kind="stable")[:_PROMISING].tolist()]


def _costs(objective: Objective) -> tuple[Measure, ...]:
    return cost_measures(objective) or ("tokens",)


class FullEvaluations(History):
    """An optimizer that evaluates one configuration on all tasks before it looks at the next."""

    _at_a_time: int | None = None
    """Tasks observed at a time; by default all."""

    def ask(self) -> list[Observation]:
        """The tasks of one more configuration; first what is left of one that was begun."""
        begun = (config for config in self._asked if not self._given_up(config))
        for point in map(self.space.point, begun):
            if left := self._open_tasks(point):
                return [self._want(point, left[: self._at_a_time])]
        new = self._next()
        return [] if new is None else [self._want(new, self.cells.task_ids[: self._at_a_time])]

    def _given_up(self, config: str) -> bool:
        """Whether an evaluation that was begun is not worth finishing."""
        del config
        return False

    def _next(self) -> Point | None:
        """A configuration that was never asked for, or None when there is none left."""
        return self._unseen(self._rng())

    def _unseen(self, rng: np.random.Generator) -> Point | None:
        """A random configuration that was never asked for."""
        if self.space.listable:
            left = [point for point in self.space.points() if self.space.key(point) not in self._asked]
            return left[int(rng.integers(len(left)))] if left else None
        draws = (self.space.sample(rng) for _ in range(1_000))
        return next((point for point in draws if self.space.key(point) not in self._asked), None)
