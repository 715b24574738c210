"""Fronts and the volume they cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from archloom.search._pareto import covered, hypervolume, non_dominated

SMALL = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # few values, so that ties happen
TABLES = st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(lambda shape: arrays(float, shape, elements=SMALL))


def beats(one: list[float], other: list[float]) -> bool:
    """Plain words of the definition: score up, costs down."""
    no_worse = one[0] >= other[0] and all(a <= b for a, b in zip(one[1:], other[1:], strict=True))
    return no_worse and one != other


@given(TABLES)
def test_the_front_is_what_nothing_beats(values: np.ndarray) -> None:
    rows = values.tolist()
    expected = [not any(beats(other, row) for other in rows) for row in rows]
    assert non_dominated(values).tolist() == expected


def test_no_rows_have_no_front() -> None:
    assert non_dominated(np.zeros((0, 2))).tolist() == []


@pytest.mark.parametrize(
    ("values", "reference", "volume"),
    [
        pytest.param([[0.5]], [0.0], 0.5, id="score alone"),
        pytest.param([[0.5, 2.0]], [0.0, 10.0], 4.0, id="one box"),
        pytest.param([[0.5, 2.0], [0.8, 6.0]], [0.0, 10.0], 4.0 + 0.3 * 4, id="two steps"),
        pytest.param([[0.5, 2.0], [0.4, 6.0]], [0.0, 10.0], 4.0, id="a beaten one adds nothing"),
        pytest.param([[0.5, 12.0], [-0.1, 1.0]], [0.0, 10.0], 0.0, id="beyond the reference"),
        pytest.param([[1.0, 1.0, 1.0], [0.5, 0.0, 0.0]], [0.0, 2.0, 2.0], 1.0 + 0.5 * 4 - 0.5, id="three measures"),
    ],
)
def test_hypervolume_of_known_fronts(values: list[list[float]], reference: list[float], volume: float) -> None:
    assert hypervolume(values, reference) == pytest.approx(volume)


@given(arrays(float, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(0, 1)))
def test_hypervolume_is_the_share_of_a_grid_that_is_covered(values: np.ndarray) -> None:
    cells = (np.stack(np.meshgrid(*[np.arange(20)] * 3), axis=-1).reshape(-1, 3) + 0.5) / 20
    values = np.round(values * 20) / 20
    covered = ((values[:, None, 0] > cells[:, 0]) & (values[:, None, 1:] < cells[:, 1:]).all(axis=2)).any(axis=0)
    assert hypervolume(values, [0.0, 1.0, 1.0]) == pytest.approx(covered.mean())


@given(arrays(float, st.tuples(st.integers(1, 6), st.just(2)), elements=SMALL), st.floats(0.1, 1e4))
def test_coverage_is_the_brute_force_area_whatever_the_unit_of_cost(values: np.ndarray, unit: float) -> None:
    dearest = max(values[:, 1].max(), 0.25)
    everything = np.vstack([values, [[0.0, dearest]]]) * [1.0, unit]
    side = np.arange(100) / 100 + 0.005  # a grid that no value falls on
    score, cost = (axis.ravel() for axis in np.meshgrid(side, dearest * side))
    inside = ((score < values[:, :1]) & (cost > values[:, 1:])).any(axis=0)
    assert covered(values * [1.0, unit], everything) == pytest.approx(inside.mean(), abs=0.02)


def test_coverage_of_free_configurations_is_their_score() -> None:
    assert covered([[0.4, 0.0]], [[0.4, 0.0], [0.3, 0.0]]) == pytest.approx(0.4)


@given(TABLES)
def test_only_the_front_counts_for_the_volume(values: np.ndarray) -> None:
    reference = [0.0] + [1.0] * (values.shape[1] - 1)
    front = values[non_dominated(values)]
    assert hypervolume(front, reference) == pytest.approx(hypervolume(values, reference))
