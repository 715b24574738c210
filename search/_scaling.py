"""Scaling laws: how the score of one family of configurations grows with the tokens it may spend."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from archloom.search._two_way import Array

FEWEST_POINTS = 4
"""A law of three parameters through fewer points says nothing."""
_POINT = 0.01  # a point of score
_CERTAIN = 0.001  # standard error below which a point is as good as known
_STARTS = (0.3, 1.0, 2.0)


@dataclass(frozen=True)
class ScalingLaw:
    """``score(x) = ceiling exp(-(x / scale)^-exponent)``.

    With a ceiling of 1 it is the exponentiated power law of coverage, ``exp(a x^b)`` with ``a, b < 0``, of Brown et
    al. (2024, *Large Language Monkeys*). A ceiling below 1 is what selection does to it: votes and judges
    saturate.

    Attributes:
        ceiling: Score that it tends to, 0 to 1.
        scale: Tokens at which it has reached 1/e of the ceiling.
        exponent: How fast it gets there.
        error: Root mean square distance of the points from the law, in units of score.
    """

    ceiling: float
    scale: float
    exponent: float
    error: float

    def __call__(self, x: float) -> float:
        """The score at a cost."""
        return self.ceiling * math.exp(-((x / self.scale) ** -self.exponent))

    def saturation(self, lowest: float, highest: float) -> float | None:
        """The least cost within this range from which doubling it gains less than a point; ``None`` if none does.

        The law rises slowly, then fast, then slowly: what counts is the last gain of a point.
        """
        grid = np.geomspace(lowest, highest, 2001)
        gains = np.array([self(2 * x) - self(x) for x in grid])
        above = np.flatnonzero(gains >= _POINT)
        if not len(above):
            return lowest
        return None if above[-1] == len(grid) - 1 else float(grid[above[-1] + 1])


def fit_scaling(costs: ArrayLike, scores: ArrayLike, errors: ArrayLike | None = None) -> ScalingLaw | None:
    """The law nearest to these points, by least squares.

    Args:
        costs: Of each point, above 0.
        scores: Of each point, 0 to 1.
        errors: Standard error of each score: points that are less certain count less. By default all count alike.

    Returns:
        ``None`` for fewer than four different costs.
    """
    from scipy.optimize import least_squares

    x, y = np.asarray(costs, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if len(np.unique(x)) < FEWEST_POINTS or x.min() <= 0:
        return None
    unit = float(np.exp(np.log(x).mean()))
    place = np.log(x / unit)
    doubt = np.ones(len(x)) if errors is None else np.maximum(np.asarray(errors, dtype=np.float64), _CERTAIN)

    def away(parameters: Array) -> Array:
        ceiling, log_scale, exponent = parameters
        with np.errstate(over="ignore"):
            return np.asarray((ceiling * np.exp(-np.exp(-exponent * (place - log_scale))) - y) / doubt)

    far = float(np.ptp(place)) + 5.0  # a scale beyond this looks the same
    bounds = ([0.0, place.min() - far, 0.01], [1.0, place.max() + far, 20.0])
    fits = [
        least_squares(away, [min(1.0, max(0.01, float(y.max()))), float(place.min()) - 1.0, start], bounds=bounds)
        for start in _STARTS
    ]
    best = min(fits, key=lambda fit: float(fit.cost))
    ceiling, log_scale, exponent = map(float, best.x)
    distance = math.sqrt(float(((away(best.x) * doubt) ** 2).mean()))
    return ScalingLaw(ceiling, unit * math.exp(log_scale), exponent, distance)
