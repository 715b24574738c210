"""Scores split into what the configuration and what the task adds, where not every cell was observed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class TwoWay(NamedTuple):
    """Configurations as if all had been observed on all tasks of the table.

    Attributes:
        means: Adjusted mean score of each configuration; its plain mean where no cell is missing.
        covariance: Of the differences between these means and their average.
        level_variance: Of that average, over tasks like these.
    """

    means: Array
    covariance: Array
    level_variance: float


def two_way(scores: ArrayLike) -> TwoWay | None:
    """Least squares of ``y[c,q] = configuration(c) + task(q) + noise``.

    Configurations that were given up early saw other tasks than those that were kept; their plain means compare
    the tasks as much as the configurations. Task effects are eliminated by the Schur complement.

    Args:
        scores: A row per configuration, a column per task, NaN where nothing was observed; no row without a cell.

    Returns:
        ``None`` where the table does not say: nothing is left to estimate the noise by, or some configurations share
        no task with the others, not even by way of a third.
    """
    table = np.asarray(scores, dtype=np.float64)
    table = table[:, ~np.isnan(table).all(axis=0)]
    seen = (~np.isnan(table)).astype(np.float64)
    configs, tasks = table.shape
    freedom = int(seen.sum()) - configs - tasks + 1
    if configs < 2 or tasks < 2 or freedom < 1:
        return None
    filled, per_task = np.nan_to_num(table), seen.sum(axis=0)
    precision = np.diag(seen.sum(axis=1)) - (seen / per_task) @ seen.T
    if np.linalg.matrix_rank(precision, hermitian=True) < configs - 1:
        return None
    inverse = np.linalg.pinv(precision, hermitian=True)
    effects = inverse @ (filled.sum(axis=1) - (seen / per_task) @ filled.sum(axis=0))
    task_levels = (filled - effects[:, None] * seen).sum(axis=0) / per_task
    residuals = np.where(seen > 0, filled - effects[:, None] - task_levels, 0.0)
    noise = float((residuals**2).sum()) / freedom
    return TwoWay(effects + task_levels.mean(), noise * inverse, float(task_levels.var(ddof=1)) / tasks)
