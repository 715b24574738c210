"""Importance of choices, on functions whose variance components are known."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.search._importance import main_effects
from archloom.search._space import Axis, Point, Space

AXES = (
    Axis("samples", (1, 2, 4, 8), ordered=True),
    Axis("model", ("a", "b", "c")),
    Axis("check", (True, False)),
)
SPACE = Space(AXES)


def worth(point: Point, big: float = 0.1, small: float = 0.04) -> float:
    return big * point[0] + small * point[1]


def table(points: list[Point], seed: int, *, big: float = 0.1, small: float = 0.04, tasks: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.array([worth(point, big, small) for point in points])
    return level[:, None] + rng.normal(0, 0.3, tasks) + rng.normal(0, 0.2, (len(points), tasks))


def shares(found: tuple) -> dict[str, float]:
    return {effect.axis.name: effect.share.estimate for effect in found}


def test_shares_are_those_of_an_analysis_of_variance() -> None:
    points = list(SPACE.points())
    found = main_effects(SPACE, points, table(points, 0, tasks=400))
    whole = np.var([worth(point) for point in points])
    expected = {"samples": np.var(0.1 * np.arange(4)) / whole, "model": np.var(0.04 * np.arange(3)) / whole, "check": 0}
    assert shares(found) == pytest.approx(expected, abs=0.02)
    assert [effect.axis.name for effect in found] == ["samples", "model", "check"]


def test_best_and_worst_options_and_their_distance() -> None:
    points = list(SPACE.points())
    samples, model, _ = main_effects(SPACE, points, table(points, 1))
    assert (samples.best, samples.worst, model.best, model.worst) == (3, 0, 2, 0)
    assert samples.gap.low < 0.3 < samples.gap.high
    assert samples.gap.high - samples.gap.low < 0.15


def test_intervals_cover_the_truth_though_most_cells_are_missing() -> None:
    covered = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        points = [SPACE.points()[i] for i in rng.choice(24, 14, replace=False)]
        scores = table(points, seed)
        scores[rng.random(scores.shape) < 0.5] = np.nan
        scores[np.isnan(scores).all(axis=1), 0] = 0.0
        gaps = {effect.axis.name: effect.gap for effect in main_effects(SPACE, points, scores)}
        covered.append(gaps["samples"].low <= 0.3 <= gaps["samples"].high)
    assert np.mean(covered) > 0.85


def test_equal_configurations_leave_every_gap_near_nothing() -> None:
    points = list(SPACE.points())
    for effect in main_effects(SPACE, points, table(points, 2, big=0, small=0)):
        assert abs(effect.gap.estimate) < 0.05
        assert effect.share.high - effect.share.low > 0.1, "a share of nothing is uncertain"


def test_choices_that_do_not_matter_without_a_node_do_not_lean() -> None:
    """Votes matter only with a judge: the points without one are one configuration."""
    axes = (Axis("judge", (True, False)), Axis("votes", (1, 3)))
    space = Space(axes, canonical=lambda p: f"judge {p[1]}" if p[0] == 0 else "none")
    points = list(space.points())
    assert len(points) == 3
    level = np.array([{"judge 0": 0.4, "judge 1": 0.8, "none": 0.0}[space.key(point)] for point in points])
    rng = np.random.default_rng(0)
    found = main_effects(space, points, level[:, None] + rng.normal(0, 0.05, (3, 400)))
    gaps = {effect.axis.name: effect.gap.estimate for effect in found}
    assert gaps == pytest.approx({"judge": 0.6, "votes": 0.2}, abs=0.03)


def test_large_spaces_are_drawn_from_and_say_the_same_twice() -> None:
    space = Space([Axis(f"axis{i}", tuple(range(5)), ordered=True) for i in range(6)])
    rng = np.random.default_rng(0)
    points = list(dict.fromkeys(space.sample(rng) for _ in range(60)))
    scores = np.array([0.05 * point[2] for point in points])[:, None] + rng.normal(0, 0.1, (len(points), 20))
    found = main_effects(space, points, scores)
    assert found[0].axis.name == "axis2"
    assert found == main_effects(space, points, scores)


def test_a_single_configuration_explains_nothing() -> None:
    assert main_effects(SPACE, SPACE.points()[:1], np.zeros((1, 5))) == ()
