"""Variance components from the data, by their marginal likelihood."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from archloom.search._objective import Array
from archloom.search.optimizers._posterior import Kernels, Posterior, Variances

_DOUBT = 1.0  # standard deviation, in natural logarithms, of each component around its guess
_LEAST = 1e-6  # share of its guess below which no component falls: costs can be without any noise
_FITTED = ("noise", "task", "main", "pair", "own")


def fit_variances(scores: Array, kernels: Kernels) -> Variances:
    """The variance components that make the observed scores likeliest, found by factors of 4, then of 2.

    A log-normal prior around the guess keeps components that the data say little about near where they are.
    """
    guess = Variances.guess(scores)

    def loss(variances: Variances) -> float:
        away = sum(np.log(getattr(variances, name) / getattr(guess, name)) ** 2 for name in _FITTED)
        return Posterior(scores, kernels, variances).deviance() + float(away) / _DOUBT**2

    best, lowest = guess, loss(guess)
    for step in (4.0, 2.0):
        for name, factor in product(_FITTED, (step, 1 / step)):
            trial = _scaled(best, name, factor)
            while getattr(trial, name) > _LEAST * getattr(guess, name) and (reached := loss(trial)) < lowest:
                best, lowest, trial = trial, reached, _scaled(trial, name, factor)
    return best


def _scaled(variances: Variances, name: str, factor: float) -> Variances:
    return replace(variances, **{name: factor * getattr(variances, name)})
