"""The winner's curse taken out: what a score that was selected for being high promises on other tasks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from archloom.search._two_way import Array, two_way

_FEWEST = 4  # configurations below which the spread of true scores cannot be told from luck
_ROUNDS = 200


def shrunken(scores: ArrayLike) -> Array | None:
    """Empirical-Bayes estimate of the true mean score of each configuration.

    The best of many configurations owes part of its lead to luck. Its mean is drawn towards the mean of all by the
    share of the spread that is noise (James and Stein 1961; here the parametric empirical Bayes of Morris 1983,
    *JASA* 78, which allows for configurations observed on fewer tasks)::

        estimate = mean - B (mean - centre),    B = (k-3)/(k-1) V / (V + A)

    with k configurations, V the sampling variance of each mean and A the variance between true scores. Means and
    variances come from the two-way fit (:func:`two_way`), so task effects, and which tasks a configuration saw, are
    out of them. Such an estimate holds whichever configuration is looked at afterwards, the winner included.

    Args:
        scores: A row per configuration, a column per task, NaN where nothing was observed.

    Returns:
        An entry per configuration; ``None`` for fewer than four of them, or where the table does not say.
    """
    fit = two_way(scores) if len(np.asarray(scores)) >= _FEWEST else None
    if fit is None:
        return None
    k = len(fit.means)
    # Differences from the average of all vary less than single means by the share that a mean has in that average.
    variances = np.diag(fit.covariance) * k / (k - 1)
    between, centre = _between(fit.means, variances)
    total = variances + between
    share = np.divide(variances, total, out=np.zeros(k), where=total > 0)
    return np.asarray(fit.means - (k - 3) / (k - 1) * share * (fit.means - centre))


def _between(means: Array, variances: Array) -> tuple[float, float]:
    """The variance between true scores, and their centre: Morris's moment equation, solved by iteration."""
    k = len(means)
    between = max(0.0, float(means.var(ddof=1) - variances.mean()))
    centre = float(means.mean())
    for _ in range(_ROUNDS):
        total = variances + between
        if not total.all():
            break
        weights = 1 / total
        centre = float(np.average(means, weights=weights))
        moved = max(0.0, float(np.average(k / (k - 1) * (means - centre) ** 2 - variances, weights=weights)))
        if abs(moved - between) <= 1e-12:
            break
        between = moved
    return between, centre
