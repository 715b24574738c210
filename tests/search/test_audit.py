"""Judges against the truth: published figures, and simulated judges whose rates are known."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.search._audit import Tally, audit, resampling_limit, solve_rates
from archloom.search._statistics import clustered_rate, wilson


def tallies(rng: np.random.Generator, *, hit: float, false_alarm: float, tasks: int = 200, n: int = 8) -> list[Tally]:
    found = []
    for chance in rng.beta(2, 3, tasks):
        right = int(rng.binomial(n, chance))
        accepted = (int(rng.binomial(right, hit)), int(rng.binomial(n - right, false_alarm)))
        found.append(Tally(right, accepted[0], n - right, accepted[1]))
    return found


@pytest.mark.parametrize(("wrong", "expected"), [(-0.7, 3), (-1.0, 2), (-2.0, 1), (-0.0, None)])
def test_limit_is_that_of_the_published_example(wrong: float, expected: int | None) -> None:
    """The notebook of Inference Scaling fLaws: two types of tasks, complete and three quarters sound tests."""
    assert resampling_limit([0.87, 0.13], [0.58, 0.42], hit=1.0, false_alarm=0.25, wrong=wrong) == expected


def test_a_mild_penalty_moves_the_limit_far_out() -> None:
    found = resampling_limit([0.87, 0.13], [0.58, 0.42], hit=1.0, false_alarm=0.25, wrong=-0.5)
    assert found is None or found > 50


def test_a_judge_without_false_alarms_never_hurts() -> None:
    assert resampling_limit([0.9, 0.01], hit=0.7, false_alarm=0.0) is None


def test_hopeless_tasks_are_not_worth_a_sample() -> None:
    assert resampling_limit([0.05], hit=0.9, false_alarm=0.3) == 0


def test_limit_is_the_best_number_of_tries_in_a_simulation() -> None:
    rng = np.random.default_rng(0)
    solve = rng.beta(1.2, 2.0, 200_000)
    hit, false_alarm = 0.85, 0.2
    worth, still_open = [], np.ones(len(solve), dtype=bool)
    for _ in range(12):
        right = rng.random(len(solve)) < solve
        accepted = still_open & (rng.random(len(solve)) < np.where(right, hit, false_alarm))
        worth.append(np.where(right, 1.0, -1.0)[accepted].sum())
        still_open &= ~accepted
    best = int(np.cumsum(worth).argmax()) + 1
    assert 1 < best < 12
    assert resampling_limit(solve[:4000], hit=hit, false_alarm=false_alarm) == best
    assert [w > 0 for w in worth] == [j < best for j in range(12)], "from there on an acceptance is rather wrong"


def test_luck_is_taken_out_of_solve_rates() -> None:
    rng = np.random.default_rng(1)
    total = np.full(600, 4)
    right = rng.binomial(total, rng.beta(6, 3, 600))
    found = solve_rates(right, total)
    assert found.mean() == pytest.approx(2 / 3, abs=0.03)
    assert found.std() == pytest.approx(np.sqrt(6 * 3 / 81 / 10), abs=0.03)
    assert (right / total).std() > 1.4 * found.std()


@pytest.mark.parametrize("right", [[4, 4, 4], [0, 0, 0], [4, 0, 4, 0]], ids=["all", "none", "all or nothing"])
def test_extreme_tasks_have_solve_rates_too(right: list[int]) -> None:
    found = solve_rates(right, [4] * len(right))
    assert ((found >= 0) & (found <= 1)).all()
    assert found.mean() == pytest.approx(np.mean(right) / 4, abs=0.1)


def test_audit_finds_the_rates_of_a_judge() -> None:
    rng = np.random.default_rng(2)
    truth = resampling_limit(rng.beta(2, 3, 4000), hit=0.85, false_alarm=0.2)
    assert truth is not None
    covered, limits = [], []
    for _ in range(60):
        found = audit(tallies(rng, hit=0.85, false_alarm=0.2))
        assert found.hit is not None
        assert found.false_alarm is not None
        assert found.limit is not None
        assert found.right + found.wrong == 1600
        covered.append((found.hit.low < 0.85 < found.hit.high, found.false_alarm.low < 0.2 < found.false_alarm.high))
        limits.append(found.limit)
    assert np.mean(covered, axis=0) == pytest.approx(0.95, abs=0.06)
    assert np.median(limits) == pytest.approx(truth, abs=1)


def test_rates_that_nothing_tells_about_are_not_made_up() -> None:
    found = audit([Tally(right=3, accepted_right=2), Tally(right=1, accepted_right=1)])
    assert (found.false_alarm, found.limit, found.wrong) == (None, None, 0)
    assert found.hit is not None
    assert found.hit.estimate == 0.75


def test_alike_candidates_widen_the_interval_and_it_covers() -> None:
    rng = np.random.default_rng(4)
    covered, naive = [], []
    for _ in range(500):
        sizes = rng.integers(1, 12, 40)
        good = np.where(rng.random(40) < 0.8, rng.binomial(sizes, 0.9), rng.binomial(sizes, 0.1))
        truth = 0.8 * 0.9 + 0.2 * 0.1
        found, plain = clustered_rate(good, sizes), wilson(int(good.sum()), int(sizes.sum()))
        covered.append(found.low <= truth <= found.high)
        naive.append(plain.low <= truth <= plain.high)
    assert 0.90 < np.mean(covered) < 0.98
    assert np.mean(naive) < 0.8


def test_a_rate_without_spread_counts_tasks() -> None:
    assert clustered_rate([8, 8, 8], [8, 8, 8]) == wilson(3, 3)
    assert clustered_rate([0, 0, 0], [8, 8, 0]) == wilson(0, 2)
