"""Spaces: points, configurations, and their numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import InvalidConfigurationError
from archloom.search._space import LISTABLE, Axis, Point, Space
from archloom.search.errors import EmptySpaceError, SpaceTooLargeError, UnknownConfigurationError
from archloom.testing._optimizers import small_space

MODEL = Axis("nodes.draft.model", ("small", "large", "huge"))
SAMPLES = Axis("nodes.draft.samples", (1, 2, 4), ordered=True)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Spaces with a rule on the sum of indices, and a switch that makes the axis after it matter or not."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    axes = [
        Axis(f"hole{number}", tuple(range(1, size + 1)), ordered=draw(st.booleans()))
        for number, size in enumerate(sizes)
    ]
    forbidden = draw(st.integers(1, 4))
    switched = draw(st.booleans())

    def canonical(point: Point) -> str:
        matters = point if point[0] or not switched else (point[0], 0, *point[2:])
        return "-".join(map(str, matters))

    def valid(point: Point) -> bool:
        return sum(point[2:]) != forbidden

    return Space(axes, valid=valid, canonical=canonical)


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_everything_a_space_hands_out_is_a_normal_valid_point(space: Space, seed: int) -> None:
    points = space.points()
    rng = np.random.default_rng(seed)
    handed_out = [space.sample(rng), *(space.mutate(point, rng) for point in points[:5])]
    handed_out += [near for point in points[:5] for near in space.neighbours(point)]
    assert set(handed_out) <= set(points)
    assert len({space.key(point) for point in points}) == len(points)
    assert all(space.valid(point) and space.normal(point) == point for point in points)
    assert all(space.point(space.key(point)) == point for point in points)


@given(spaces())
@settings(deadline=None)
def test_points_are_all_configurations_in_a_fixed_order(space: Space) -> None:
    again = Space(space.axes, valid=space.valid, canonical=space.key)
    assert again.points() == space.points() == tuple(sorted(space.points()))
    every = np.ndindex(*(len(axis.options) for axis in space.axes))
    assert {space.key(point) for point in space.points()} == {space.key(p) for p in every if space.valid(p)}


@given(spaces())
@settings(deadline=None)
def test_neighbours_are_other_configurations_and_know_each_other(space: Space) -> None:
    for point in space.points():
        near = space.neighbours(point)
        assert point not in near
        assert len(set(near)) == len(near)


@given(spaces())
@settings(deadline=None)
def test_different_configurations_have_different_codes(space: Space) -> None:
    rows = space.encode(space.points())
    assert rows.shape == (len(space.points()), len(space.columns))
    assert len({tuple(row) for row in rows.round(9).tolist()}) == len(rows)


def test_codes_are_one_hot_and_ordered_axes_have_a_centred_scaled_log_place() -> None:
    space = Space([MODEL, SAMPLES])
    assert space.columns == (
        'nodes.draft.model="small"',
        'nodes.draft.model="large"',
        'nodes.draft.model="huge"',
        "nodes.draft.samples=1",
        "nodes.draft.samples=2",
        "nodes.draft.samples=4",
        "scale(nodes.draft.samples)",
    )
    step = math.sqrt(1.5)  # 0, 1, 2 less their mean, over their spread
    assert space.encode([(1, 0), (0, 2)]).tolist() == [
        pytest.approx([0, 1, 0, 1, 0, 0, -step]),
        pytest.approx([1, 0, 0, 0, 0, 1, step]),
    ]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        pytest.param((0.0, 0.5, 1.0), [-math.sqrt(1.5), 0, math.sqrt(1.5)], id="zero has no logarithm"),
        pytest.param((3,), [0], id="a single option"),
    ],
)
def test_places_of_special_axes(options: tuple[float, ...], places: list[float]) -> None:
    assert Axis("x", options, ordered=True).codes[:, -1].tolist() == pytest.approx(places)


def test_a_hole_that_does_not_matter_is_all_zeros() -> None:
    space = small_space()
    without_review = (0, 1, 1, 0)
    assert space.active(without_review) == (True, True, True, False)
    row = dict(zip(space.columns, space.encode([without_review])[0].tolist(), strict=True))
    assert row['nodes.review.model="small"'] == row['nodes.review.model="large"'] == 0
    assert row["nodes.review.optional=false"] == 1


def test_equivalent_points_share_a_key_and_the_first_options_stand_for_them() -> None:
    space = small_space()
    assert space.key((0, 1, 1, 0)) == space.key((0, 1, 1, 1))
    assert space.normal((0, 1, 1, 1)) == (0, 1, 1, 0)
    assert len(space.points()) == 15
    assert space.size == 24


def test_neighbours_step_by_one_along_an_order() -> None:
    space = Space([MODEL, SAMPLES])
    assert set(space.neighbours((0, 0))) == {(1, 0), (2, 0), (0, 1)}
    assert set(space.neighbours((0, 1))) == {(1, 1), (2, 1), (0, 0), (0, 2)}


def test_mutations_stay_close_and_reach_everything() -> None:
    space = Space([Axis(f"hole{number}", tuple(range(3))) for number in range(4)])
    rng = np.random.default_rng(0)
    found = [space.mutate((0, 0, 0, 0), rng) for _ in range(3000)]
    changed = [sum(index > 0 for index in point) for point in found]
    assert min(changed) == 1
    assert sum(changed) / len(changed) < 2
    near = {point for point in np.ndindex(3, 3, 3, 3) if 0 < sum(index > 0 for index in point) < 3}
    assert near <= set(found)


def test_the_assignment_names_the_chosen_options() -> None:
    assert Space([MODEL, SAMPLES]).assignment((2, 1)) == {"nodes.draft.model": "huge", "nodes.draft.samples": 2}


def test_each_point_is_checked_and_named_once() -> None:
    asked: list[Point] = []

    def canonical(point: Point) -> str:
        asked.append(point)
        return str(point)

    space = Space([MODEL, SAMPLES], canonical=canonical)
    for point in space.points():
        space.key(point)
        space.neighbours(point)
    space.encode(space.points())
    assert sorted(asked) == sorted(space.points())


LARGE = [Axis(f"hole{number}", tuple(range(10)), ordered=number == 0) for number in range(5)]


def test_a_large_space_is_sampled_and_not_listed() -> None:
    space = Space(LARGE, valid=lambda point: point[0] > 2, canonical=lambda point: ".".join(map(str, point[:4])))
    assert space.size > LISTABLE
    with pytest.raises(SpaceTooLargeError, match="100,000"):
        space.points()
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(50)]
    assert all(point[0] > 2 and point[4] == 0 for point in drawn)
    assert len(set(drawn)) > 45
    assert all(space.active(point) == (True, True, True, True, False) for point in drawn)
    assert space.point(space.key(drawn[0])) == drawn[0]
    with pytest.raises(UnknownConfigurationError, match=r"space\.key"):
        space.point("9.9.9.9")


@pytest.mark.parametrize("axes", [pytest.param([MODEL, SAMPLES], id="small"), pytest.param(LARGE, id="large")])
def test_rules_that_forbid_everything_are_an_error(axes: list[Axis]) -> None:
    space = Space(axes, valid=lambda point: False)
    with pytest.raises(EmptySpaceError):
        space.sample(np.random.default_rng(0))


def test_a_forbidden_point_has_no_key() -> None:
    with pytest.raises(InvalidConfigurationError, match=r"'nodes\.draft\.samples': 4"):
        small_space().key((1, 2, 0, 0))


def test_choices_are_drawn_by_their_chances_and_rules_are_kept() -> None:
    space = Space([MODEL, SAMPLES], valid=lambda point: point != (2, 2))
    rng = np.random.default_rng(0)
    chances = [np.array([0.0, 0.2, 0.8]), np.array([0.0, 0.0, 1.0])]
    assert {space.draw(chances, rng) for _ in range(50)} == {(1, 2)}
    certain = [np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])]
    assert space.draw(certain, rng) in space.points(), "where the rules forbid all that is likely, anything valid"


def test_words_are_read_back() -> None:
    space = small_space()
    assert [space.read(space.words(point)) for point in space.points()] == list(space.points())
    assert space.offers()["nodes.draft.samples"] == [1, 2, 4]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"nodes.draft.samples": 3}, id="not offered"),
        pytest.param({"nodes.draft.samples": True}, id="true is not 1"),
        pytest.param({"nodes.draft.samples": 4}, id="against a rule"),
        pytest.param({"temperature": 1}, id="no such hole"),
    ],
)
def test_words_that_are_no_configuration_are_refused(change: dict[str, object]) -> None:
    space = small_space()
    with pytest.raises(InvalidConfigurationError):
        space.read(space.words((1, 1, 0, 0)) | change)
