"""``matrix_ucb``: completes the matrix of scores, and observes where it may be most wrong about the best row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from archloom.graphs import Measure, Objective
from archloom.nodes import Spec
from archloom.search._objective import Array, best_rows, cost_measures
from archloom.search._space import Point, Space
from archloom.search.optimizers._base import Observation, Recommendation
from archloom.search.optimizers._history import POOL, History
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._rivals import means_on

_RIDGE = 0.1
_SWEEPS = 10
_LEFT_OUT = 0.05  # share of the cells that each member of the ensemble does not see
_SPREAD = 0.1  # of the members' different starts


class MatrixUCBOptions(Spec):
    """Options of ``matrix_ucb``."""

    batch: Annotated[int, Field(ge=1)] = 8
    """Tasks observed at a time."""
    warm_up: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Share of the matrix that is observed at random first."""
    rank: Annotated[int, Field(ge=1)] = 1
    """Rank of the factorisation."""
    ensemble: Annotated[int, Field(ge=2)] = 32
    """Factorisations whose disagreement is the uncertainty."""
    eta: Annotated[float, Field(ge=0)] = 5.0
    """Standard deviations of the ensemble that are added to what it predicts."""
    pool: Annotated[int, Field(ge=2)] = POOL
    """Candidates considered at a time when the space has more configurations."""


@register_optimizer("matrix_ucb")
class MatrixUCB(History):
    """UCB-E-LRF of Zhou et al. (2025, "On Speeding Up Language Model Evaluation", arXiv 2407.06172).

    After random cells as a warm-up, an ensemble of low-rank factorisations, each fitted to most of the cells, predicts
    the others. The configuration with the highest mean of what was observed and of upper bounds of what was not is
    observed on the tasks on which the ensemble disagrees most. The recommendation has the best mean of observed and
    predicted scores.

    Settings are the authors', but for 32 members instead of 64 and 8 tasks at a time instead of 32. Two things differ:
    factors are shrunk to the mean score, not to 0, so that an empty row or column predicts the mean; and limits and
    fronts are applied to the upper bounds, with the mean costs observed so far, so a front's least observed member is
    taken. It uses no choices of a configuration, and has no stopping rule of its own.
    """

    Options: ClassVar[type[Spec]] = MatrixUCBOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        self._options = MatrixUCBOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, pool=self._options.pool)

    def ask(self) -> list[Observation]:
        """Random cells; after the warm-up the next tasks of the configuration with the highest upper bound."""
        points = [point for point in self._candidates() if self._is_open(point)]
        if not points:
            return []
        asked = sum(map(len, self._asked.values()))
        cold = asked < self._options.warm_up * len(self._candidates()) * len(self.cells.task_ids)
        return self._scattered(points) if cold or not len(self.cells) else [self._surest(points)]

    def recommend(self) -> Recommendation:
        """The configuration with the best mean of observed and predicted scores, and the front of such means.

        Raises:
            NoEvidenceError: nothing has been observed.
        """
        configs = self.cells.configs
        if not configs:
            return self._recommended((), {})
        scores = self.cells.matrix("score", configs)
        predicted, _ = self._complete(scores)
        means = self.cells.means(configs)
        return self._recommended(configs, {**means, "score": predicted.mean(axis=1)})

    def _scattered(self, points: Sequence[Point]) -> list[Observation]:
        """A batch of random cells."""
        rng = self._rng()
        cells = [(row, task) for row, point in enumerate(points) for task in self._open_tasks(point)]
        drawn = sorted(rng.permutation(len(cells))[: self._options.batch].tolist())
        tasks: dict[int, list[str]] = {}
        for row, task in map(cells.__getitem__, drawn):
            tasks.setdefault(row, []).append(task)
        return [self._want(points[row], own) for row, own in tasks.items()]

    def _surest(self, points: Sequence[Point]) -> Observation:
        """The tasks on which least is known of the configuration that may be the best."""
        keys = [self.space.key(point) for point in points]
        rest = [config for config in self.cells.configs if config not in set(keys)]
        scores = self.cells.matrix("score", [*keys, *rest])
        predicted, deviation = self._complete(scores)
        upper = (predicted + self._options.eta * deviation)[: len(keys)].mean(axis=1)
        upper[np.isnan(scores[: len(keys)]).all(axis=1)] = np.inf
        rows = best_rows(self.objective, {**self._costs(keys), "score": upper})
        row = min(rows, key=lambda row: self.cells.n_tasks(keys[row]))
        place = {task: column for column, task in enumerate(self.cells.task_ids)}
        left = sorted(self._open_tasks(points[row]), key=lambda task: -deviation[row, place[task]])
        return self._want(points[row], left[: self._options.batch])

    def _costs(self, keys: Sequence[str]) -> dict[Measure, Array]:
        """Mean costs observed; nothing for what was never observed, so that it is worth a look."""
        seen = [row for row, key in enumerate(keys) if self.cells.n_tasks(key)]
        found = means_on(self.cells, self.objective, [keys[row] for row in seen], slice(None))
        costs = {measure: np.zeros(len(keys)) for measure in cost_measures(self.objective)}
        for measure, mean in costs.items():
            mean[seen] = found[measure]
        return costs

    def _complete(self, scores: Array) -> tuple[Array, Array]:
        """Scores with predictions in the gaps, and the ensemble's standard deviation there; 0 where observed."""
        known = ~np.isnan(scores)
        guesses = factorise(scores, rank=self._options.rank, members=self._options.ensemble, rng=self._rng())
        return (
            np.where(known, np.nan_to_num(scores), guesses.mean(axis=0)),
            np.where(known, 0.0, guesses.std(axis=0)),
        )


def factorise(scores: Array, *, rank: int, members: int, rng: np.random.Generator) -> Array:
    """Predictions of every cell by an ensemble of low-rank factorisations: a matrix per member.

    Alternating least squares. Of a configuration's first factor the prior mean is the mean score, of a task's it is
    1; those of the other factors are 0.

    Args:
        scores: A row per configuration, a column per task, NaN where nothing was observed.
        rank: Number of factors.
        members: Number of factorisations; each leaves out a few cells and starts elsewhere.
        rng: Of these differences.
    """
    known, values = ~np.isnan(scores), np.nan_to_num(scores)
    weights = known & (rng.random((members, *scores.shape)) >= _LEFT_OUT)
    by_row = weights.astype(np.float64)
    by_column = np.ascontiguousarray(by_row.transpose(0, 2, 1))
    row_values, column_values = by_row * values, by_column * values.T
    row_prior, column_prior = np.zeros(rank), np.zeros(rank)
    row_prior[0], column_prior[0] = values[known].mean(), 1.0
    columns = column_prior + _SPREAD * rng.standard_normal((members, scores.shape[1], rank))
    rows = np.broadcast_to(row_prior, (members, scores.shape[0], rank))
    for _ in range(_SWEEPS):
        rows = _ridge(by_row, row_values, columns, row_prior)
        columns = _ridge(by_column, column_values, rows, column_prior)
    return np.asarray(rows @ columns.transpose(0, 2, 1))


def _ridge(weights: Array, values: Array, factors: Array, prior: Array) -> Array:
    """The other side's factors, given these: a least-squares problem per row, shrunk to the prior.

    Weights are 0 or 1, and 0 where the values are.
    """
    rank = len(prior)
    products = (factors[..., :, None] * factors[..., None, :]).reshape(*factors.shape[:2], rank * rank)
    gram = (weights @ products).reshape(*weights.shape[:2], rank, rank) + _RIDGE * np.eye(rank)
    target = values @ factors + _RIDGE * prior
    return np.asarray(np.linalg.solve(gram, target[..., None])[..., 0])
