"""Intervals and tests, against known figures and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.search._statistics import (
    McNemar,
    mcnemar,
    mean_interval,
    noise_floor,
    paired_difference,
    tasks_needed,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), table I, method 3
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0, 0.1611, id="0 of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert (found.estimate, found.low, found.high) == pytest.approx((successes / n, low, high), abs=5e-5)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_estimate_and_stays_a_proportion(case: tuple[int, int]) -> None:
    found = wilson(*case)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0


def test_graded_scores_get_students_interval() -> None:
    found = mean_interval([0.2, 0.4, 0.6, 0.8])
    half = 3.182446 * math.sqrt(np.var([0.2, 0.4, 0.6, 0.8], ddof=1) / 4)
    assert found == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-6)


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([1, 0, 1, 1], id="right or wrong"),
        pytest.param([0.5, 0.5, 0.5], id="no spread to go by"),
        pytest.param([0.3], id="a single task"),
    ],
)
def test_other_scores_get_wilsons_interval(scores: list[float]) -> None:
    assert mean_interval(scores) == wilson(sum(scores), len(scores))


def test_intervals_for_a_mean_cover_it_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 0.3 <= high for _, low, high in (mean_interval(rng.beta(3, 7, 30)) for _ in range(600))]
    assert 0.92 < np.mean(covered) < 0.98


def test_paired_intervals_cover_the_difference_and_use_the_pairing() -> None:
    rng = np.random.default_rng(1)
    covered, widths = [], []
    for seed in range(300):
        task = rng.normal(0, 1, 60)
        first, second = task + rng.normal(0.1, 0.2, 60), task + rng.normal(0, 0.2, 60)
        found = paired_difference(first, second, resamples=800, seed=seed)
        covered.append(found.low <= 0.1 <= found.high)
        widths.append(found.high - found.low)
    assert 0.90 < np.mean(covered) < 0.98
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 0.2 * math.sqrt(2 / 60), rel=0.1)


def test_a_bootstrap_says_the_same_thing_twice_and_chunks_do_not_show() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(1500), rng.random(1500)
    once = paired_difference(first, second, seed=3)
    assert once == paired_difference(first, second, seed=3)
    assert once != paired_difference(first, second, seed=4)
    assert once.estimate == pytest.approx((first - second).mean())


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param([1, 1, 0], [1, 1, 0], McNemar(0, 0, 1.0), id="no disagreement"),
        pytest.param([1] * 5, [0] * 5, McNemar(5, 0, 2 / 32), id="five to none"),
        pytest.param([1, 1, 1, 0], [0, 0, 0, 1], McNemar(3, 1, 0.625), id="three to one"),
    ],
)
def test_mcnemar_is_the_sign_test_of_disagreements(first: list[int], second: list[int], expected: McNemar) -> None:
    assert mcnemar(first, second) == pytest.approx(expected)


def test_mcnemar_refuses_graded_scores() -> None:
    with pytest.raises(ValueError, match="paired_difference"):
        mcnemar([0.5, 1], [0, 1])


def luck(configs: int, tasks: int, *, shared: float, seed: int) -> np.ndarray:
    """Scores of equally good configurations: a task effect, and noise of which a part is common to all but one."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, math.sqrt(shared), tasks) * np.r_[0, np.ones(configs - 1)][:, None]
    return rng.normal(0, 1, tasks) + common + rng.normal(0, math.sqrt(1 - shared), (configs, tasks))


@pytest.mark.parametrize(("configs", "shared"), [(2, 0.0), (10, 0.0), (40, 0.0), (40, 0.8)])
def test_noise_floor_is_the_luck_of_the_best_of_equals(configs: int, shared: float) -> None:
    tables = [luck(configs, 60, shared=shared, seed=seed) for seed in range(1000)]
    real = np.mean([table.mean(axis=1).max() - table.mean() for table in tables])
    assert np.mean([noise_floor(table, draws=300) for table in tables[:40]]) == pytest.approx(real, rel=0.08)


def test_noise_floor_ignores_true_differences_and_missing_cells() -> None:
    table = luck(10, 80, shared=0.0, seed=5)
    apart = table + np.linspace(0, 3, 10)[:, None]
    assert noise_floor(apart) == pytest.approx(noise_floor(table))
    holes = np.where(np.random.default_rng(6).random(table.shape) < 0.1, np.nan, table)
    assert noise_floor(holes) == pytest.approx(noise_floor(table), rel=0.15)


@pytest.mark.parametrize("shape", [(1, 50), (5, 1)])
def test_one_configuration_or_task_has_no_luck_to_compare(shape: tuple[int, int]) -> None:
    assert noise_floor(np.random.default_rng(0).random(shape)) == 0


def test_tasks_needed_finds_the_difference_as_often_as_asked() -> None:
    rng = np.random.default_rng(7)
    needed = tasks_needed(rng.normal(0.1, 0.5, 4000), np.zeros(4000), difference=0.1)
    assert needed == pytest.approx((1.95996 + 0.84162) ** 2 * 25, rel=0.06)
    trials = rng.normal(0.1, 0.5, (4000, needed))
    z = trials.mean(axis=1) / trials.std(axis=1, ddof=1) * math.sqrt(needed)
    assert np.mean(z > 1.96) == pytest.approx(0.8, abs=0.04)


def test_no_difference_needs_more_tasks_than_there_are() -> None:
    assert tasks_needed([1, 0, 1], [0, 1, 1]) is None
