"""The winner's curse, against James and Stein's formula and against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.search._shrinkage import shrunken


def draw(rng: np.random.Generator, *, spread: float, configs: int = 12, tasks: int = 40) -> tuple[np.ndarray, ...]:
    """True scores, and a table of what was seen."""
    truth = rng.normal(0.5, spread, configs)
    seen = truth[:, None] + rng.normal(0, 0.3, tasks) + rng.normal(0, 0.4, (configs, tasks))
    return truth, seen


def test_whole_table_gives_james_and_steins_estimate() -> None:
    _, scores = draw(np.random.default_rng(0), spread=0.15)
    means, grand = scores.mean(axis=1), scores.mean()
    left = scores - means[:, None] - scores.mean(axis=0) + grand
    sampling = (left**2).sum() / (11 * 39) / 40
    kept = 1 - (12 - 3) * sampling / ((means - grand) ** 2).sum()
    assert 0.3 < kept < 0.95
    assert shrunken(scores) == pytest.approx(grand + kept * (means - grand))


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("holes", [False, True], ids=["whole", "given up early"])
def test_winners_estimate_is_what_it_is_worth_on_other_tasks(spread: float, holes: bool) -> None:
    rng = np.random.default_rng(1)
    naive, corrected = [], []
    for _ in range(400):
        truth, scores = draw(rng, spread=spread)
        if holes:  # as a race does: those that look bad after ten tasks are not looked at again
            bad = np.argsort(scores[:, :10].mean(axis=1))[:6]
            scores[bad, 10:] = np.nan
        winner = np.where(np.isnan(scores).any(axis=1), -np.inf, scores.mean(axis=1)).argmax()
        estimates = shrunken(scores)
        assert estimates is not None
        naive.append(np.nanmean(scores[winner]) - truth[winner])
        corrected.append(estimates[winner] - truth[winner])
    assert np.mean(naive) > 0.02, "there is a curse to take out"
    assert abs(np.mean(corrected)) < 0.45 * np.mean(naive)
    assert np.square(corrected).mean() < np.square(naive).mean()


def test_clear_differences_stay() -> None:
    _, scores = draw(np.random.default_rng(2), spread=5.0)
    assert shrunken(scores) == pytest.approx(scores.mean(axis=1), abs=0.01)


def test_equal_rows_have_no_luck_to_take_out() -> None:
    scores = np.tile(np.random.default_rng(3).random(20), (5, 1))
    assert shrunken(scores) == pytest.approx(scores.mean(axis=1))


def test_few_configurations_say_nothing_about_their_spread() -> None:
    assert shrunken(np.random.default_rng(0).random((3, 50))) is None
