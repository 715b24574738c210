"""Generations: what is bred from the best is better than what came first."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.optimizers import make_optimizer

SPACE = Space([Axis(f"hole{number}", tuple(range(6)), ordered=number % 2 == 0) for number in range(5)])


def evaluate(objective: Objective, seed: int, count: int = 50, population: int = 10) -> list[Point]:
    optimizer = make_optimizer("nsga2", SPACE, ("t",), objective, seed=seed, options={"population": population})
    order: list[Point] = []
    for _ in range(count):
        (item,) = optimizer.ask()
        order.append(item.point)
        score = 1 - sum((index - 4) ** 2 for index in item.point) / 100
        optimizer.tell([Cell(SPACE.key(item.point), "t", score, sum(item.point), 0.0, 1.0, 1)])
    return order


def test_generations_get_better() -> None:
    away = [[sum((index - 4) ** 2 for index in point) for point in evaluate(Objective(), seed)] for seed in range(4)]
    first, later = np.mean([run[:10] for run in away]), np.mean([run[20:] for run in away])
    assert later < 0.6 * first


def test_children_are_made_of_their_parents_choices() -> None:
    order = evaluate(Objective(), 1, count=20)
    options = [{point[axis] for point in order[:10]} for axis in range(5)]
    inherited = [point[axis] in options[axis] for point in order[10:] for axis in range(5)]
    assert np.mean(inherited) > 0.9


@pytest.mark.parametrize(
    ("objective", "few"),
    [
        pytest.param(Objective(within=Limits(tokens=10)), 10, id="within a limit"),
        pytest.param(Objective(pareto=("score", "tokens")), 6, id="front", marks=pytest.mark.slow),
    ],
)
def test_limits_and_fronts_draw_it_to_what_is_cheap(objective: Objective, few: int) -> None:
    cheap = [[sum(point) <= few for point in evaluate(objective, seed)] for seed in range(4)]
    plain = [[sum(point) <= few for point in evaluate(Objective(), seed)] for seed in range(4)]
    assert np.mean([run[20:] for run in cheap]) > np.mean([run[20:] for run in plain]) + 0.05


def test_a_generation_has_as_many_members_as_asked_for() -> None:
    small, large = (evaluate(Objective(), 3, count=30, population=size) for size in (5, 15))
    assert small[:5] == large[:5]
    assert small[5:15] != large[5:15]
