"""What a race believes: scores and costs of every candidate, and who may be the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from archloom.graphs import Measure, Objective
from archloom.search._cells import Cells
from archloom.search._objective import Array, best_rows, cost_measures, excess, front_costs
from archloom.search._pareto import non_dominated
from archloom.search._space import Point, Space
from archloom.search.optimizers._elimination import dropped
from archloom.search.optimizers._fit import fit_variances, unseen_spread
from archloom.search.optimizers._posterior import Kernels, Posterior, Variances
from archloom.search.optimizers._rivals import Mask, may_replace, no_dearer

_DRAWS, _LIMIT_DRAWS, _FRONT_DRAWS = 256, 128, 32
_FIRST_FIT, _REFIT = 32, 1.3


class Learner:
    """Turns cells into beliefs, and keeps what is dear to compute.

    Variance components are fitted to the first 32, 41, 54, ... cells of the log, each stage 1.3 times the last: the
    fit costs far more than the rest, and a resumed search comes to the same stages.
    """

    def __init__(self, space: Space, objective: Objective, cells: Cells) -> None:
        self._space = space
        self._objective = objective
        self._cells = cells
        self._fits: dict[tuple[Measure, int], Variances] = {}
        self._before: dict[Measure, Posterior] = {}
        self._kernels: tuple[tuple[Point, ...], Kernels] = ((), Kernels(np.zeros((0, 0)), np.zeros((0, 0))))

    def beliefs(self, points: tuple[Point, ...]) -> Beliefs:
        """Beliefs about these configurations."""
        kernels = self._kernels_of(points)
        configs = [self._space.key(point) for point in points]
        scores = self._cells.matrix("score", configs)
        costs = {}
        for measure in cost_measures(self._objective):
            observed = self._cells.matrix(measure, configs)
            costs[measure] = CostBelief(self._posterior(measure, _logs(observed), kernels), observed)
        return Beliefs(self._objective, scores, self._posterior("score", scores, kernels), costs)

    def _posterior(self, measure: Measure, table: Array, kernels: Kernels) -> Posterior:
        found = Posterior(table, kernels, self._variances(measure), before=self._before.get(measure))
        self._before[measure] = found
        return found

    def _kernels_of(self, points: tuple[Point, ...]) -> Kernels:
        if points != self._kernels[0]:
            self._kernels = (points, Kernels.of(self._space.encode(points), self._space.blocks))
        return self._kernels[1]

    def _variances(self, measure: Measure) -> Variances:
        stage = _stage(len(self._cells))
        if (measure, stage) not in self._fits:
            first = Cells(self._cells.task_ids, islice(self._cells, stage))
            table = first.matrix(measure, first.configs)
            table = table if measure == "score" else _logs(table)
            points = [self._space.point(config) for config in first.configs]
            kernels = Kernels.of(self._space.encode(points), self._space.blocks)
            least = unseen_spread(table) if measure == "score" else 0.0
            self._fits[measure, stage] = (
                fit_variances(table, kernels, least=least)
                if stage >= _FIRST_FIT
                else Variances.guess(table, least=least)
            )
        return self._fits[measure, stage]


def _stage(cells: int) -> int:
    """The largest stage that so many cells reach; before the first, all cells."""
    if cells < _FIRST_FIT:
        return cells
    return int(_FIRST_FIT * _REFIT ** int(np.log(cells / _FIRST_FIT) / np.log(_REFIT)))


def _logs(costs: Array) -> Array:
    """Logarithms; a free cell counts as a tenth of the cheapest one that is not."""
    paid = costs[costs > 0]
    return np.asarray(np.log(np.maximum(costs, paid.min() / 10 if paid.size else 1.0)))


@dataclass(frozen=True)
class CostBelief:
    """A cost: beliefs over its logarithm, and what was observed."""

    posterior: Posterior
    observed: Array

    @cached_property
    def expected(self) -> Array:
        """Expected mean cost per task of each candidate."""
        return self.posterior.expected_totals(self.observed)

    def draw(self, rng: np.random.Generator, draws: int) -> Array:
        """Joint draws of mean costs."""
        return self.posterior.draw_totals(rng, draws, self.observed)


@dataclass(frozen=True)
class Draws:
    """Possible worlds: a column each.

    Attributes:
        scores: Score of each candidate; -1 and less where it exceeds a limit, the lower the more it does.
        costs: What a wanted front trades against the score; empty where the score alone counts.
        alive: Candidates that can win.
    """

    scores: Array
    costs: tuple[Array, ...]
    alive: Mask

    def winners(self, world: int) -> Mask:
        """The best candidate of a world, or the members of its front."""
        score = np.where(self.alive, self.scores[:, world], -np.inf)
        if self.costs:
            return _front(np.column_stack([score, *(cost[:, world] for cost in self.costs)]))
        return np.asarray(score == score.max())

    @property
    def chances(self) -> Array:
        """The share of worlds in which each candidate wins."""
        return np.asarray(np.mean([self.winners(world) for world in range(self.scores.shape[1])], axis=0))


@dataclass(frozen=True)
class Beliefs:
    """Beliefs about a set of candidates, in one fixed order of rows."""

    objective: Objective
    scores: Array
    score: Posterior
    costs: Mapping[Measure, CostBelief]

    @cached_property
    def observed(self) -> Mask:
        """Candidates with cells."""
        return np.asarray(~np.isnan(self.scores).all(axis=1))

    @cached_property
    def expected(self) -> dict[Measure, Array]:
        """Expected means of each candidate over the tasks of the search."""
        return {
            "score": self.score.value,
            **{measure: belief.expected for measure, belief in self.costs.items()},
        }

    @cached_property
    def not_dearer(self) -> Mask:
        """Whether the row's candidate costs no more than the column's by every cost of the wanted front."""
        return no_dearer(self.objective, self.expected)

    def dropped(self, *, rivals: int, alpha: float) -> Mask:
        """Candidates proven worse than one that is observed, within limits and not dearer."""
        may_lead = may_replace(self.objective, self.expected) & self.observed[:, None]
        np.fill_diagonal(may_lead, True)
        leaders = np.where(may_lead, self.score.value[:, None], -np.inf).argmax(axis=0)
        return dropped(self.scores, leaders, rivals=rivals, alpha=alpha)

    def draw(self, rng: np.random.Generator, alive: Mask) -> Draws:
        """Draws possible worlds; only candidates that are alive can win."""
        draws = _FRONT_DRAWS if self.objective.pareto else _LIMIT_DRAWS if self.costs else _DRAWS
        scores = self.score.draw_values(rng, draws)
        costs = {measure: belief.draw(rng, draws) for measure, belief in self.costs.items()}
        over = excess(self.objective, {"score": scores, **costs})
        scores = np.where(over > 0, -1 - over, scores)
        return Draws(scores, tuple(costs[measure] for measure in front_costs(self.objective)), alive)

    def regret(self, draws: Draws) -> float:
        """Expected loss of score for taking a recommended candidate instead of the best that is no cheaper."""
        seen = np.flatnonzero(self.observed)
        rows = seen[best_rows(self.objective, {measure: mean[seen] for measure, mean in self.expected.items()})]
        best = np.zeros_like(draws.scores) if self.objective.pareto else np.full_like(draws.scores, -np.inf)
        for row in rows:
            beaten = self.not_dearer[row]
            best[beaten] = np.maximum(best[beaten], draws.scores[row])
        return float((draws.scores - best).max(axis=0).mean())


def _front(values: Array) -> Mask:
    """The front of those within limits and alive, or of the candidates nearest to the limits."""
    allowed = (values[:, 0] > -1) if (values[:, 0] > -1).any() else (values[:, 0] == values[:, 0].max())
    front = np.zeros(len(values), dtype=bool)
    front[allowed] = non_dominated(values[allowed])
    return front
