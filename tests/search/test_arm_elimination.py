"""Successive elimination over growing batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.optimizers import Observation, Optimizer, make_optimizer

TASKS = tuple(f"t{number:02}" for number in range(40))
SPACE = Space([Axis("model", ("a", "b", "c", "d"))])
Scores = dict[Point, list[float]]
BASE: Scores = {
    (0,): [1.0, 1.0, 1.0, 0.0] * 10,
    (1,): [1.0, 0.0, 1.0, 0.0] * 10,
    (2,): [0.0, 0.0, 1.0, 0.0] * 10,
    (3,): [0.0, 0.0, 0.0, 0.0] * 10,
}


def rounds(optimizer: Optimizer, scores: Scores, tokens: Callable[[Point], int] = lambda point: 1) -> list[set[Point]]:
    """Who was asked for in each round."""
    steps = []
    while wanted := optimizer.ask():
        steps.append(wanted)
        optimizer.tell([cell(item.point, task, scores, tokens) for item in wanted for task in item.task_ids])
    assert [len(step[0].task_ids) for step in steps] == [4, 8, 16, 12][: len(steps)]
    return [{item.point for item in step} for step in steps]


def cell(point: Point, task: str, scores: Scores, tokens: Callable[[Point], int]) -> Cell:
    return Cell(SPACE.key(point), task, scores[point][TASKS.index(task)], tokens(point), 0.0, 1.0, 1)


def survivors(scores: Scores, tasks: int) -> set[Point]:
    """The rule as the paper has it: mean plus standard error against mean minus standard error."""
    seen = {point: np.array(own[:tasks]) for point, own in scores.items()}
    error = {point: own.std(ddof=1) / np.sqrt(tasks) for point, own in seen.items()}
    best = max(own.mean() - error[point] for point, own in seen.items())
    return {point for point, own in seen.items() if own.mean() + error[point] >= best}


def test_batches_double_and_the_clearly_worse_go() -> None:
    asked = rounds(make_optimizer("arm_elimination", SPACE, TASKS, Objective()), BASE)
    assert asked[0] == set(BASE)
    alive = dict(BASE)
    for tasks, who in zip((4, 12, 28), asked[1:], strict=False):
        alive = {point: alive[point] for point in survivors(alive, tasks)}
        assert who == set(alive)
    assert (3,) not in asked[1]
    assert len(asked[-1]) < len(asked[1])


def test_it_ends_when_one_is_left() -> None:
    scores = {point: [float(point == (2,))] * 40 for point in SPACE.points()}
    optimizer = make_optimizer("arm_elimination", SPACE, TASKS, Objective())
    assert rounds(optimizer, scores) == [set(SPACE.points())]
    assert optimizer.recommend().point == (2,)


def test_equals_are_observed_to_the_end() -> None:
    scores = {point: [0.5] * 40 for point in SPACE.points()}
    assert rounds(make_optimizer("arm_elimination", SPACE, TASKS, Objective()), scores) == [set(SPACE.points())] * 4


def test_the_order_within_a_batch_is_random_and_fixed_by_the_seed() -> None:
    orders = [
        tuple(item.point for item in make_optimizer("arm_elimination", SPACE, TASKS, Objective(), seed=seed).ask())
        for seed in (0, 0, 1, 2, 3)
    ]
    assert orders[0] == orders[1]
    assert len(set(orders)) > 2


@pytest.mark.parametrize(
    ("objective", "tokens", "last"),
    [
        pytest.param(Objective(within=Limits(tokens=5)), lambda p: 9 if p == (0,) else 1, (1,), id="over the limit"),
        pytest.param(Objective(pareto=("score", "tokens")), lambda p: 4 - p[0], (3,), id="cheaper of a front"),
    ],
)
def test_only_one_that_the_objective_would_take_drives_another_out(
    objective: Objective, tokens: Callable[[Point], int], last: Point
) -> None:
    plain = rounds(make_optimizer("arm_elimination", SPACE, TASKS, Objective()), BASE, tokens)
    assert len(plain) == 3
    kept = rounds(make_optimizer("arm_elimination", SPACE, TASKS, objective), BASE, tokens)
    assert last in kept[3]


def test_one_that_was_never_observed_is_not_dropped() -> None:
    optimizer = make_optimizer("arm_elimination", SPACE, TASKS, Objective())
    lost = optimizer.ask()[0].point
    optimizer.tell([cell(point, task, BASE, lambda p: 1) for point in BASE if point != lost for task in TASKS[:4]])
    assert Observation(lost, TASKS[4:12]) in optimizer.ask()


def test_a_large_space_starts_with_a_random_pool() -> None:
    space = Space([Axis(f"hole{number}", tuple(range(6))) for number in range(7)])
    wanted = make_optimizer("arm_elimination", space, TASKS, Objective(), options={"pool": 30}).ask()
    assert len({item.point for item in wanted}) == len(wanted) == 30


def test_one_task_alone_drops_nobody() -> None:
    optimizer = make_optimizer("arm_elimination", SPACE, TASKS[:10], Objective())
    first = optimizer.ask()
    assert {item.task_ids for item in first} == {TASKS[:1]}
    optimizer.tell([cell(item.point, TASKS[0], BASE, lambda point: 1) for item in first])
    assert {item.point for item in optimizer.ask()} == set(BASE)
