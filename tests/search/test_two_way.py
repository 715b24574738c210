"""Adjusted means: exact where the table is whole, right on average where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.search._two_way import two_way


def table(seed: int, configs: int = 6, tasks: int = 40, noise: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.linspace(0, 0.5, configs)[:, None] + rng.normal(0, 0.4, tasks) + rng.normal(0, noise, (configs, tasks))


def test_whole_table_gives_plain_means_and_their_covariance() -> None:
    scores = table(0)
    fit = two_way(scores)
    assert fit is not None
    assert fit.means == pytest.approx(scores.mean(axis=1))
    left = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    noise = (left**2).sum() / (5 * 39)
    assert fit.covariance == pytest.approx(noise / 40 * (np.eye(6) - 1 / 6), abs=1e-12)
    assert fit.level_variance == pytest.approx(scores.mean(axis=0).var(ddof=1) / 40)


def test_missing_cells_agree_with_regression_on_dummies() -> None:
    scores = table(1)
    scores[np.random.default_rng(2).random(scores.shape) < 0.4] = np.nan
    rows, columns = np.nonzero(~np.isnan(scores))
    design = np.column_stack([np.eye(6)[rows], np.eye(40)[columns]])
    solution = np.linalg.lstsq(design, scores[rows, columns], rcond=None)[0]
    fit = two_way(scores)
    assert fit is not None
    assert fit.means == pytest.approx(solution[:6] + solution[6:].mean())


def test_configurations_that_saw_only_hard_tasks_are_not_blamed_for_them() -> None:
    raw, adjusted = [], []
    for seed in range(200):
        scores = table(seed)
        hard = np.argsort(scores.mean(axis=0))
        scores[5, hard[10:]] = np.nan
        fit = two_way(scores)
        assert fit is not None
        raw.append(np.nanmean(scores[5]) - scores[0].mean())
        adjusted.append(fit.means[5] - fit.means[0])
    assert np.mean(adjusted) == pytest.approx(0.5, abs=0.1)
    assert np.mean(raw) < 0.2


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([[1.0, 0.0, 1.0]], id="one configuration"),
        pytest.param([[1.0], [0.0]], id="one task"),
        pytest.param([[1.0, np.nan], [0.0, 1.0]], id="nothing left for the noise"),
        pytest.param([[1, 0, np.nan, np.nan], [0, 0, np.nan, np.nan]] + [[np.nan, np.nan, 1, 0]] * 2, id="two islands"),
    ],
)
def test_what_a_table_does_not_say_is_not_said(scores: list[list[float]]) -> None:
    assert two_way(scores) is None
