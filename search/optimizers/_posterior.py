"""Closed-form beliefs about every configuration, from the cells of some.

The model, for configuration c and task q::

    y[c,q] = f(c) + d(q) + e[c,q]          d(q) ~ N(0, task),   e[c,q] ~ N(0, noise),   f ~ N(0, K)
    K = level + main * linear + pair * pairs + own * identity

``linear`` holds the main effects of each choice, ``pairs`` the products of two choices of different axes, ``own``
what no other configuration can tell. A mixed model of this kind is Henderson's (1975); all of it is Gaussian, so the
posterior is linear algebra.

**Task effects are eliminated.** With A the 0/1 matrix of observed cells, m its column sums and
``h = 1 / (m + noise/task)``, the precision of f that the data bring is the Schur complement
``W = (diag(A 1) - A diag(h) A') / noise``, and the information vector is ``b = (Y 1 - A (h * Y'1)) / noise``. Only
rows with data enter, so with ``W = L L'`` and ``M = I + L' K L`` over those rows, ``cov f = K - K L inv(M) L' K`` and
``mean f = cov f b``: one factorisation whose size is the number of observed configurations, whatever the number of
cells.

**Values are finite-population means.** What matters is the mean over *these* tasks: observed cells are known, the
others are predicted, and a fully observed configuration is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from archloom.search._objective import Array

_LEAST_SPREAD = 1e-3  # the first scores may all be equal
_JITTER = 1e-10


@dataclass(frozen=True)
class Kernels:
    """How alike configurations are, by single choices and by pairs of choices."""

    linear: Array
    pairs: Array

    @classmethod
    def of(cls, codes: Array, blocks: tuple[slice, ...]) -> Kernels:
        """The kernels of encoded configurations; ``blocks`` are the columns of each axis.

        They are scaled by the number of axes, and of pairs of axes, so that two equal configurations are alike by
        about 1 whatever the space.
        """
        by_axis = [codes[:, block] @ codes[:, block].T for block in blocks]
        linear = np.sum(by_axis, axis=0)
        squares = np.sum([kernel**2 for kernel in by_axis], axis=0)
        axes = len(blocks)
        return cls(linear / axes, (linear**2 - squares) / max(1, axes * (axes - 1)))

    def covariance(self, variances: Variances) -> Array:
        """The prior covariance of f."""
        shared = variances.main * self.linear + variances.pair * self.pairs
        return variances.level + shared + variances.own * np.eye(len(shared))


@dataclass(frozen=True)
class Variances:
    """The variance components of the model; as written, they are shares of the spread of all scores."""

    noise: float = 0.55
    task: float = 0.27
    main: float = 0.12
    pair: float = 0.03
    own: float = 0.03
    level: float = 5.0

    @classmethod
    def guess(cls, scores: Array) -> Variances:
        """What to believe before much is seen: the usual shares of the spread that these scores have."""
        spread = max(float(np.nanvar(scores)), _LEAST_SPREAD)
        return cls(*(spread * share for share in vars(cls()).values()))


def _factor(matrix: Array) -> Array:
    """Cholesky factor of a covariance or precision, also where rows are known (zero variance), or where almost no
    noise makes the precision so large that rounding alone would cost it its definiteness."""
    scale = max(1.0, float(np.abs(np.diag(matrix)).max(initial=0.0)))
    return np.asarray(np.linalg.cholesky(matrix + _JITTER * scale * np.eye(len(matrix))))


class Posterior:
    """Beliefs given the scores observed so far.

    Args:
        scores: A row per configuration, a column per task, NaN where nothing has been observed.
        kernels: Of the configurations, in the same order.
        variances: Components of the model.
    """

    def __init__(self, scores: Array, kernels: Kernels, variances: Variances) -> None:
        self._seen = (~np.isnan(scores)).astype(np.float64)
        self._centre = float(np.nanmean(scores))
        self._scores = np.nan_to_num(scores - self._centre)
        self._prior = kernels.covariance(variances)
        self._variances = variances
        self._n = self._seen.sum(axis=1)
        self._tasks = scores.shape[1]
        self._rows = np.flatnonzero(self._n)
        # What each task's mean residual is shrunk by: few observations say little about the task.
        self._shrink = 1.0 / (self._seen.sum(axis=0) + variances.noise / variances.task)

    @cached_property
    def _data(self) -> tuple[Array, Array]:
        """L, the factor of the data's precision, and b, the information vector; for rows with data."""
        seen, noise = self._seen[self._rows], self._variances.noise
        precision = (np.diag(self._n[self._rows]) - (seen * self._shrink) @ seen.T) / noise
        factor = _factor(precision)
        information = self._scores[self._rows].sum(axis=1) - seen @ (self._shrink * self._scores.sum(axis=0))
        return factor, information / noise

    @cached_property
    def _solved(self) -> tuple[Array, Array]:
        """The factor of M, and K L over all configurations."""
        factor, _ = self._data
        spread = self._prior[:, self._rows] @ factor
        root = np.linalg.cholesky(np.eye(len(factor)) + factor.T @ spread[self._rows])
        return np.asarray(root), spread

    @cached_property
    def level_cov(self) -> Array:
        """Covariance of f."""
        root, spread = self._solved
        learned = np.linalg.solve(root, spread.T)
        return np.asarray(self._prior - learned.T @ learned)

    @cached_property
    def level(self) -> Array:
        """Mean of f: how good a configuration is on a task of average difficulty."""
        return np.asarray(self._centred_level + self._centre)

    @cached_property
    def _centred_level(self) -> Array:
        return np.asarray(self.level_cov[:, self._rows] @ self._data[1])

    @cached_property
    def task_effect(self) -> Array:
        """Mean of d: how much easier than average each task is."""
        return np.asarray(self._shrink * (self._scores.sum(axis=0) - self._seen.T @ self._centred_level))

    @cached_property
    def value(self) -> Array:
        """Expected mean score of each configuration over the tasks of this search."""
        unseen = (self._tasks - self._n) * self._centred_level + (1 - self._seen) @ self.task_effect
        return np.asarray(self._centre + (self._scores.sum(axis=1) + unseen) / self._tasks)

    @cached_property
    def value_cov(self) -> Array:
        """Covariance of the values; zero for what is fully observed."""
        unseen, noise, left = 1 - self._seen, self._variances.noise, self._tasks - self._n
        weighted = unseen * self._shrink
        # A value moves with its own level on unseen tasks, against those that share the task's effect on seen ones.
        mixing = np.diag(left) - weighted @ self._seen.T
        covariance = mixing @ self.level_cov @ mixing.T + noise * (weighted @ unseen.T + np.diag(left))
        return np.asarray(covariance / self._tasks**2)

    def draw_values(self, rng: np.random.Generator, draws: int) -> Array:
        """Joint draws of all values: a column per draw."""
        root = _factor(self.value_cov)
        return np.asarray(self.value[:, None] + root @ rng.standard_normal((len(root), draws)))

    def expected_totals(self, observed: Array) -> Array:
        """Expected mean costs, where this posterior is over log costs.

        Args:
            observed: The costs themselves, laid out as the scores.
        """
        return self._totals(observed, np.zeros((len(observed), 1)))[:, 0]

    def draw_totals(self, rng: np.random.Generator, draws: int, observed: Array) -> Array:
        """Joint draws of mean costs, where this posterior is over log costs: a column per draw."""
        root = _factor(self.level_cov)
        return self._totals(observed, root @ rng.standard_normal((len(root), draws)))

    def _totals(self, observed: Array, deviations: Array) -> Array:
        """Mean costs when the levels of log cost deviate so from what is expected of them."""
        known, predicted = np.nan_to_num(observed), np.exp(self.level[:, None] + self.task_effect)
        # Duan's smearing (1983): the exponential of a mean logarithm falls short of the mean by a common factor.
        smear = float(known.sum() / (predicted * self._seen).sum())
        unseen = smear * (predicted * (1 - self._seen)).sum(axis=1)
        return np.asarray((known.sum(axis=1)[:, None] + unseen[:, None] * np.exp(deviations)) / self._tasks)

    def deviance(self) -> float:
        """Minus twice the log marginal likelihood of the observed scores, but for a constant."""
        _, information = self._data
        root, spread = self._solved
        noise, seen_total = self._variances.noise, float(self._n.sum())
        pooled = spread[self._rows].T @ information
        explained = information @ self._prior[np.ix_(self._rows, self._rows)] @ information
        explained -= float((np.linalg.solve(root, pooled) ** 2).sum())
        squares = float((self._scores**2).sum() - (self._shrink * self._scores.sum(axis=0) ** 2).sum()) / noise
        logs = seen_total * np.log(noise) - float(np.log(self._shrink * noise / self._variances.task).sum())
        return float(logs + squares + 2 * np.log(np.diag(root)).sum() - explained)
