"""Archon's search: sweeps in the order of the document, a development sample, and a price for cost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.errors import OptimizerOptionsError
from archloom.search.optimizers import Observation, Optimizer, make_optimizer
from archloom.testing._optimizers import small_space

TASKS = tuple(f"t{number:02}" for number in range(10))
SPACE = Space(
    [
        Axis("draft.model", ("a", "b", "c")),
        Axis("draft.samples", (1, 2, 4, 8), ordered=True),
        Axis("review.optional", (True, False)),
    ]
)
Score = Callable[[Point], float]


def worth(point: Point) -> float:
    """The best is model b with 4 samples and a review."""
    return 0.2 + 0.2 * (point[0] == 1) + 0.1 * min(point[1], 2) - 0.02 * (point[1] == 3) + 0.1 * (point[2] == 0)


def tokens(point: Point) -> int:
    return int(10 * 2 ** point[1])


def search(optimizer: Optimizer, space: Space = SPACE, score: Score = worth) -> list[list[Observation]]:
    steps = []
    while wanted := optimizer.ask():
        steps.append(wanted)
        optimizer.tell(
            [
                Cell(space.key(item.point), task, score(item.point), tokens(item.point), 0.0, 1.0, 1)
                for item in wanted
                for task in item.task_ids
            ]
        )
    return steps


def test_each_hole_is_swept_in_the_order_of_the_document_with_the_others_held() -> None:
    first, second, third, last = search(make_optimizer("itas", SPACE, TASKS, Objective()))
    assert [item.point for item in first] == [(0, 0, 1), (1, 0, 1), (2, 0, 1)]
    assert [item.point for item in second] == [(1, 1, 1), (1, 2, 1), (1, 3, 1)]
    assert [item.point for item in third] == [(1, 2, 0)]
    assert last == [Observation((1, 2, 0), TASKS[2:])]


def test_only_the_winner_leaves_the_development_sample() -> None:
    optimizer = make_optimizer("itas", SPACE, TASKS, Objective(), options={"share": 0.35})
    *sweeps, last = search(optimizer)
    assert {item.task_ids for sweep in sweeps for item in sweep} == {TASKS[:4]}
    assert last == [Observation((1, 2, 0), TASKS[4:])]
    assert optimizer.recommend().point == (1, 2, 0)
    assert optimizer.recommend().evidence.n_tasks == len(TASKS)


@pytest.mark.parametrize(
    ("weight", "best"),
    [pytest.param(0.0, (1, 2, 0), id="free"), pytest.param(0.02, (1, 0, 0), id="dear")],
)
@pytest.mark.parametrize("variant", ["greedy", "gp"])
def test_lambda_prices_the_cost(weight: float, best: Point, variant: str) -> None:
    options = {"variant": variant, "cost_weight": weight, "cost": "tokens", "evaluations": 24}
    optimizer = make_optimizer("itas", SPACE, TASKS, Objective(), options=options)
    search(optimizer)
    assert optimizer.recommend().point == best


def test_lambda_counts_in_the_recommendation_of_a_search_that_was_cut_short() -> None:
    options = {"cost_weight": 0.02}
    whole = make_optimizer("itas", SPACE, TASKS, Objective(), options=options)
    sweeps = search(whole)[:-1]
    cut = make_optimizer("itas", SPACE, TASKS, Objective(), options=options)
    for sweep in sweeps:
        cut.tell(
            [
                Cell(SPACE.key(item.point), task, worth(item.point), tokens(item.point), 0.0, 1.0, 1)
                for item in sweep
                for task in item.task_ids
            ]
        )
    assert cut.recommend().point == (1, 0, 0)
    assert cut.recommend().evidence.score.estimate == pytest.approx(worth((1, 0, 0)))


def test_limits_are_kept_to_in_every_sweep() -> None:
    optimizer = make_optimizer("itas", SPACE, TASKS, Objective(within=Limits(tokens=20)))
    search(optimizer)
    assert optimizer.recommend().point == (1, 1, 0)


def test_for_a_front_all_of_it_is_observed_on_all_tasks() -> None:
    optimizer = make_optimizer("itas", SPACE, TASKS, Objective(pareto=("score", "tokens")))
    *_, last = search(optimizer)
    assert {item.point for item in last} == {(1, 2, 0), (1, 1, 1), (1, 0, 1)}
    assert set(optimizer.recommend().front) == {item.point for item in last}


def test_it_starts_where_the_rules_allow_it() -> None:
    space = Space(SPACE.axes, valid=lambda point: point[0] != 0 or point[1] > 1)
    first, *_ = search(make_optimizer("itas", space, TASKS, Objective()), space)
    assert all(space.valid(item.point) for item in first)
    assert {item.point[2] for item in first} == {1}


def test_holes_of_a_node_that_is_left_out_are_not_swept() -> None:
    space = small_space()
    steps = search(make_optimizer("itas", space, TASKS, Objective()), space, lambda point: 0.5)
    asked = [space.key(item.point) for step in steps[:-1] for item in step]
    assert len(asked) == len(set(asked))
    assert [len(step) for step in steps] == [2, 2, 1, 1]


def test_the_gp_variant_looks_at_so_many_configurations_and_finds_the_best() -> None:
    options = {"variant": "gp", "startup": 4, "evaluations": 14}
    optimizer = make_optimizer("itas", SPACE, TASKS, Objective(), seed=1, options=options)
    *steps, last = search(optimizer)
    assert len(steps) == 14
    assert all(len(step) == 1 and step[0].task_ids == TASKS[:2] for step in steps)
    assert last == [Observation((1, 2, 0), TASKS[2:])]


def test_a_cost_that_nobody_knows_cannot_be_priced() -> None:
    optimizer = make_optimizer("itas", SPACE, TASKS, Objective(), options={"cost_weight": 1.0, "cost": "flops"})
    with pytest.raises(OptimizerOptionsError, match=r"'flops' is not known"):
        search(optimizer)
