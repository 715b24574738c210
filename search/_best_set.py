"""Which of several configurations may be the best, as far as these tasks can tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TINY = 1e-12


def best_set(scores: ArrayLike, *, level: float = 0.95, resamples: int = 4_000, seed: int = 0) -> NDArray[np.bool_]:
    """The configurations among which the best is with this confidence: all those that no evidence rules out.

    The model confidence set of Hansen, Lunde and Nason (2011, *Econometrica* 79), over tasks: while the hypothesis
    that all that remain are equally good is rejected, the worst is removed. The statistic is the largest standardised
    shortfall from the mean of all; its distribution comes from resampling tasks, so pairing, and the likeness
    of configurations that share samples, are kept. Where all remain, no significant difference was found, however
    many configurations were looked at.

    Args:
        scores: A row per configuration, a column per task; no cell is missing.
        level: Confidence that the best is in the set.
        resamples: Bootstrap samples of tasks.
        seed: Of the resampling.
    """
    table = np.asarray(scores, dtype=np.float64)
    configs, tasks = table.shape
    alive = np.ones(configs, dtype=bool)
    if tasks < 2:
        return alive
    weights = np.random.default_rng(seed).multinomial(tasks, np.full(tasks, 1 / tasks), size=resamples) / tasks
    means = table.mean(axis=1)
    moved = weights @ table.T - means
    while alive.sum() > 1:
        lead = means[alive] - means[alive].mean()
        luck = moved[:, alive] - moved[:, alive].mean(axis=1, keepdims=True)
        spread = np.sqrt((luck**2).mean(axis=0))
        certain = spread < _TINY  # the same distance from the others on every task
        spread[certain] = _TINY
        shortfall = np.where(certain & (np.abs(lead) < _TINY), 0.0, -lead / spread)
        by_luck = np.where(certain, 0.0, -luck / spread).max(axis=1)
        if (by_luck >= shortfall.max() - _TINY).mean() >= 1 - level:
            break
        alive[np.flatnonzero(alive)[shortfall.argmax()]] = False
    return alive
