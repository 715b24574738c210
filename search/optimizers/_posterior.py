"""Closed-form beliefs about every configuration, from the cells of some.

The model, for configuration c and task q::

    y[c,q] = f(c) + d(q) + e[c,q]          d(q) ~ N(0, task),   e[c,q] ~ N(0, noise),   f ~ N(0, K)
    K = level + main * linear + pair * pairs + own * identity

``linear`` holds the main effects of each choice, ``pairs`` the products of two choices of different axes, ``own``
what no other configuration can tell. A mixed model of this kind is Henderson's (1975); all of it is Gaussian, so the
posterior is linear algebra.

**Task effects are eliminated.** With A the 0/1 matrix of observed cells, m its column sums and
``h = 1 / (m + noise/task)``, the precision of f that the data bring is the Schur complement
``W = (diag(A 1) - A diag(h) A') / noise``, and the information vector is ``b = (Y 1 - A (h * Y'1)) / noise``. With
``K = G G'`` and ``f = G w``, the precision of w is ``Q = I + G' W G``. Rows with data come first in G, so only their
block of Q differs from the identity: its size is the number of observed configurations, whatever the number of cells.
Adding I last keeps Q definite where costs have almost no noise and W is huge. With ``Q = R R'``, ``mean f`` is
``G inv(Q) G'b`` and a draw of f deviates from it by ``G inv(R') z``.

**Values are finite-population means.** What matters is the mean over *these* T tasks: observed cells are known, the
others are predicted, and a fully observed configuration is known exactly. Given f, the task effects are independent
with mean ``h * A'(Y - f)`` and variance ``noise * h``, so values are drawn in the order of the model: levels, task
effects, then what is left of the cells not seen. No covariance of all values is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from archloom.search._objective import Array

_LEAST_SPREAD = 1e-3  # the first values may all be equal
_JITTER = 1e-12


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
    def guess(cls, table: Array, *, least: float = 0.0) -> Variances:
        """What to believe before much is seen: the usual shares of the spread that these values have.

        Args:
            table: What was observed.
            least: Variance that is believed in at least, should all be equal so far.
        """
        spread = max(float(np.nanvar(table)), least, _LEAST_SPREAD)
        return cls(*(spread * share for share in vars(cls()).values()))


# The triangular routines of BLAS and LAPACK do a third of the work of numpy's general ones. They are called without
# SciPy's wrappers, which take longer than a small system does, and imported where they are used: the import takes a
# while.


def _root(matrix: Array) -> Array:
    from scipy.linalg.lapack import dpotrf

    root, failed = dpotrf(matrix, lower=True)
    if failed:
        raise np.linalg.LinAlgError("The matrix is not positive definite.")
    return np.asarray(root)


def _add_square(total: Array, factor: Array, weight: float) -> None:
    """Adds ``weight * factor' factor`` to the lower triangle of a matrix in Fortran's order."""
    from scipy.linalg.blas import dsyrk

    dsyrk(weight, factor, beta=1.0, c=total, trans=True, lower=True, overwrite_c=True)


def _solve(root: Array, right: Array, *, transposed: bool = False) -> Array:
    """``inv(root) right`` for a lower triangular root, or that of its transpose; right is a matrix or a vector."""
    from scipy.linalg.blas import dtrsm, dtrsv

    if right.ndim == 1:
        return np.asarray(dtrsv(root, right, lower=True, trans=int(transposed)))
    return np.asarray(dtrsm(1.0, root, right, lower=True, trans_a=int(transposed)))


def _multiply(root: Array, other: Array, *, from_right: bool = False) -> Array:
    """``root other`` for a lower triangular root, or ``other root``."""
    from scipy.linalg.blas import dtrmm

    return np.asarray(dtrmm(1.0, root, other, lower=True, side=int(from_right)))


class Posterior:
    """Beliefs given the scores observed so far.

    Args:
        scores: A row per configuration, a column per task, NaN where nothing has been observed.
        kernels: Of the configurations, in the same order.
        variances: Components of the model.
        before: Earlier beliefs. Where they had the same prior, its factor is taken over from them.
    """

    def __init__(
        self, scores: Array, kernels: Kernels, variances: Variances, *, before: Posterior | None = None
    ) -> None:
        seen = ~np.isnan(scores)
        self._centre = float(np.nanmean(scores))
        n = seen.sum(axis=1)
        self._order = np.argsort(n == 0, kind="stable")
        self._back = np.argsort(self._order)
        self._rows = int((n > 0).sum())
        self._kernels = kernels
        self._variances = variances
        self._tasks = scores.shape[1]
        # All that follows is in the order of ``_order``; of what is per cell, only rows with data are kept.
        first = self._order[: self._rows]
        self._n = n[self._order].astype(np.float64)
        self._seen = seen[first].astype(np.float64)
        self._scores = np.where(seen[first], scores[first] - self._centre, 0.0)
        # What each task's mean residual is shrunk by: few observations say little about the task.
        self._shrink = 1.0 / (self._seen.sum(axis=0) + variances.noise / variances.task)
        if before is not None and self._has_prior_of(before):
            self._prior = before._prior

    def _has_prior_of(self, other: Posterior) -> bool:
        same = self._kernels is other._kernels and self._variances == other._variances
        return same and np.array_equal(self._order, other._order)

    @cached_property
    def _prior(self) -> Array:
        """G, the factor of the prior covariance; also where two configurations are hardly told apart."""
        covariance = self._kernels.covariance(self._variances)[np.ix_(self._order, self._order)]
        spread = max(1.0, float(np.diag(covariance).max()))
        return _root(covariance + _JITTER * spread * np.eye(len(covariance)))

    @cached_property
    def _precision(self) -> Array:
        """R, the factor of the precision of w, for rows with data."""
        root = self._prior[: self._rows, : self._rows]
        by_task = _multiply(root, (self._seen * np.sqrt(self._shrink)).T, from_right=True)
        own = root * np.sqrt(self._n[: self._rows, None])
        precision = np.eye(self._rows, order="F")
        _add_square(precision, own, 1 / self._variances.noise)
        _add_square(precision, by_task, -1 / self._variances.noise)
        return _root(precision)

    @cached_property
    def _learned(self) -> Array:
        """``inv(R) G'b``: what the data tell of w."""
        information = self._scores.sum(axis=1) - self._seen @ (self._shrink * self._scores.sum(axis=0))
        told = self._prior[: self._rows, : self._rows].T @ (information / self._variances.noise)
        return _solve(self._precision, told)

    @cached_property
    def _centred_level(self) -> Array:
        known = _solve(self._precision, self._learned, transposed=True)
        return np.asarray(self._prior[:, : self._rows] @ known)

    @cached_property
    def level(self) -> Array:
        """Mean of f: how good a configuration is on a task of average difficulty."""
        return np.asarray(self._centre + self._centred_level[self._back])

    def draw_levels(self, rng: np.random.Generator, draws: int) -> Array:
        """Joint draws of f: a column per draw."""
        return np.asarray((self._centre + self._level_draws(rng, draws))[self._back])

    def _level_draws(self, rng: np.random.Generator, draws: int) -> Array:
        loose = rng.standard_normal((len(self._n), draws))
        loose[: self._rows] = _solve(self._precision, loose[: self._rows], transposed=True)
        return self._centred_level[:, None] + _multiply(self._prior, loose)

    @cached_property
    def task_effect(self) -> Array:
        """Mean of d: how much easier than average each task is."""
        return self._task_effects(self._centred_level[:, None])[:, 0]

    def _task_effects(self, levels: Array) -> Array:
        """Mean of d given f; a column per draw of f."""
        left = self._scores.sum(axis=0)[:, None] - self._seen.T @ levels[: self._rows]
        return np.asarray(self._shrink[:, None] * left)

    @cached_property
    def value(self) -> Array:
        """Expected mean score of each configuration over the tasks of this search."""
        return self._values(self._centred_level[:, None], self.task_effect[:, None])[:, 0]

    def _values(self, levels: Array, effects: Array) -> Array:
        """Mean scores over all tasks, given levels and task effects and but for the noise of cells not seen."""
        sums = (self._tasks - self._n)[:, None] * levels + effects.sum(axis=0)
        sums[: self._rows] += self._scores.sum(axis=1)[:, None] - self._seen @ effects
        return np.asarray((self._centre + sums / self._tasks)[self._back])

    def value_cov(self, rows: Sequence[int] | NDArray[np.intp]) -> Array:
        """Covariance of the values of these configurations; zero for what is fully observed."""
        places = self._back[np.asarray(rows, dtype=np.intp)]
        unseen = np.ones((len(places), self._tasks))
        with_data = places < self._rows
        unseen[with_data] -= self._seen[places[with_data]]
        noise = self._variances.noise
        # What the values move by with each level: their own, and the task effects, of which others' levels tell.
        moved = (self._tasks - self._n[places])[:, None] * self._prior[places]
        moved[:, : self._rows] -= (unseen * self._shrink) @ self._seen.T @ self._prior[: self._rows, : self._rows]
        known, open_ = _solve(self._precision, moved[:, : self._rows].T), moved[:, self._rows :]
        covariance = known.T @ known + open_ @ open_.T
        covariance += noise * (unseen * self._shrink) @ unseen.T + noise * np.diag(self._tasks - self._n[places])
        return np.asarray(covariance / self._tasks**2)

    def draw_values(self, rng: np.random.Generator, draws: int) -> Array:
        """Joint draws of all values: a column per draw."""
        noise = self._variances.noise
        levels = self._level_draws(rng, draws)
        own = rng.standard_normal((self._tasks, draws))
        effects = self._task_effects(levels) + np.sqrt(noise * self._shrink)[:, None] * own
        rest = np.sqrt(noise * (self._tasks - self._n[self._back]))[:, None] / self._tasks
        return np.asarray(self._values(levels, effects) + rest * rng.standard_normal(levels.shape))

    @cached_property
    def _predicted(self) -> Array:
        """Exponential of the mean of every cell, where this posterior is over logarithms."""
        return np.asarray(np.exp(self.level[:, None] + self.task_effect))

    def expected_totals(self, observed: Array) -> Array:
        """Expected mean costs, where this posterior is over log costs.

        Args:
            observed: The costs themselves, laid out as the scores.
        """
        return self._totals(observed, np.zeros((len(observed), 1)))[:, 0]

    def draw_totals(self, rng: np.random.Generator, draws: int, observed: Array) -> Array:
        """Joint draws of mean costs, where this posterior is over log costs: a column per draw."""
        return self._totals(observed, self.draw_levels(rng, draws) - self.level[:, None])

    def _totals(self, observed: Array, deviations: Array) -> Array:
        """Mean costs when the levels of log cost deviate so from what is expected of them."""
        open_ = np.isnan(observed)
        known, predicted = np.where(open_, 0.0, observed), self._predicted
        unseen = np.where(open_, predicted, 0.0).sum(axis=1)
        # Duan's smearing (1983): the exponential of a mean logarithm falls short of the mean by a common factor.
        smear = float(known.sum()) / (float(predicted.sum()) - float(unseen.sum()))
        return np.asarray((known.sum(axis=1)[:, None] + smear * unseen[:, None] * np.exp(deviations)) / self._tasks)

    def deviance(self) -> float:
        """Minus twice the log marginal likelihood of the observed scores, but for a constant."""
        noise, seen_total = self._variances.noise, float(self._n.sum())
        squares = float((self._scores**2).sum() - (self._shrink * self._scores.sum(axis=0) ** 2).sum()) / noise
        logs = seen_total * np.log(noise) - float(np.log(self._shrink * noise / self._variances.task).sum())
        logs += 2 * float(np.log(np.diag(self._precision)).sum())
        return float(logs + squares - self._learned @ self._learned)
