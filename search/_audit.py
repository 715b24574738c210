"""How often a judge errs, and from which sample on asking it again does harm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from archloom.search._statistics import Interval, clustered_rate
from archloom.search._two_way import Array

_TYPES = 200
_MOST = 1_000
_LEAST_SPREAD, _MOST_SPREAD = -3.0, 8.0  # log of a + b of the Beta distribution


@dataclass(frozen=True)
class Tally:
    """What a judge said about the candidates of one task, and what they were worth.

    Attributes:
        right: Right candidates that it judged.
        accepted_right: How many of these it accepted.
        wrong: Wrong candidates that it judged.
        accepted_wrong: How many of these it accepted.
    """

    right: int = 0
    accepted_right: int = 0
    wrong: int = 0
    accepted_wrong: int = 0


@dataclass(frozen=True)
class Audit:
    """A judge against the truth.

    Attributes:
        hit: Chance that it accepts a right candidate; ``None`` when it saw none.
        false_alarm: Chance that it accepts a wrong one.
        right: Right candidates judged.
        wrong: Wrong candidates judged.
        limit: Number of samples after which a further acceptance is more likely wrong than right; ``None`` where
            there is no such number up to 1,000, or a rate is missing.
    """

    hit: Interval | None
    false_alarm: Interval | None
    right: int
    wrong: int
    limit: int | None


def audit(tallies: list[Tally]) -> Audit:
    """Rates of a judge over tasks, with 95 % intervals that allow for candidates of a task being alike."""
    right, wrong = [t.right for t in tallies], [t.wrong for t in tallies]
    hit = clustered_rate([t.accepted_right for t in tallies], right) if any(right) else None
    false_alarm = clustered_rate([t.accepted_wrong for t in tallies], wrong) if any(wrong) else None
    limit = None
    if hit is not None and false_alarm is not None:
        types = solve_rates(right, [t.right + t.wrong for t in tallies])
        limit = resampling_limit(types, hit=hit.estimate, false_alarm=false_alarm.estimate)
    return Audit(hit, false_alarm, sum(right), sum(wrong), limit)


def solve_rates(right: ArrayLike, total: ArrayLike) -> Array:
    """Chances that a candidate is right, over tasks like these: 200 equally likely values.

    The share of right candidates of each task is its chance and luck together; a Beta distribution fitted to the
    counts (the beta-binomial, by maximum likelihood) has the luck taken out.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, logit
    from scipy.stats import beta, betabinom

    good, all_ = np.asarray(right), np.asarray(total)
    good, all_ = good[all_ > 0], all_[all_ > 0]

    def shape(parameters: Array) -> tuple[float, float]:
        mean, size = float(expit(parameters[0])), float(np.exp(np.clip(parameters[1], _LEAST_SPREAD, _MOST_SPREAD)))
        return mean * size, (1 - mean) * size

    start = np.array([float(logit((good.sum() + 0.5) / (all_.sum() + 1))), 1.0])
    fit = minimize(lambda p: -float(betabinom.logpmf(good, all_, *shape(p)).sum()), start, method="Nelder-Mead")
    return np.asarray(beta.ppf((np.arange(_TYPES) + 0.5) / _TYPES, *shape(fit.x)))


def resampling_limit(
    solve: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    hit: float,
    false_alarm: float,
    wrong: float = -1.0,
    most: int = _MOST,
) -> int | None:
    """The best number of samples to try until a judge accepts one; beyond it resampling hurts.

    After Stroebl, Kapoor and Narayanan (2024, *Inference Scaling fLaws*). A task of type t has the chance r_t that
    a sample is right; the judge accepts right samples with chance h and wrong ones with chance f. The j-th sample
    matters when all before it were rejected, and then adds ``rejected_t^(j-1) (h r_t + wrong f (1 - r_t))`` to the
    expected value, with ``rejected_t = 1 - h r_t - f (1 - r_t)``, where a right answer is worth 1, none 0 and a wrong
    one ``wrong``. Tasks that are still open after many rejections are the hard ones, where a right sample is rare and
    a false alarm is not, so that the sum over tasks turns negative. At -1, that is the sample from which on
    an acceptance is more likely wrong than right. Errors of the judge are taken as independent; where it falls for
    the same mistake again, the limit is lower.

    Args:
        solve: Chance of a right sample by type of task.
        weights: Share of each type; by default all alike.
        hit: Chance that a right sample is accepted.
        false_alarm: Chance that a wrong one is.
        wrong: Worth of a wrong answer that was accepted.
        most: Largest number looked at.

    Returns:
        0 when not even one sample is worth accepting; ``None`` when up to ``most`` samples no further one hurts.
    """
    rates = np.asarray(solve, dtype=np.float64)
    shares = np.full(len(rates), 1 / len(rates)) if weights is None else np.asarray(weights, dtype=np.float64)
    right, alarm = hit * rates, false_alarm * (1 - rates)
    open_after = (1 - right - alarm)[:, None] ** np.arange(most)
    gains = (shares * (right + wrong * alarm)) @ open_after
    if not (gains < 0).any():
        return None
    value = np.cumsum(gains)
    return int(value.argmax()) + 1 if value.max() > 0 else 0
