"""The Gaussian process of ``gp``, and where it looks."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.optimizers import make_optimizer
from archloom.search.optimizers._surrogate import Surrogate, most_promising

SPACE = Space([Axis("samples", tuple(2**power for power in range(9)), ordered=True), Axis("model", tuple("abc"))])


def level(point: Point) -> float:
    return 0.8 - 0.01 * (point[0] - 5) ** 2 - 0.1 * abs(point[1] - 1)


def seen(points: list[Point]) -> tuple[np.ndarray, np.ndarray]:
    return SPACE.encode(points), np.array([level(point) for point in points])


def test_it_knows_what_it_saw_and_doubts_what_is_far() -> None:
    points = [point for point in SPACE.points() if point[1] == 0 and point[0] < 5]
    surrogate = Surrogate(*seen(points))
    mean, deviation = surrogate.predict(SPACE.encode(points))
    np.testing.assert_allclose(mean, [level(point) for point in points], atol=0.01)
    _, far = surrogate.predict(SPACE.encode([(5, 0), (8, 2)]))
    assert deviation.max() < far[0] < far[1]


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_equal_values_leave_it_able_to_choose(value: float) -> None:
    points = list(SPACE.points()[:6])
    mean, deviation = Surrogate(SPACE.encode(points), np.full(6, value)).predict(SPACE.encode([(8, 2)]))
    assert mean[0] == pytest.approx(value)
    assert deviation[0] > 0


def test_predictions_improve_on_the_mean() -> None:
    rng = np.random.default_rng(0)
    points = [SPACE.points()[row] for row in rng.permutation(27)[:14]]
    rest = [point for point in SPACE.points() if point not in points]
    mean, _ = Surrogate(*seen(points)).predict(SPACE.encode(rest))
    truth = np.array([level(point) for point in rest])
    assert np.abs(mean - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()


def test_the_best_of_what_is_left_is_proposed_when_nearly_all_is_known() -> None:
    rest = [(5, 1), (0, 2), (8, 0)]
    points = [point for point in SPACE.points() if point not in rest]
    means = {"score": seen(points)[1]}
    assert most_promising(SPACE, Objective(), points, means, rest, np.random.default_rng(0)) == (5, 1)


@pytest.mark.parametrize("within", [True, False], ids=["some within", "none within"])
def test_a_limit_turns_it_to_what_is_cheap(within: bool) -> None:
    points = [point for point in SPACE.points() if point[1] != 1 and (within or point[0] > 3)]
    tokens = np.array([2.0 ** point[0] for point in points])
    means = {"score": seen(points)[1], "tokens": tokens}
    objective = Objective(within=Limits(tokens=4.5))
    rest = [(row, 1) for row in range(9)]
    chosen = most_promising(SPACE, objective, points, means, rest, np.random.default_rng(0))
    assert chosen[0] <= (2 if within else 3)
    free = most_promising(SPACE, Objective(), points, means, rest, np.random.default_rng(0))
    assert not within or free[0] > 3


def evaluate(name: str, objective: Objective, count: int, seed: int) -> list[Point]:
    optimizer = make_optimizer(name, SPACE, ("t",), objective, seed=seed)
    order: list[Point] = []
    for _ in range(count):
        (item,) = optimizer.ask()
        order.append(item.point)
        optimizer.tell([Cell(SPACE.key(item.point), "t", level(item.point), 2 ** item.point[0], 0.0, 1.0, 1)])
    return order


def test_it_finds_the_best_sooner_than_random_search() -> None:
    places = {
        name: [evaluate(name, Objective(), 27, seed).index((5, 1)) for seed in range(8)] for name in ("gp", "random")
    }
    assert np.mean(places["gp"]) < 0.8 * np.mean(places["random"])
    assert max(places["gp"]) < 14


def test_for_a_front_it_looks_at_cheap_and_at_good_ones() -> None:
    front = {(row, 1) for row in range(6)}
    found = {
        name: np.mean(
            [len(front & set(evaluate(name, Objective(pareto=("score", "tokens")), 18, seed))) for seed in range(6)]
        )
        for name in ("gp", "random")
    }
    assert found["gp"] > found["random"] + 1
