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


def unseen_spread(scores: Array) -> float:
    """The variance of scores that may have stayed unseen: a success that is due on the next task, or a failure.

    Where a model fails on all of n tasks, a rate of 1 / (n + 2) is what Laplace's rule of succession leaves it. Tasks
    are counted, not cells: a task that is too hard for all says no more of a hundred configurations than of one.
    """
    return 1 / (2 + int((~np.isnan(scores)).any(axis=0).sum()))


def fit_variances(table: Array, kernels: Kernels, *, least: float = 0.0) -> Variances:
    """The variance components that make the observed values likeliest, found by factors of 4, then of 2.

    A log-normal prior around the guess keeps components that the data say little about near where they are.

    Args:
        table: What was observed: a row per configuration, a column per task.
        kernels: Of the configurations, in the same order.
        least: Variance that is believed in at least: the noise does not fall below its share of it.
    """
    guess = Variances.guess(table, least=least)
    floor = {name: _LEAST * getattr(guess, name) for name in _FITTED}
    floor["noise"] = max(floor["noise"], Variances().noise * least)

    def loss(variances: Variances) -> float:
        away = sum(np.log(getattr(variances, name) / getattr(guess, name)) ** 2 for name in _FITTED)
        return Posterior(table, kernels, variances).deviance() + float(away) / _DOUBT**2

    best, lowest = guess, loss(guess)
    for step in (4.0, 2.0):
        for name, factor in product(_FITTED, (step, 1 / step)):
            trial = _scaled(best, name, factor)
            while getattr(trial, name) >= floor[name] and (reached := loss(trial)) < lowest:
                best, lowest, trial = trial, reached, _scaled(trial, name, factor)
    return best


def _scaled(variances: Variances, name: str, factor: float) -> Variances:
    return replace(variances, **{name: factor * getattr(variances, name)})
