"""What every optimizer must keep, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias
from zlib import crc32

import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.errors import NoEvidenceError
from archloom.search.optimizers import Observation, Optimizer

MakeOptimizer: TypeAlias = Callable[[Space, Sequence[str], Objective, int], Optimizer]

TASKS = tuple(f"task-{number}" for number in range(8))
OBJECTIVES = {
    "score": Objective(),
    "within a limit": Objective(within=Limits(cost_usd=0.004)),
    "front": Objective(pareto=("score", "cost_usd")),
}
_MOST_ASKS = 500


def small_space() -> Space:
    """Fifteen configurations with all that spaces have: an order, a rule, and a hole that does not always matter."""
    axes = (
        Axis("nodes.draft.model", ("small", "large")),
        Axis("nodes.draft.samples", (1, 2, 4), ordered=True),
        Axis("nodes.review.optional", (True, False)),
        Axis("nodes.review.model", ("small", "large")),
    )

    def canonical(point: Point) -> str:
        model, samples, left_out, reviewer = point
        return f"m{model}s{samples}" + ("" if left_out else f"r{reviewer}")

    return Space(axes, valid=lambda point: point[:2] != (1, 2), canonical=canonical)


def observe(space: Space, wanted: Sequence[Observation], *, fail: bool = False) -> list[Cell]:
    """Cells of a made-up world in which more is better and dearer; one in eleven fails, or all of them."""
    return [_cell(space, observation.point, task, fail) for observation in wanted for task in observation.task_ids]


def _cell(space: Space, point: Point, task: str, fail: bool) -> Cell:
    config = space.key(point)
    model, samples, left_out, _ = point
    luck = crc32(f"{config} {task}".encode()) % 1000 / 1000
    score = 0.3 + 0.2 * model + 0.1 * samples + (0.0 if left_out else 0.1) + 0.1 * luck
    if fail or int(1000 * luck) % 11 == 0:
        return Cell(config, task, None, tokens=5, cost_usd=0.0005, latency_s=0.1, calls=1, error="timeout")
    cost_usd = 0.001 * (1 + model) * (1 + samples) * (1 if left_out else 1.5) * (1 + 0.1 * luck)
    return Cell(config, task, score, tokens=20 + samples, cost_usd=cost_usd, latency_s=1 + luck, calls=1 + samples)


class OptimizerConformance:
    """Inherit, and give the fixture ``make``::

    class TestMyOptimizer(OptimizerConformance):
        @pytest.fixture
        def make(self):
            return lambda space, task_ids, objective, seed: MyOptimizer(...)
    """

    @pytest.fixture
    def make(self) -> MakeOptimizer:
        """Makes the optimizer from space, tasks, objective and seed."""
        raise LookupError(f"{type(self).__name__} must override the fixture 'make'")

    @pytest.fixture(params=list(OBJECTIVES))
    def objective(self, request: pytest.FixtureRequest) -> Objective:
        """What is looked for."""
        return OBJECTIVES[request.param]

    def test_nothing_is_recommended_without_evidence(self, make: MakeOptimizer, objective: Objective) -> None:
        with pytest.raises(NoEvidenceError):
            make(small_space(), TASKS, objective, 0).recommend()

    def test_asks_for_each_cell_once_and_ends(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        asked = _addresses(space, [step for step, _ in run(make(space, TASKS, objective, 1), space)])
        assert asked
        assert len(asked) == len(set(asked))
        assert {config for config, _ in asked} <= {space.key(point) for point in space.points()}
        assert {task for _, task in asked} <= set(TASKS)

    def test_the_same_seed_asks_the_same(self, make: MakeOptimizer, objective: Objective) -> None:
        first, second = (
            [step for step, _ in run(make(space, TASKS, objective, 2), space)]
            for space in (small_space(), small_space())
        )
        assert first == second

    def test_what_was_told_is_not_asked_for(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        optimizer = make(space, TASKS, objective, 3)
        known = observe(space, [Observation(point, TASKS[::2]) for point in space.points()[::2]])
        optimizer.tell(known)
        asked = _addresses(space, [step for step, _ in run(optimizer, space)])
        assert not set(asked) & {(cell.config, cell.task) for cell in known}

    def test_goes_on_where_every_cell_fails(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        optimizer = make(space, TASKS, objective, 4)
        told = [cell for _, cells in run(optimizer, space, fail=True) for cell in cells]
        evidence = optimizer.recommend().evidence
        assert evidence.n_failed == evidence.n_tasks > 0
        assert evidence.score.estimate == 0
        assert all(cell.failed for cell in told)

    def test_cells_that_never_come_do_not_hold_it_up(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        optimizer = make(space, TASKS, objective, 5)
        asked = _addresses(space, [step for step, _ in run(optimizer, space, lose_every=3)])
        assert len(asked) == len(set(asked))
        assert optimizer.recommend().evidence.n_tasks > 0

    def test_goes_on_where_nothing_ever_comes(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        optimizer = make(space, TASKS, objective, 6)
        assert _addresses(space, [step for step, _ in run(optimizer, space, lose_every=1)])
        with pytest.raises(NoEvidenceError):
            optimizer.recommend()

    @pytest.mark.parametrize("done", [1, 4])
    def test_a_new_one_that_is_told_the_log_goes_on_alike(
        self, make: MakeOptimizer, objective: Objective, done: int
    ) -> None:
        space = small_space()
        steps = list(run(make(space, TASKS, objective, 7), space))
        log = [cell for _, cells in steps[:done] for cell in cells]
        afresh = small_space()
        resumed = make(afresh, TASKS, objective, 7)
        resumed.tell(log)
        assert [step for step, _ in run(resumed, afresh)] == [step for step, _ in steps[done:]]

    def test_recommends_what_was_observed(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        optimizer = make(space, TASKS, objective, 8)
        told: dict[str, list[Cell]] = {}
        for _, cells in run(optimizer, space):
            for cell in cells:
                told.setdefault(cell.config, []).append(cell)
            found = optimizer.recommend()
            own = told[space.key(found.point)]
            assert {space.key(point) for point in found.front} <= set(told)
            assert found.point == found.front[0]
            assert found.evidence.n_tasks == len(own)
            assert found.evidence.n_failed == sum(cell.failed for cell in own)
            assert found.evidence.score.estimate == pytest.approx(sum(cell.value for cell in own) / len(own))
            assert found.evidence.score.low <= found.evidence.score.estimate <= found.evidence.score.high

    def test_finds_the_best_when_all_is_known(self, make: MakeOptimizer, objective: Objective) -> None:
        space = small_space()
        optimizer = make(space, TASKS, objective, 9)
        cells = observe(space, [Observation(point, TASKS) for point in space.points()])
        optimizer.tell(cells)
        assert optimizer.ask() == []
        assert set(optimizer.recommend().front) == set(_best(space, objective, cells))


def run(
    optimizer: Optimizer, space: Space, *, fail: bool = False, lose_every: int | None = None
) -> Iterator[tuple[list[Observation], list[Cell]]]:
    """Every question of an optimizer with the cells it was told, until it is done.

    Args:
        optimizer: Who asks.
        space: What it chooses from.
        fail: Whether every cell fails.
        lose_every: One cell in so many is never told.
    """
    for _ in range(_MOST_ASKS):
        wanted = optimizer.ask()
        if not wanted:
            return
        cells = observe(space, wanted, fail=fail)
        if lose_every:
            cells = [cell for number, cell in enumerate(cells) if number % lose_every]
        optimizer.tell(cells)
        yield wanted, cells
    raise AssertionError(f"{type(optimizer).__name__} asked {_MOST_ASKS} times without an end")


def _addresses(space: Space, steps: Sequence[Sequence[Observation]]) -> list[tuple[str, str]]:
    return [
        (space.key(observation.point), task) for step in steps for observation in step for task in observation.task_ids
    ]


def _best(space: Space, objective: Objective, cells: Sequence[Cell]) -> list[Point]:
    """The recommendation by brute force."""
    means = {
        point: tuple(
            sum(values) / len(TASKS)
            for values in zip(
                *((cell.value, cell.cost_usd) for cell in cells if cell.config == space.key(point)), strict=True
            )
        )
        for point in space.points()
    }
    limit = objective.within.cost_usd or float("inf")
    allowed = {point: mean for point, mean in means.items() if mean[1] <= limit}
    if not objective.pareto:
        return [max(allowed, key=lambda point: allowed[point][0])]
    return [
        point
        for point, (score, cost) in allowed.items()
        if not any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in allowed.values())
    ]
