"""Optimizers behind their common door."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from subprocess import run as run_process

import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Space
from archloom.search.errors import (
    OptimizerOptionsError,
    UnknownConfigurationError,
    UnknownOptimizerError,
    UnknownTaskError,
)
from archloom.search.optimizers import Observation, Optimizer, make_optimizer, optimizer_types, register_optimizer
from archloom.testing._optimizers import MakeOptimizer, OptimizerConformance, run, small_space


def maker(name: str, **options: object) -> MakeOptimizer:
    def make(space: Space, task_ids: Sequence[str], objective: Objective, seed: int) -> Optimizer:
        return make_optimizer(name, space, task_ids, objective, seed=seed, options=options)

    return make


class TestRandom(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("random")


class TestTPE(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("tpe", startup=3)


class TestRandomWithWilcoxon(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("random", pruner="wilcoxon", step=2)


class TestRandomWithHyperband(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("random", pruner="hyperband", step=2)


class TestTPEWithWilcoxon(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("tpe", startup=3, pruner="wilcoxon", step=2)


class TestTPEWithHyperband(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("tpe", startup=3, pruner="hyperband", step=2)


class TestNSGA2(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("nsga2", population=3)


class TestGP(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("gp", startup=3)


class TestGrid(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("grid")


class TestArmElimination(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("arm_elimination")


class TestMatrixUCB(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("matrix_ucb", batch=3, ensemble=4)


class TestITAS(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("itas", share=0.4)


class TestITASWithGP(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("itas", variant="gp", startup=3, evaluations=8, share=0.4)


class TestRace(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("race", batch=3, first_tasks=2)


TASKS = ("a", "b", "c")


FULL = ["gp", "grid", "nsga2", "random", "tpe"]


@pytest.mark.parametrize("name", FULL)
def test_full_evaluations_ask_for_one_configuration_on_all_tasks(name: str) -> None:
    space = small_space()
    steps = [step for step, _ in run(make_optimizer(name, space, TASKS, Objective()), space)]
    assert all(len(step) == 1 and step[0].task_ids == TASKS for step in steps)
    assert len(steps) == len(space.points())


def test_random_picks_are_independent_of_each_other() -> None:
    space = Space([Axis("hole", tuple(range(50)))])
    steps = []
    for seed in range(300):
        optimizer = make_optimizer("random", space, ("a",), Objective(), seed=seed)
        (first,), (second,) = optimizer.ask(), optimizer.ask()
        steps.append(second.point[0] - first.point[0])
    assert sum(abs(step) <= 2 for step in steps) < 0.2 * len(steps)
    assert abs(sum(steps)) / len(steps) < 5


@pytest.mark.parametrize("name", FULL)
def test_an_interrupted_evaluation_is_finished_first(name: str) -> None:
    space = small_space()
    optimizer = make_optimizer(name, space, TASKS, Objective())
    begun = space.points()[3]
    optimizer.tell([cell_of(space, begun, "b")])
    assert optimizer.ask() == [Observation(begun, ("a", "c"))]


@pytest.mark.parametrize("name", [*FULL, "arm_elimination", "itas"])
def test_a_configuration_seen_on_few_tasks_does_not_beat_a_fully_seen_one(name: str) -> None:
    space = small_space()
    optimizer = make_optimizer(name, space, TASKS, Objective())
    lucky, solid = space.points()[:2]
    optimizer.tell([cell_of(space, solid, task, 0.6) for task in TASKS] + [cell_of(space, lucky, "a", 1.0)])
    assert optimizer.recommend().point == solid


@pytest.mark.parametrize("name", [*FULL, "arm_elimination", "itas", "matrix_ucb", "race"])
def test_nothing_within_the_limits_recommends_the_nearest(name: str) -> None:
    space = small_space()
    objective = Objective(within=Limits(tokens=10))
    optimizer = make_optimizer(name, space, TASKS, objective)
    good, near = space.points()[:2]
    optimizer.tell([cell_of(space, good, task, 0.9, tokens=50) for task in TASKS])
    optimizer.tell([cell_of(space, near, task, 0.1, tokens=12) for task in TASKS])
    assert optimizer.recommend().point == near


@pytest.mark.parametrize("name", ["arm_elimination", "gp", "itas", "matrix_ucb", "nsga2", "race", "random", "tpe"])
def test_a_space_too_large_to_list_is_searched_and_resumed(name: str) -> None:
    axes = [Axis(f"hole{number}", tuple(range(6))) for number in range(7)]
    options = {"pool": 20} if name in {"arm_elimination", "matrix_ucb", "race"} else {}
    space, afresh = Space(axes), Space(axes)
    optimizer = make_optimizer(name, space, TASKS, Objective(), seed=1, options=options)
    log: list[Cell] = []
    asked: list[Observation] = []
    for _ in range(6):
        wanted = optimizer.ask()
        asked += wanted
        cells = [cell_of(space, item.point, task, sum(item.point) / 35) for item in wanted for task in item.task_ids]
        optimizer.tell(cells)
        log += cells
    resumed = make_optimizer(name, afresh, TASKS, Objective(), seed=1, options=options)
    with pytest.raises(UnknownConfigurationError):
        resumed.tell(log)
    for observation in asked:
        afresh.key(observation.point)
    resumed.tell(log)
    assert resumed.ask() == optimizer.ask()
    assert resumed.recommend() == optimizer.recommend()


def test_tpe_beats_its_own_random_start() -> None:
    axes = [Axis(f"hole{number}", tuple(range(8)), ordered=number % 2 == 0) for number in range(4)]
    space = Space(axes)
    optimizer = make_optimizer("tpe", space, ("a",), Objective(), seed=0)
    scores: list[float] = []
    for _ in range(40):
        (observation,) = optimizer.ask()
        scores.append(1 - sum((index - 5) ** 2 for index in observation.point) / 100)
        optimizer.tell([cell_of(space, observation.point, "a", scores[-1])])
    assert sum(scores[10:]) / 30 > sum(scores[:10]) / 10 + 0.1


def test_tpe_turns_to_configurations_within_the_limits() -> None:
    space = Space([Axis(f"hole{number}", tuple(range(8)), ordered=True) for number in range(3)])
    optimizer = make_optimizer("tpe", space, ("a",), Objective(within=Limits(tokens=8)), seed=0)
    tokens: list[int] = []
    for _ in range(40):
        (observation,) = optimizer.ask()
        tokens.append(sum(observation.point))
        optimizer.tell([cell_of(space, observation.point, "a", tokens[-1] / 21, tokens=tokens[-1])])
    assert sum(used <= 8 for used in tokens[20:]) > sum(used <= 8 for used in tokens[:20])


def test_optuna_stays_quiet_and_keeps_the_users_verbosity() -> None:
    code = """
import optuna
from archloom.graphs import Objective
from archloom.search.optimizers import make_optimizer
from archloom.testing._optimizers import run, small_space

optuna.logging.set_verbosity(optuna.logging.DEBUG)
space = small_space()
steps = list(run(make_optimizer("tpe", space, ("a",), Objective(), options={"startup": 2}), space))
assert len(steps) == 15
assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
"""
    done = run_process([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_heavy_libraries_are_not_imported_with_the_optimizers() -> None:
    code = "import archloom.search.optimizers, sys; print([m for m in ('optuna', 'scipy') if m in sys.modules])"
    done = run_process([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownOptimizerError, match="Did you mean 'race'"):
        make_optimizer("rase", small_space(), TASKS, Objective())


@pytest.mark.parametrize(
    ("options", "what"),
    [
        pytest.param({"btach": 3}, "btach: Extra inputs", id="unknown option"),
        pytest.param({"batch": 0}, "batch: Input should be greater", id="bad value"),
    ],
)
def test_bad_options_are_named_with_those_there_are(options: dict[str, object], what: str) -> None:
    with pytest.raises(OptimizerOptionsError, match=f"{what}.*'first_tasks'"):
        make_optimizer("race", small_space(), TASKS, Objective(), options=options)


def test_whole_numbers_from_a_document_may_come_as_floats() -> None:
    space = small_space()
    optimizer = make_optimizer("race", space, TASKS, Objective(), options={"first_tasks": 2.0})
    assert {len(observation.task_ids) for observation in optimizer.ask()} == {2}


def test_two_classes_cannot_share_a_name() -> None:
    race = optimizer_types()["race"]
    assert register_optimizer("race")(race) is race
    with pytest.raises(ValueError, match="registered twice"):
        register_optimizer("race")(optimizer_types()["tpe"])


def test_cells_of_strangers_are_refused() -> None:
    optimizer = make_optimizer("random", small_space(), TASKS, Objective())
    with pytest.raises(UnknownConfigurationError):
        optimizer.tell([Cell("elsewhere", "a", 1.0, 1, 0.0, 0.0, 1)])
    with pytest.raises(UnknownTaskError):
        optimizer.tell([cell_of(small_space(), (0, 0, 0, 0), "z")])


def cell_of(space: Space, point: tuple[int, ...], task: str, score: float = 0.5, *, tokens: int = 1) -> Cell:
    return Cell(space.key(point), task, score, tokens, cost_usd=0.001, latency_s=0.1, calls=1)
