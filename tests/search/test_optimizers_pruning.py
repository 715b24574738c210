"""Evaluations that a pruner cuts short."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.optimizers import Observation, Optimizer, make_optimizer

TASKS = tuple(f"t{number:02}" for number in range(40))
SPACE = Space([Axis("model", tuple(f"m{number}" for number in range(9)))])
Score = Callable[[Point, int], float]


def gap(point: Point, task: int) -> float:
    """Each model is a little worse than the one before it; tasks differ more, and none is the same for all."""
    wave = float(np.sin(7 * task)) + 0.3 * float(np.sin(3 * task + 5 * point[0]))
    return float(np.clip(0.6 - 0.06 * point[0] + 0.15 * wave, 0, 1))


def search(
    optimizer: Optimizer, score: Score = gap, *, tokens: Sequence[int] = (1,) * 9, one_by_one: bool = False
) -> dict[Point, list[str]]:
    """Runs to the end; the tasks observed by configuration, in the order of the first ones."""
    seen: dict[Point, list[str]] = {}
    while wanted := optimizer.ask():
        for item in wanted:
            seen.setdefault(item.point, []).extend(item.task_ids)
        cells = [
            Cell(SPACE.key(item.point), task, score(item.point, TASKS.index(task)), tokens[item.point[0]], 0.0, 1.0, 1)
            for item in wanted
            for task in item.task_ids
        ]
        for part in [[cell] for cell in cells] if one_by_one else [cells]:
            optimizer.tell(part)
    return seen


@pytest.mark.parametrize("name", ["random", "tpe"])
@pytest.mark.parametrize("pruner", ["wilcoxon", "hyperband"])
def test_hopeless_evaluations_are_cut_short_and_the_best_is_not(name: str, pruner: str) -> None:
    optimizer = make_optimizer(name, SPACE, TASKS, Objective(), seed=1, options={"pruner": pruner, "step": 4})
    seen = search(optimizer)
    assert set(seen) == set(SPACE.points())
    assert len(seen[(0,)]) == len(TASKS)
    assert sum(map(len, seen.values())) < 0.85 * len(SPACE.points()) * len(TASKS)
    assert all(tasks == list(TASKS[: len(tasks)]) and len(tasks) % 4 == 0 for tasks in seen.values())
    assert optimizer.recommend().point == (0,)


def test_equals_are_not_cut_short() -> None:
    optimizer = make_optimizer("random", SPACE, TASKS, Objective(), options={"pruner": "wilcoxon"})
    assert {len(tasks) for tasks in search(optimizer, lambda point, task: 0.5).values()} == {len(TASKS)}


@pytest.mark.parametrize("pruner", ["wilcoxon", "hyperband"])
def test_verdicts_do_not_depend_on_how_many_cells_come_at_a_time(pruner: str) -> None:
    at_once, one_by_one = (
        search(
            make_optimizer("random", SPACE, TASKS, Objective(), seed=2, options={"pruner": pruner}), one_by_one=single
        )
        for single in (False, True)
    )
    assert at_once == one_by_one


@pytest.mark.parametrize("pruner", ["wilcoxon", "hyperband"])
def test_what_was_given_up_stays_so_for_a_resumed_search(pruner: str) -> None:
    options = {"pruner": pruner, "step": 4}
    first = make_optimizer("random", SPACE, TASKS, Objective(), seed=3, options=options)
    log: list[Cell] = []
    for _ in range(30):
        for item in first.ask():
            cells = [
                Cell(SPACE.key(item.point), task, gap(item.point, TASKS.index(task)), 1, 0.0, 1.0, 1)
                for task in item.task_ids
            ]
            first.tell(cells)
            log += cells
    resumed = make_optimizer("random", SPACE, TASKS, Objective(), seed=3, options=options)
    resumed.tell(log)
    assert search(resumed) == search(first)


@pytest.mark.parametrize("pruner", ["wilcoxon", "hyperband"])
def test_for_a_front_the_cheaper_are_finished_and_only_the_dearer_may_be_cut(pruner: str) -> None:
    front = Objective(pareto=("score", "tokens"))
    options = {"pruner": pruner, "step": 4}
    cheaper = make_optimizer("random", SPACE, TASKS, front, seed=1, options=options)
    assert {len(tasks) for tasks in search(cheaper, tokens=range(10, 1, -1)).values()} == {len(TASKS)}
    dearer = make_optimizer("random", SPACE, TASKS, front, seed=1, options=options)
    assert min(len(tasks) for tasks in search(dearer, tokens=range(1, 10)).values()) < len(TASKS)
    assert dearer.recommend().front == ((0,),)


@pytest.mark.parametrize("pruner", ["wilcoxon", "hyperband"])
def test_nothing_is_cut_for_one_that_exceeds_a_limit(pruner: str) -> None:
    objective = Objective(within=Limits(tokens=5))
    optimizer = make_optimizer("random", SPACE, TASKS, objective, seed=1, options={"pruner": pruner, "step": 4})
    seen = search(optimizer, tokens=(9, 9, 9, 1, 1, 1, 1, 1, 1))
    assert len(seen[(3,)]) == len(TASKS)
    assert min(map(len, seen.values())) < len(TASKS)
    assert optimizer.recommend().point == (3,)


def test_tpe_learns_from_what_was_cut_short() -> None:
    """Half of the models are hopeless at the first look: the estimator turns to the others."""
    space = Space([Axis("model", tuple(range(40)), ordered=True)])
    optimizer = make_optimizer(
        "tpe", space, TASKS, Objective(), seed=0, options={"pruner": "wilcoxon", "step": 8, "startup": 8}
    )
    order: list[int] = []
    while len(order) < 24 and (wanted := optimizer.ask()):
        (item,) = wanted
        order = list(dict.fromkeys([*order, item.point[0]]))
        level = item.point[0] / 50
        optimizer.tell(
            [
                Cell(space.key(item.point), task, level + 0.004 * (TASKS.index(task) % 7), 1, 0.0, 1.0, 1)
                for task in item.task_ids
            ]
        )
    assert np.mean(order[8:]) > np.mean(order[:8]) + 4


def test_a_retried_cell_does_not_disturb_the_pruner() -> None:
    optimizer = make_optimizer("random", SPACE, TASKS, Objective(), options={"pruner": "wilcoxon", "step": 2})
    (item,) = optimizer.ask()
    failed = Cell(SPACE.key(item.point), item.task_ids[0], None, 1, 0.0, 1.0, 1, error="timeout")
    optimizer.tell([failed])
    optimizer.tell([Cell(SPACE.key(item.point), item.task_ids[0], 0.7, 1, 0.0, 1.0, 1)])
    assert optimizer.recommend().evidence.score.estimate == pytest.approx(0.7)
    assert optimizer.ask() == [Observation(item.point, TASKS[2:4])]
