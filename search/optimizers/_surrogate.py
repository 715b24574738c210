"""A Gaussian process over configurations, and the candidate that it expects to improve most.

For optimizers that see one number per evaluation. Values are standardised; the kernel is Matérn 5/2 over the encoded
choices, so configurations are alike when most of their choices are. Length and noise are the likeliest of a few, and
the amplitude has a closed form: there is nothing that can fail to converge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from archloom.graphs import Measure, Objective
from archloom.search._objective import Array, excess, front_costs, limits
from archloom.search._space import Point, Space

_LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
_NOISES = (1e-4, 1e-2, 1e-1)  # shares of the variance
_LEAST_VARIANCE = 1e-6
_LEAST_COST = 1e-12
_AUGMENTED = 0.05  # ParEGO's weight of the sum of losses beside the largest


class _Fit(NamedTuple):
    deviance: float
    length: float
    variance: float
    root: Array
    weights: Array


class Surrogate:
    """A Gaussian process given the values of some encoded configurations."""

    def __init__(self, codes: Array, values: Array) -> None:
        self._codes, self._centre = codes, float(values.mean())
        self._scale = float(values.std()) or 1.0
        targets = (values - self._centre) / self._scale
        fits = (_fit(codes, targets, length, noise) for length, noise in product(_LENGTHS, _NOISES))
        self._fit = min(fits, key=lambda fit: fit.deviance)

    def predict(self, codes: Array) -> tuple[Array, Array]:
        """Means and standard deviations of the values of these configurations."""
        alike = _matern(codes, self._codes, self._fit.length)
        known = (np.linalg.solve(self._fit.root, alike.T) ** 2).sum(axis=0)
        deviation = np.sqrt(self._fit.variance * np.maximum(1 - known, 0.0))
        return self._centre + self._scale * (alike @ self._fit.weights), self._scale * deviation


def most_promising(
    space: Space,
    objective: Objective,
    seen: Sequence[Point],
    means: Mapping[Measure, Array],
    candidates: Sequence[Point],
    rng: np.random.Generator,
) -> Point:
    """The candidate with the highest expected improvement (Jones et al. 1998) on what was seen.

    Limits multiply it by the chance to keep them (Gardner et al. 2014). For a front each call looks along another
    random trade-off (ParEGO, Knowles 2006).

    Args:
        space: Of all these configurations.
        objective: What is looked for.
        seen: Configurations that were evaluated, at least one.
        means: What was found of them, an array per measure of the objective.
        candidates: Configurations to choose from, at least one.
        rng: Of the trade-off.
    """
    from scipy.special import ndtr

    known, open_codes = space.encode(seen), space.encode(candidates)
    chance = np.ones(len(candidates))
    for measure, limit in limits(objective).items():
        mean, deviation = Surrogate(known, _log(means[measure])).predict(open_codes)
        chance *= ndtr((np.log(limit) - mean) / np.maximum(deviation, _LEAST_VARIANCE))
    within = excess(objective, means) == 0
    if not within.any():
        return candidates[int(chance.argmax())]
    surrogate = Surrogate(known, _worth(objective, means, rng))
    best = surrogate.predict(known[within])[0].max()
    mean, deviation = surrogate.predict(open_codes)
    return candidates[int((chance * _expected_improvement(mean - best, deviation)).argmax())]


def _expected_improvement(ahead: Array, deviation: Array) -> Array:
    from scipy.special import ndtr

    deviation = np.maximum(deviation, _LEAST_VARIANCE)
    z = ahead / deviation
    return np.asarray(deviation * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)))


def _worth(objective: Objective, means: Mapping[Measure, Array], rng: np.random.Generator) -> Array:
    """The score; for a front, minus the loss against the best of each measure along a random trade-off."""
    costs = front_costs(objective)
    if not costs:
        return means["score"]
    goods = np.column_stack([means["score"], *(-_log(means[measure]) for measure in costs)])
    losses = (goods.max(axis=0) - goods) / np.maximum(np.ptp(goods, axis=0), _LEAST_VARIANCE)
    weighted = losses * rng.dirichlet(np.ones(losses.shape[1]))
    return np.asarray(-(weighted.max(axis=1) + _AUGMENTED * weighted.sum(axis=1)))


def _fit(codes: Array, targets: Array, length: float, noise: float) -> _Fit:
    covariance = _matern(codes, codes, length) + noise * np.eye(len(codes))
    root = np.linalg.cholesky(covariance)
    half = np.linalg.solve(root, targets)
    variance = max(float(half @ half) / len(targets), _LEAST_VARIANCE)
    deviance = len(targets) * np.log(variance) + 2 * float(np.log(np.diag(root)).sum())
    return _Fit(deviance, length, variance, np.asarray(root), np.asarray(np.linalg.solve(root.T, half)))


def _matern(one: Array, two: Array, length: float) -> Array:
    squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T
    far = np.sqrt(5 * np.maximum(squares, 0.0)) / length
    return np.asarray((1 + far + far**2 / 3) * np.exp(-far))


def _log(costs: Array) -> Array:
    return np.asarray(np.log(np.maximum(costs, _LEAST_COST)))
