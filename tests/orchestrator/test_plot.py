"""Charts: every mark inside, the staircase where it belongs, labels where there is room. And figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.orchestrator._labels import place
from archloom.orchestrator._numbers import number, percent, points
from archloom.orchestrator._plot import Point, plot, rising


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (8.0, "8"), (58.6, "58.6"), (471.3, "471"), (1204.4, "1,204"), (118402, "118,402"),
        (1.314, "1.31"), (0.31, "0.31"), (0.000123, "0.00012"), (9.999, "10.00"), (-0.5, "−0.50"),
    ],
)  # fmt: skip
def test_numbers_keep_three_digits_or_their_integer_part(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("score", "text"), [(1.0, "100"), (0.9583, "95.8"), (0.99999, "100"), (0.0, "0.0"), (-0.1, "−10.0")]
)
def test_percent(score: float, text: str) -> None:
    assert percent(score) == text


@pytest.mark.parametrize(("difference", "text"), [(0.104, "+10.4"), (-0.031, "−3.1"), (0.0, "0.0"), (-0.0001, "0.0")])
def test_points_carry_their_sign(difference: float, text: str) -> None:
    assert points(difference) == text


def dot(x: float, y: float, kind: str = "front", label: str = "") -> Point:
    return Point(x, y, kind, tip="", label=label)


def test_the_staircase_rises_only_where_paying_more_buys_more() -> None:
    good, dominated, better, twin, dearer = (
        dot(10, 0.5),
        dot(20, 0.4),
        dot(30, 0.8),
        dot(30, 0.7),
        dot(40, 0.8),
    )
    assert rising([dearer, twin, better, dominated, good]) == [good, better]


def test_the_staircase_goes_right_then_up_and_on_to_the_end() -> None:
    drawn = plot([dot(10, 0.0), dot(20, 1.0)], [dot(10, 0.0), dot(20, 1.0)])
    assert drawn is not None
    (low, high) = ((m.x, m.y) for m in drawn.marks)
    assert [(s.x1, s.y1, s.x2, s.y2) for s in drawn.stairs] == [
        (*low, high[0], low[1]),
        (high[0], low[1], *high),
        (*high, 100.0, high[1]),
    ]
    ended = plot([dot(10, 0.0), dot(20, 1.0)], [dot(10, 0.0), dot(20, 1.0)], onwards=False)
    assert ended is not None
    assert ended.stairs == drawn.stairs[:2]


def test_costs_stay_on_a_plain_axis_where_asked() -> None:
    drawn = plot([dot(1, 0.5), dot(1000, 0.5)], [], log=False)
    assert drawn is not None
    assert drawn.x.log is False


@pytest.mark.parametrize(
    ("xs", "log", "labels"),
    [
        pytest.param([50, 399], False, "100 200 300 400", id="narrow"),
        pytest.param([50, 1000], True, "50 100 200 500 1,000", id="wide"),
        pytest.param([0, 1000], False, "0 500 1,000", id="from zero"),
        pytest.param([0.00002, 0.00003], False, "0.00002 0.000025 0.00003", id="tiny"),
        pytest.param([1, 2e6], True, "1 10 100 1,000 10,000 100,000 1,000,000", id="huge"),
    ],
)
def test_an_axis_is_logarithmic_where_costs_differ_by_much(xs: list[float], log: bool, labels: str) -> None:
    drawn = plot([dot(x, 0.5) for x in xs], [])
    assert drawn is not None
    assert drawn.x.log is log
    assert [tick.label for tick in drawn.x.ticks] == labels.split()


scores = st.floats(-5, 5) | st.sampled_from([0.0, 0.5, 1.0])
costs = st.floats(0, 1e7) | st.sampled_from([0.0, 1e-7, 0.002])
kinds = st.sampled_from(["winner", "front", "baseline", "tried"])
dots = st.builds(
    lambda x, y, kind, spread, label: Point(x, y, kind, "", label, y - spread, y + spread),
    costs,
    scores,
    kinds,
    st.floats(0, 0.5),
    st.text("ab =", max_size=30),
)


@given(st.lists(dots, min_size=1, max_size=12))
def test_everything_lies_inside_the_plot(given_points: list[Point]) -> None:
    drawn = plot(given_points, rising(given_points))
    assert drawn is not None
    places = [v for m in drawn.marks for v in (m.x, m.y, m.top, m.bottom) if v is not None]
    places += [v for s in drawn.stairs for v in (s.x1, s.y1, s.x2, s.y2)]
    places += [tick.at for axis in (drawn.x, drawn.y) for tick in axis.ticks]
    assert all(-0.01 <= v <= 100.01 for v in places)
    assert sorted(m.point.x for m in drawn.marks) == sorted(p.x for p in given_points)


def test_rounding_errors_are_not_magnified() -> None:
    drawn = plot([dot(1, 0.3), dot(2, 0.1 + 0.2)], [])
    assert drawn is not None
    assert [tick.label for tick in drawn.y.ticks] == ["28", "30", "32"]


def test_what_matters_most_is_drawn_last() -> None:
    drawn = plot([dot(1, 0.5, kind) for kind in ("winner", "tried", "front", "baseline")], [])
    assert drawn is not None
    assert [m.point.kind for m in drawn.marks] == ["tried", "baseline", "front", "winner"]


def test_labels_go_where_there_is_room_and_the_last_chooses_first() -> None:
    alone, _ = place([(50, 50, "alone"), (0, 0, "")], [])
    assert alone is not None
    assert (alone.dx, alone.anchor) == (14, "start")
    (edge,) = place([(99, 50, "at the right edge")], [])
    assert edge is not None
    assert edge.anchor == "end"
    (beside,) = place([(50, 50, "line to the right")], [(50, 50, 50, 0)])
    assert beside is not None
    assert beside.anchor == "end"
    crowded = place([(50, 50, "x" * 70), (50, 50, "winner")], [])
    assert crowded[1] is not None
    assert crowded[0] is None or crowded[0].dy != crowded[1].dy
    assert place([(50, 50, "no room" * 30)], []) == [None]
