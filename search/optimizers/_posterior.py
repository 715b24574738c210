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

**Values are finite-population means.** What matters is the mean over *these* T tasks: observed cells are known, the
others are predicted, and a fully observed configuration is known exactly. With ``s = A h``, values move with f by
``N = T I - noise W - 1 s'``, for a configuration's own unseen tasks follow its level and the seen ones of others tell
of their effects. Written out, ``W`` cancels against what the unseen cells add, and with ``M = R R'`` and
``F = inv(R) (T L' K + noise L')`` the covariance of all values takes one triangular solve and one product::

    T^2 cov = T^2 K - F'F + T noise I - u 1' - 1 u' + (s' cov f s + noise sum(h))
    u = (T I - noise W) cov f s + noise s
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
    return _root(matrix + _jitter(matrix) * np.eye(len(matrix)))


def _jitter(matrix: Array) -> float:
    return _JITTER * max(1.0, float(np.abs(np.diag(matrix)).max(initial=0.0)))


# The triangular routines of BLAS do a third of the work of numpy's general ones. They are called without SciPy's
# wrappers, which take longer than a small system does, and imported where they are used: the import takes a while.


def _root(matrix: Array) -> Array:
    from scipy.linalg.lapack import dpotrf

    root, failed = dpotrf(matrix, lower=True)
    if failed:
        raise np.linalg.LinAlgError("The matrix is not positive definite.")
    return np.asarray(root)


def _solve(root: Array, right: Array, *, transposed: bool = False) -> Array:
    """``inv(root) right`` for a lower triangular root, or that of its transpose; right is a matrix or a vector."""
    from scipy.linalg.blas import dtrsm, dtrsv

    if right.ndim == 1:
        return np.asarray(dtrsv(root, right, lower=True, trans=int(transposed)))
    return np.asarray(dtrsm(1.0, root, right, lower=True, trans_a=int(transposed)))


def _multiply(root: Array, other: Array, *, transposed: bool = False, from_right: bool = False) -> Array:
    """``root other`` for a lower triangular root, or ``root' other``, or ``other root``."""
    from scipy.linalg.blas import dtrmm

    return np.asarray(dtrmm(1.0, root, other, lower=True, trans_a=int(transposed), side=int(from_right)))


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
    def _precision(self) -> Array:
        """The precision W of f that the data bring, for rows with data."""
        weighted = self._seen[self._rows] * np.sqrt(self._shrink)
        return np.asarray((np.diag(self._n[self._rows]) - weighted @ weighted.T) / self._variances.noise)

    @cached_property
    def _data(self) -> tuple[Array, Array]:
        """L, the factor of the data's precision, and b, the information vector; for rows with data."""
        seen, noise = self._seen[self._rows], self._variances.noise
        factor = _factor(self._precision)
        information = self._scores[self._rows].sum(axis=1) - seen @ (self._shrink * self._scores.sum(axis=0))
        return factor, information / noise

    @cached_property
    def _solved(self) -> tuple[Array, Array]:
        """R, the factor of M, and L'K over all configurations."""
        factor, _ = self._data
        spread = _multiply(factor, self._prior[:, self._rows].T, transposed=True)
        inner = _multiply(factor, spread[:, self._rows], from_right=True)
        return _root(np.eye(len(factor)) + inner), spread

    def _level_cov_times(self, vector: Array) -> Array:
        """The covariance of f times a vector over rows with data."""
        root, spread = self._solved
        learned = _solve(root, _solve(root, spread[:, self._rows] @ vector), transposed=True)
        return np.asarray(self._prior[:, self._rows] @ vector - spread.T @ learned)

    @cached_property
    def level_cov(self) -> Array:
        """Covariance of f."""
        learned = _solve(*self._solved)
        return np.asarray(self._prior - learned.T @ learned)

    @cached_property
    def level(self) -> Array:
        """Mean of f: how good a configuration is on a task of average difficulty."""
        return np.asarray(self._centred_level + self._centre)

    @cached_property
    def _centred_level(self) -> Array:
        return self._level_cov_times(self._data[1])

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
        (root, spread), (factor, _), rows = self._solved, self._data, self._rows
        noise, tasks, known = self._variances.noise, self._tasks, self._seen @ self._shrink
        right = tasks * spread
        right[:, rows] += noise * factor.T
        solved = _solve(root, right)
        moved = self._level_cov_times(known[rows])
        shared = float(known[rows] @ moved[rows]) + noise * float(self._shrink.sum())
        own = tasks * moved + noise * known
        own[rows] -= noise * (factor @ (factor.T @ moved[rows]))
        alone = np.full(len(own), tasks * noise)
        alone[rows] += noise**2 * _jitter(self._precision)  # what L L' has and W has not
        covariance = tasks**2 * self._prior - solved.T @ solved + np.diag(alone)
        return np.asarray((covariance - own[:, None] - own + shared) / tasks**2)

    def draw_values(self, rng: np.random.Generator, draws: int) -> Array:
        """Joint draws of all values: a column per draw."""
        root = _factor(self.value_cov)
        return self.value[:, None] + _multiply(root, rng.standard_normal((len(root), draws)))

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
        root = _factor(self.level_cov)
        return self._totals(observed, _multiply(root, rng.standard_normal((len(root), draws))))

    def _totals(self, observed: Array, deviations: Array) -> Array:
        """Mean costs when the levels of log cost deviate so from what is expected of them."""
        known, predicted = np.nan_to_num(observed), self._predicted
        # Duan's smearing (1983): the exponential of a mean logarithm falls short of the mean by a common factor.
        smear = float(known.sum() / (predicted * self._seen).sum())
        unseen = smear * (predicted * (1 - self._seen)).sum(axis=1)
        return np.asarray((known.sum(axis=1)[:, None] + unseen[:, None] * np.exp(deviations)) / self._tasks)

    def deviance(self) -> float:
        """Minus twice the log marginal likelihood of the observed scores, but for a constant."""
        _, information = self._data
        root, spread = self._solved
        noise, seen_total = self._variances.noise, float(self._n.sum())
        pooled = spread[:, self._rows] @ information
        explained = information @ self._prior[np.ix_(self._rows, self._rows)] @ information
        explained -= float((_solve(root, pooled) ** 2).sum())
        squares = float((self._scores**2).sum() - (self._shrink * self._scores.sum(axis=0) ** 2).sum()) / noise
        logs = seen_total * np.log(noise) - float(np.log(self._shrink * noise / self._variances.task).sum())
        return float(logs + squares + 2 * np.log(np.diag(root)).sum() - explained)
