"""The set that holds the best: its confidence and its power, in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.search._best_set import best_set


def scores(rng: np.random.Generator, worth: list[float], tasks: int = 50) -> np.ndarray:
    chance = np.clip(np.array(worth)[:, None] + rng.normal(0, 0.15, tasks), 0, 1)
    return (rng.random((len(worth), tasks)) < chance).astype(float)


def kept(worth: list[float], *, tables: int = 200, tasks: int = 50) -> np.ndarray:
    """How often each configuration stays, and last how often all do."""
    rng = np.random.default_rng(0)
    sets = [best_set(scores(rng, worth, tasks), resamples=500, seed=seed) for seed in range(tables)]
    return np.r_[np.mean(sets, axis=0), np.mean(np.all(sets, axis=1))]


@pytest.mark.parametrize("count", [2, 6, 20])
def test_equal_configurations_all_stay_nineteen_times_of_twenty(count: int) -> None:
    assert kept([0.6] * count)[-1] > 0.9


def test_best_stays_and_the_clearly_worse_go() -> None:
    *stays, all_stay = kept([0.8, 0.78, 0.5, 0.3, 0.3])
    assert stays[0] > 0.95
    assert stays[1] > 0.85
    assert max(stays[3:]) < 0.02
    assert all_stay == 0


def test_more_tasks_tell_more_apart() -> None:
    assert kept([0.7, 0.55], tasks=300)[1] < 0.2 < kept([0.7, 0.55], tasks=30)[1]


def test_twins_stay_together_and_a_certain_gap_is_seen() -> None:
    row = np.random.default_rng(1).random(30)
    assert best_set([row, row]).tolist() == [True, True]
    assert best_set([row, row - 0.1]).tolist() == [True, False]


def test_one_task_rules_nothing_out() -> None:
    assert best_set([[1.0], [0.0]]).all()


def test_same_seed_same_set() -> None:
    table = scores(np.random.default_rng(3), [0.6, 0.5, 0.4])
    assert (best_set(table, seed=5) == best_set(table, seed=5)).all()
