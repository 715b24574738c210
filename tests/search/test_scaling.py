"""Scaling laws: a law that is there is found, and what it says about saturation is right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from archloom.search._scaling import ScalingLaw, fit_scaling
from archloom.tools import pass_at_k

X = np.array([50, 100, 200, 400, 800, 1600.0])


@pytest.mark.parametrize(
    "law",
    [
        pytest.param(ScalingLaw(0.9, 60, 0.8, 0), id="saturates"),
        pytest.param(ScalingLaw(1.0, 300, 0.35, 0), id="coverage"),
        pytest.param(ScalingLaw(0.7, 400, 1.5, 0), id="rises late"),
    ],
)
def test_a_law_without_noise_is_found(law: ScalingLaw) -> None:
    found = fit_scaling(X, [law(x) for x in X])
    assert found is not None
    assert (found.ceiling, found.scale, found.exponent) == pytest.approx(
        (law.ceiling, law.scale, law.exponent), rel=1e-3
    )
    assert found.error < 1e-5


def test_noise_shows_in_the_stated_error() -> None:
    law, rng = ScalingLaw(0.9, 60, 0.8, 0), np.random.default_rng(0)
    x = np.geomspace(20, 5000, 40)
    y = np.array([law(each) for each in x]) + rng.normal(0, 0.02, 40)
    found = fit_scaling(x, y)
    assert found is not None
    assert found.error == pytest.approx(0.02, rel=0.3)
    assert found.error == pytest.approx(math.sqrt(np.mean([(found(a) - b) ** 2 for a, b in zip(x, y, strict=True)])))
    assert found.ceiling == pytest.approx(0.9, abs=0.02)


def test_points_that_are_less_certain_count_less() -> None:
    law = ScalingLaw(0.9, 60, 0.8, 0)
    y = [law(x) for x in X]
    y[3] -= 0.3
    plain, weighed = fit_scaling(X, y), fit_scaling(X, y, [0.01, 0.01, 0.01, 0.5, 0.01, 0.01])
    assert plain is not None
    assert weighed is not None
    assert weighed.ceiling == pytest.approx(0.9, abs=0.01)
    assert abs(plain.ceiling - 0.9) > 0.05
    assert weighed.error == pytest.approx(0.3 / math.sqrt(6), rel=0.05), "the stated error is that of all points alike"


def test_coverage_of_a_mixed_population_is_fitted_within_two_points() -> None:
    right = np.random.default_rng(1).binomial(200, np.random.default_rng(2).beta(0.6, 1.2, 300))
    k = [1, 2, 4, 8, 16, 32, 64]
    found = fit_scaling(k, [np.mean([pass_at_k(200, int(c), each) for c in right]) for each in k])
    assert found is not None
    assert found.error < 0.02
    assert found.ceiling > 0.98


def test_saturation_is_where_doubling_stops_to_gain_a_point() -> None:
    law = ScalingLaw(0.9, 60, 0.8, 0)
    at = law.saturation(50, 100_000)
    assert at is not None
    assert law(2 * at) - law(at) == pytest.approx(0.01, abs=1e-4)
    assert law.saturation(50, at / 2) is None, "not reached within the range"
    assert law.saturation(2 * at, 9 * at) == 2 * at, "reached from the start"


def test_what_does_not_grow_is_saturated_from_the_start() -> None:
    found = fit_scaling(X, [0.62, 0.6, 0.61, 0.6, 0.59, 0.6])
    assert found is not None
    assert found.ceiling == pytest.approx(0.603, abs=0.01)
    assert found.saturation(X[0], X[-1]) == X[0]


def test_three_points_carry_no_law() -> None:
    assert fit_scaling([1, 2, 4], [0.1, 0.2, 0.3]) is None
    assert fit_scaling([1, 2, 2, 4], [0.1, 0.2, 0.2, 0.3]) is None
