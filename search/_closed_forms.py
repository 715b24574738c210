"""What a rule over k samples scores on average, over all sets of k of one pool and not over its first k alone.

The mean over all C(N, k) sets of a pool of N samples is without bias for k fresh samples, and varies less than the
score of any one set. So one pool gives a whole scaling curve, without another call.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import comb, exp, lgamma, log, log1p

import numpy as np

from archloom.search._objective import Array


def best_of(scores: Sequence[float], values: Sequence[float], k: int) -> float:
    """Mean value of the sample that a judge scores highest among ``k``, over all sets of ``k`` of the pool.

    With the pool in ascending order of scores, sample i (from 1) is the best of C(i - 1, k - 1) of the C(N, k) sets.
    Samples with the same score share the sets that one of them wins. With a perfect judge it is pass@k.

    Args:
        scores: The judge's score of each sample.
        values: What each sample is worth, such as 1 where it is right and 0 where not.
        k: Samples drawn.

    Raises:
        ValueError: not ``1 <= k <=`` the size of the pool, or not as many values as scores.
    """
    _check(len(scores), len(values), k)
    total, below = 0.0, 0
    for _, tied in groupby(sorted(zip(scores, values, strict=True)), key=lambda each: each[0]):
        worth = [value for _, value in tied]
        total += (comb(below + len(worth), k) - comb(below, k)) * (sum(worth) / len(worth))
        below += len(worth)
    return total / comb(below, k)


def majority_of(answers: Sequence[str | None], values: Sequence[float], k: int) -> float:
    """Mean value of the most frequent answer among ``k`` samples, over all sets of ``k`` of the pool.

    Equally frequent answers share a set, where a vote in a workflow has rules to break a tie. A sample without an
    answer does not vote; a set in which nobody votes is worth the mean of such samples.

    The numbers of each answer in a set are multivariate hypergeometric: independent binomials, given their sum. So the
    sets in which m is the highest number, with a given number of answers that share it, are counted by multiplying
    polynomials, answer by answer; the cost grows with the square of ``k`` and with the number of answers.

    Args:
        answers: The answer of each sample; ``None`` for none.
        values: What each sample is worth; of equal answers the mean counts.
        k: Samples drawn.

    Raises:
        ValueError: not ``1 <= k <=`` the size of the pool, or not as many values as answers.
    """
    _check(len(answers), len(values), k)
    worth: dict[str | None, list[float]] = {}
    for answer, value in zip(answers, values, strict=True):
        worth.setdefault(answer, []).append(value)
    blank = worth.pop(None, [])
    share = (k + 0.5) / (len(answers) + 1)  # any chance will do; with this one no number gets too small
    silent = _binomial(len(blank), share, k)
    groups = [(_binomial(len(own), share, k), sum(own) / len(own)) for own in worth.values()]
    whole = silent
    for chances, _ in groups:
        whole = np.convolve(whole, chances)[: k + 1]
    nobody = float(silent[k] if len(silent) > k else 0.0) * float(np.prod([chances[0] for chances, _ in groups]))
    total = nobody * sum(blank) / len(blank) if blank else 0.0
    for most in range(1, k + 1):
        total += _won(groups, silent, most, k)
    return total / float(whole[k])


def _won(groups: Sequence[tuple[Array, float]], silent: Array, most: int, k: int) -> float:
    """Chance times value of the sets whose most frequent answers are there ``most`` times.

    Rows are the number of answers that share the lead, columns the samples so far.
    """
    ways = np.zeros((k // most + 1, k + 1))
    ways[0, : len(silent)] = silent
    worth = np.zeros_like(ways)  # the same, times the sum of the leaders' values
    for chances, value in groups:
        new_ways, new_worth = np.zeros_like(ways), np.zeros_like(worth)
        for count, chance in enumerate(chances[:most].tolist()):
            new_ways[:, count:] += chance * ways[:, : k + 1 - count]
            new_worth[:, count:] += chance * worth[:, : k + 1 - count]
        if most < len(chances):
            led = chances[most] * ways[:-1, : k + 1 - most]
            new_ways[1:, most:] += led
            new_worth[1:, most:] += chances[most] * worth[:-1, : k + 1 - most] + value * led
        ways, worth = new_ways, new_worth
    return float((worth[1:, k] / np.arange(1, len(worth))).sum())


def _binomial(n: int, share: float, most: int) -> Array:
    """Chances of 0, 1, ... successes in ``n`` tries, up to ``most``."""
    return np.array(
        [
            exp(lgamma(n + 1) - lgamma(c + 1) - lgamma(n - c + 1) + c * log(share) + (n - c) * log1p(-share))
            for c in range(min(n, most) + 1)
        ]
    )


def _check(size: int, values: int, k: int) -> None:
    if size != values:
        raise ValueError(f"There are {size} samples and {values} values.")
    if not 1 <= k <= size:
        raise ValueError(f"A set of {k} cannot be drawn from {size} samples.")
