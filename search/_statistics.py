"""Intervals and tests for reports: what a difference between configurations is worth.

Scores are compared task by task, because tasks differ far more than configurations do. All random numbers come from
a seed, so a report says the same thing twice. SciPy is imported where it is used: its import takes a second.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHUNK = 2_000_000  # random numbers drawn at once: keeps a bootstrap of many tasks within tens of megabytes


class Interval(NamedTuple):
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float


class McNemar(NamedTuple):
    """Exact McNemar test of two configurations with right-or-wrong scores."""

    only_first: int
    only_second: int
    p_value: float


def wilson(successes: float, n: float, *, level: float = 0.95) -> Interval:
    """Wilson's interval for a proportion; sensible for few tasks and for 0 or all right.

    Scores between 0 and 1 vary less than right-or-wrong ones of the same mean, so for their sum it errs on the wide
    side.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Exactly 0 and 1 at the ends, where rounding would leave the estimate outside.
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def mean_interval(scores: ArrayLike, *, level: float = 0.95) -> Interval:
    """Interval for the mean score over tasks like these, for scores between 0 and 1.

    Student's t where scores are graded; Wilson's where all are right or wrong, or show no spread to go by.
    """
    values = np.asarray(scores, dtype=np.float64)
    graded = len(values) > 1 and not np.isin(values, (0.0, 1.0)).all() and float(np.ptp(values)) > 0
    if not graded:
        return wilson(float(values.sum()), len(values), level=level)
    from scipy.special import stdtrit

    mean = float(values.mean())
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def clustered_rate(successes: ArrayLike, totals: ArrayLike, *, level: float = 0.95) -> Interval:
    """A proportion of things that come in groups which are alike, such as the candidates of one task.

    Wilson's interval at the effective number of things, which is their number divided by the design effect (Kish 1965;
    Dean and Pagano 2015): how much more the proportion varies over groups than it would over single things. Where all
    or none succeed there is no spread to go by, and each group counts as one thing.

    Args:
        successes: How many of each group succeeded.
        totals: Size of each group; at least one is not empty.
        level: Coverage of the interval.
    """
    good, all_ = np.asarray(successes, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    good, all_ = good[all_ > 0], all_[all_ > 0]
    groups, size = len(all_), float(all_.sum())
    rate = float(good.sum()) / size
    if rate in (0.0, 1.0) or groups < 2:
        return wilson(rate * groups, groups, level=level)
    variance = groups / (groups - 1) * float(((good - rate * all_) ** 2).sum()) / size**2
    design = max(1.0, variance / (rate * (1 - rate) / size))
    return wilson(rate * size / design, size / design, level=level)


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Mean of ``first - second`` over common tasks with its paired bootstrap interval (percentiles over tasks).

    Args:
        first: Scores of one configuration.
        second: Scores of the other on the same tasks, in the same order.
        level: Coverage of the interval.
        resamples: Number of bootstrap samples of tasks.
        seed: Of the resampling.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    tail = (1 - level) / 2
    low, high = np.quantile(_bootstrap_means(differences, resamples, seed), [tail, 1 - tail])
    return Interval(float(differences.mean()), float(low), float(high))


def _bootstrap_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _CHUNK // len(values))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        means[start : start + count] = values[rng.integers(len(values), size=(count, len(values)))].mean(axis=1)
    return means


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Exact two-sided McNemar test for right-or-wrong scores on common tasks.

    Raises:
        ValueError: some score is neither 0 nor 1.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not np.isin([one, two], (0.0, 1.0)).all():
        raise ValueError("McNemar's test needs scores of 0 and 1. Use paired_difference for graded scores.")
    only_first, only_second = int((one > two).sum()), int((two > one).sum())
    if only_first + only_second == 0:
        return McNemar(0, 0, 1.0)
    from scipy.stats import binomtest

    p_value = float(binomtest(only_first, only_first + only_second, 0.5).pvalue)
    return McNemar(only_first, only_second, p_value)


def noise_floor(scores: ArrayLike, *, draws: int = 4_000, seed: int = 0) -> float:
    """How far the best of these configurations would stand above their mean by luck, were all equally good.

    The null is made from the data: a score's deviation is what its configuration's and its task's means leave over,
    so true differences are taken out and the correlation between similar configurations stays in. Flipping the sign
    of all deviations of a task at random draws new luck (the multiplier bootstrap of a maximum: Chernozhukov,
    Chetverikov and Kato 2013); the floor is the mean over draws of the highest configuration mean.

    Args:
        scores: A row per configuration, a column per task; NaN where nothing was observed.
        draws: Number of sign patterns.
        seed: Of the signs.
    """
    rows = np.asarray(scores, dtype=np.float64)
    rows = rows[:, ~np.isnan(rows).all(axis=0)]
    left = rows - np.nanmean(rows, axis=1, keepdims=True)
    left = left - np.nanmean(left, axis=0, keepdims=True)
    configs, tasks = left.shape
    if configs < 2 or tasks < 2:
        return 0.0
    # Taking a configuration's mean out shrank its deviations by the usual degree of freedom.
    left = left * math.sqrt(tasks / (tasks - 1))
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(draws, tasks))
    means = signs @ np.nan_to_num(left).T / (~np.isnan(left)).sum(axis=1)
    return float((means.max(axis=1) - means.mean(axis=1)).mean())


def tasks_needed(
    first: ArrayLike,
    second: ArrayLike,
    *,
    difference: float | None = None,
    level: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """Number of common tasks that tells two configurations apart with this confidence and power.

    From the observed spread of their differences, by the normal approximation.

    Args:
        first: Scores of one configuration.
        second: Scores of the other on the same tasks.
        difference: True difference to find; by default the observed one.
        level: Confidence of the two-sided test.
        power: Chance to find the difference.

    Returns:
        The number; None where the difference is 0 and no number is enough.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    effect = float(differences.mean()) if difference is None else difference
    if effect == 0:
        return None
    normal = NormalDist()
    z = normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
    return max(2, math.ceil(z**2 * float(differences.var(ddof=1)) / effect**2))
