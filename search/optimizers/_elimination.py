"""When a configuration may be dropped: evidence from common tasks that stays valid however often one looks.

Let D be the differences ``score(leader) - score(other)`` on the tasks of the common order, a random permutation of
the T tasks of the search, and the null hypothesis that the other's mean over all T tasks is at least the leader's.
Under the null the next difference is drawn without replacement from what is left, so given the past its mean is at
most ``m = -(sum of D so far) / (tasks left)``. Hence for every bet ``g`` in (0, 1) the wealth

    product over tasks of  1 + g (D - m) / (1 + m)

is a non-negative supermartingale that starts at 1 (D is at least -1), and so is the mean over several bets. By
Ville's inequality its highest value ever exceeds 1/alpha with chance at most alpha. This is the betting test of
Waudby-Smith and Ramdas (2024, "Estimating means of bounded random variables by betting") in the form for sampling
without replacement. It holds for the path as a whole, so it does not matter when, why, or how often one looks.

The best configuration is dropped only if *some* leader's test against it errs. With alpha shared among all possible
leaders, that happens in a search with chance at most alpha.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archloom.search._objective import Array

_BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_MOST = 1e300


def log_evidence(differences: Array) -> Array:
    """Log of the highest wealth that the bets on each row being positive on average ever had.

    Args:
        differences: A row per comparison, a column per task of the search in the common order; values in [-1, 1],
            NaN from the first task on that was not observed of both. Later observations are not used.
    """
    tasks = differences.shape[1]
    known = np.cumprod(~np.isnan(differences), axis=1).astype(bool)
    known = known[:, : int(known.sum(axis=1).max(initial=0))]
    gains = np.where(known, differences[:, : known.shape[1]], 0.0)
    before = np.cumsum(gains, axis=1) - gains
    expected = -before / (tasks - np.arange(known.shape[1]))
    # At a mean of -1 or less the null is already impossible; above 1 it is certain and nothing may be staked.
    stake = 1.0 / np.maximum(1.0 + expected, 1e-9) * (expected < 1.0)
    surprises = np.where(known, (gains - expected) * stake, 0.0)
    wealth = np.zeros(known.shape)
    with np.errstate(over="ignore"):
        for bet in _BETS:
            wealth += np.cumprod(np.maximum(1.0 + bet * surprises, 1e-12), axis=1)
    return np.asarray(np.log(np.clip(wealth / len(_BETS), 1.0, _MOST)).max(axis=1, initial=0.0))


def dropped(scores: Array, leaders: NDArray[np.intp], *, rivals: int, alpha: float) -> NDArray[np.bool_]:
    """For each configuration whether its leader is proven better.

    Args:
        scores: A row per configuration, a column per task in the common order, NaN where nothing was observed.
        leaders: Row of each configuration's leader; its own row where it has none.
        rivals: Number of configurations that may ever lead, for the correction.
        alpha: Chance, over the whole search, that the best configuration is dropped.
    """
    differences = scores[leaders] - scores
    both = ~np.isnan(differences[:, 0]) & (leaders != np.arange(len(scores)))
    proven = np.zeros(len(scores), dtype=bool)
    proven[both] = log_evidence(differences[both]) > np.log(max(rivals, 1) / alpha)
    return proven
