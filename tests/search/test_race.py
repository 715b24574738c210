"""The default optimizer: its beliefs against dense linear algebra, its dropping against the null, its choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._pareto import non_dominated
from archloom.search._space import Axis, Point, Space
from archloom.search._table import Table, TableEvaluator
from archloom.search.optimizers import Observation, Optimizer, make_optimizer
from archloom.search.optimizers._beliefs import _stage
from archloom.search.optimizers._design import balanced_design
from archloom.search.optimizers._elimination import dropped, log_evidence
from archloom.search.optimizers._fit import fit_variances
from archloom.search.optimizers._posterior import Kernels, Posterior, Variances
from archloom.testing._optimizers import small_space

# --- beliefs ---------------------------------------------------------------------------------------------------

GRID = Space([Axis("a", ("x", "y", "z")), Axis("b", (1, 2, 4), ordered=True)])
VARIANCES = Variances(noise=0.1, task=0.06, main=0.03, pair=0.01, own=0.004, level=1.0)


def kernels() -> Kernels:
    return Kernels.of(GRID.encode(GRID.points()), GRID.blocks)


@st.composite
def partly_observed(draw: st.DrawFn) -> np.ndarray:
    """A table of nine configurations and up to eight tasks with holes anywhere, at least one cell."""
    tasks = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.random((9, tasks))
    scores[rng.random(scores.shape) < draw(st.floats(0, 1))] = np.nan
    scores[0, 0] = 0.5
    return scores


def dense(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and covariance of the values, and the deviance, from the joint Gaussian of all cells."""
    rows, columns = (axis.ravel() for axis in np.indices(scores.shape))
    prior = (
        kernels().covariance(VARIANCES)[np.ix_(rows, rows)]
        + VARIANCES.task * (columns[:, None] == columns)
        + VARIANCES.noise * np.eye(scores.size)
    )
    seen = ~np.isnan(scores.ravel())
    centre = np.nanmean(scores)
    residual = scores.ravel()[seen] - centre
    gain = prior[:, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)])
    average = np.kron(np.eye(len(scores)), np.full((1, scores.shape[1]), 1 / scores.shape[1]))
    mean = centre + average @ gain @ residual
    covariance = average @ (prior - gain @ prior[seen]) @ average.T
    own = prior[np.ix_(seen, seen)]
    return mean, covariance, float(np.linalg.slogdet(own)[1] + residual @ np.linalg.solve(own, residual))


@given(partly_observed())
@settings(deadline=None)
def test_beliefs_are_those_of_the_joint_gaussian(scores: np.ndarray) -> None:
    posterior = Posterior(scores, kernels(), VARIANCES)
    mean, covariance, deviance = dense(scores)
    np.testing.assert_allclose(posterior.value, mean, atol=1e-7)
    np.testing.assert_allclose(posterior.value_cov(range(9)), covariance, atol=1e-7)
    assert posterior.deviance() == pytest.approx(deviance, abs=1e-5)


def test_what_is_fully_observed_is_known() -> None:
    scores = np.full((9, 6), np.nan)
    scores[4] = [1, 0, 1, 1, 0, 1]
    posterior = Posterior(scores, kernels(), VARIANCES)
    assert posterior.value[4] == pytest.approx(4 / 6)
    known, open_ = np.diag(posterior.value_cov([4, 0]))
    assert known == pytest.approx(0, abs=1e-12)
    assert open_ > 0.01
    assert np.ptp(posterior.draw_values(np.random.default_rng(0), 50)[4]) == pytest.approx(0, abs=1e-12)


def test_draws_have_the_mean_and_covariance_of_the_beliefs() -> None:
    scores = np.random.default_rng(0).random((9, 8))
    scores[:5, 3:] = np.nan
    posterior = Posterior(scores, kernels(), VARIANCES)
    draws = posterior.draw_values(np.random.default_rng(1), 20_000)
    np.testing.assert_allclose(draws.mean(axis=1), posterior.value, atol=0.01)
    np.testing.assert_allclose(np.cov(draws), posterior.value_cov(range(9)), atol=0.0007)


def test_fitted_variances_find_what_made_the_table() -> None:
    space = Space([Axis("a", tuple(range(12))), Axis("b", tuple(range(12)))])
    rng = np.random.default_rng(3)
    true = Variances(noise=0.09, task=0.04, main=0.04, pair=0.0001, own=0.0001)
    alike = Kernels.of(space.encode(space.points()), space.blocks)
    level = np.linalg.cholesky(alike.covariance(true) - true.level + 1e-9 * np.eye(144)) @ rng.normal(size=144)
    scores = level[:, None] + rng.normal(0, 0.2, 60) + rng.normal(0, 0.3, (144, 60))
    scores[rng.random(scores.shape) < 0.5] = np.nan
    found = fit_variances(scores, alike)
    assert found.noise == pytest.approx(true.noise, rel=0.5)
    assert found.task == pytest.approx(true.task, rel=0.5)
    assert true.main / 3 < found.main < true.main * 3
    assert found.pair + found.own < 0.2 * found.main


def test_mean_costs_are_predicted_from_logs_without_bias() -> None:
    space = Space([Axis("a", tuple(range(6))), Axis("b", tuple(range(6)))])
    rng = np.random.default_rng(4)
    alike = Kernels.of(space.encode(space.points()), space.blocks)
    logs = rng.normal(0, 1, 12) @ space.encode(space.points()).T
    costs = np.exp(logs[:, None] + rng.normal(0, 0.3, 40) + rng.normal(0, 0.6, (36, 40)))
    seen = np.where(rng.random(costs.shape) < 0.3, costs, np.nan)
    posterior = Posterior(np.log(seen), alike, fit_variances(np.log(seen), alike))
    expected = posterior.expected_totals(seen)
    assert np.mean(expected / costs.mean(axis=1)) == pytest.approx(1, abs=0.05)
    assert np.std(expected / costs.mean(axis=1)) < 0.2
    whole = Posterior(np.log(costs), alike, Variances())
    np.testing.assert_allclose(whole.draw_totals(rng, 3, costs), costs.mean(axis=1)[:, None].repeat(3, axis=1))


# --- dropping --------------------------------------------------------------------------------------------------


def test_equals_are_hardly_ever_dropped_however_often_one_looks() -> None:
    rng = np.random.default_rng(5)
    differences = rng.choice([-1.0, 0.0, 1.0], size=(4000, 60), p=[0.3, 0.4, 0.3])
    # The null as it is: the mean over the tasks of this very search is not above 0.
    differences = np.array([row for row in differences if row.sum() <= 0])
    assert np.mean(log_evidence(differences) > np.log(1 / 0.05)) <= 0.05


def test_a_worse_one_is_dropped_early() -> None:
    rng = np.random.default_rng(6)
    leader, other = rng.random((2, 100)) < np.array([[0.9], [0.3]])
    scores = np.array([leader, other], dtype=float)
    scores[:, 40:] = np.nan
    assert dropped(scores, np.array([0, 0]), rivals=80, alpha=0.05).tolist() == [False, True]


def test_certainty_over_all_tasks_drops_without_luck() -> None:
    # 9 of 10 tasks won and none left to lose more than one: the other cannot be as good.
    scores = np.array([[1.0] * 9 + [np.nan], [0.0] * 9 + [np.nan]])
    assert dropped(scores, np.array([0, 0]), rivals=10**6, alpha=1e-6).tolist() == [False, True]


def test_only_the_common_beginning_is_evidence() -> None:
    differences = np.array([[1.0, np.nan] + [1.0] * 30, [1.0] + [np.nan] * 31])
    first, second = log_evidence(differences).tolist()
    assert first == pytest.approx(second)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=30))
def test_evidence_never_shrinks_as_tasks_come_in(differences: list[float]) -> None:
    whole = np.array(differences)
    paths = np.array([np.where(np.arange(len(whole)) < seen, whole, np.nan) for seen in range(len(whole) + 1)])
    assert (np.diff(log_evidence(paths)) >= -1e-9).all()


# --- choosing --------------------------------------------------------------------------------------------------

TASKS = tuple(f"t{number:02}" for number in range(40))
WIDE = Space([Axis("model", tuple("abcdef")), Axis("samples", (1, 2, 4, 8), ordered=True)])
World = Callable[[Point, int], tuple[float, float]]


def world(seed: int) -> World:
    """Score and cost of any cell: main effects, tasks, noise; dearer is mostly better."""
    rng = np.random.default_rng(seed)
    model, task, noise = rng.normal(0, 0.15, 6), rng.normal(0, 0.2, 40), rng.normal(0, 0.2, (6, 4, 40))

    def observe(point: Point, number: int) -> tuple[float, float]:
        score = 0.5 + model[point[0]] + 0.05 * point[1] + task[number] + noise[point[0], point[1], number]
        return float(np.clip(score, 0, 1)), 0.001 * 2 ** point[1] * (1 + point[0])

    return observe


def answer(observe: World, wanted: Sequence[Observation]) -> list[Cell]:
    return [
        Cell(WIDE.key(item.point), task, score, 10, cost, 1.0, 1)
        for item in wanted
        for task in item.task_ids
        for score, cost in [observe(item.point, TASKS.index(task))]
    ]


def means(observe: World) -> dict[Point, np.ndarray]:
    return {p: np.mean([observe(p, number) for number in range(len(TASKS))], axis=0) for p in WIDE.points()}


def search(optimizer: Optimizer, observe: World, *, cells: int = 10**6) -> list[list[Observation]]:
    """Runs until the optimizer is done or so many cells are observed."""
    steps: list[list[Observation]] = []
    while cells > 0 and (wanted := optimizer.ask()):
        steps.append(wanted)
        told = answer(observe, wanted)[:cells]
        optimizer.tell(told)
        cells -= len(told)
    return steps


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_first_design_shows_every_option_and_is_small(sizes: list[int], seed: int) -> None:
    space = Space([Axis(f"hole{number}", tuple(range(size))) for number, size in enumerate(sizes)])
    design = balanced_design(space, np.random.default_rng(seed))
    for axis, size in enumerate(sizes):
        assert {point[axis] for point in design} == set(range(size))
    assert len(design) == max(sizes)


def test_the_first_design_keeps_to_the_rules() -> None:
    space = small_space()
    design = balanced_design(space, np.random.default_rng(0))
    assert set(design) <= set(space.points())
    shown = {(axis, index) for point in design for axis, index in enumerate(point) if space.active(point)[axis]}
    assert shown == {(axis, index) for axis, size in enumerate((2, 3, 2, 2)) for index in range(size)}


@pytest.mark.parametrize("glance", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_after_the_design_it_takes_the_next_tasks_of_the_common_order(glance: int) -> None:
    """Half as many as were seen before, not fewer than a glance, and not more than a batch."""
    options = {"first_tasks": 3, "batch": 5, "regret": 0, "glance": glance}
    optimizer = make_optimizer("race", WIDE, TASKS, Objective(), options=options)
    first, *rest = search(optimizer, world(0))
    assert {observation.task_ids for observation in first} == {TASKS[:3]}
    done = {observation.point: 3 for observation in first}
    for (observation,) in rest:
        begin = done.get(observation.point, 0)
        assert observation.task_ids == TASKS[begin : begin + min(5, max(glance, begin // 2))]
        done[observation.point] = begin + len(observation.task_ids)


def test_without_a_regret_to_stop_at_it_observes_everything() -> None:
    optimizer = make_optimizer("race", WIDE, TASKS, Objective(), options={"regret": 0})
    steps = search(optimizer, world(1))
    assert sum(len(item.task_ids) for step in steps for item in step) == 24 * len(TASKS)


def test_failing_on_the_first_hard_tasks_is_no_proof_that_nothing_works() -> None:
    optimizer = make_optimizer("race", WIDE, TASKS, Objective())
    steps = search(optimizer, lambda point, number: (0.0, 1.0), cells=20 * 24)
    seen = {task for step in steps for item in step for task in item.task_ids}
    assert len(seen) > 10
    assert optimizer.ask()


def test_it_stops_early_with_a_mean_regret_as_small_as_asked() -> None:
    regrets = []
    for seed in range(8):
        observe = world(seed)
        optimizer = make_optimizer("race", WIDE, TASKS, Objective(), seed=seed, options={"regret": 0.01})
        steps = search(optimizer, observe)
        assert sum(len(item.task_ids) for step in steps for item in step) < 0.5 * 24 * len(TASKS)
        truth = {point: mean[0] for point, mean in means(observe).items()}
        regrets.append(max(truth.values()) - truth[optimizer.recommend().point])
    assert np.mean(regrets) <= 0.01


@pytest.mark.slow
def test_with_the_same_cells_it_beats_random_search() -> None:
    regrets: dict[str, list[float]] = {"race": [], "random": []}
    for seed, name in product(range(12), regrets):
        observe = world(seed)
        optimizer = make_optimizer(name, WIDE, TASKS, Objective(), seed=seed)
        search(optimizer, observe, cells=160)
        truth = {point: mean[0] for point, mean in means(observe).items()}
        regrets[name].append(max(truth.values()) - truth[optimizer.recommend().point])
    assert np.mean(regrets["race"]) < 0.4 * np.mean(regrets["random"])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_limit_turns_it_from_what_is_too_dear(seed: int) -> None:
    observe, limit = world(seed), 0.0085
    truth = means(observe)

    def dear_share(objective: Objective) -> float:
        optimizer = make_optimizer("race", WIDE, TASKS, objective, seed=seed, options={"regret": 0})
        _, *rest = search(optimizer, observe, cells=300)
        found.append(truth[optimizer.recommend().point])
        return float(np.mean([truth[item.point][1] > limit for step in rest for item in step]))

    found: list[np.ndarray] = []
    assert dear_share(Objective(within=Limits(cost_usd=limit))) < 0.8 * dear_share(Objective())
    assert found[0][1] <= limit
    assert max(score for score, cost in truth.values() if cost <= limit) - found[0][0] < 0.05


@pytest.mark.slow
def test_for_a_front_it_observes_the_front_and_finds_it() -> None:
    gaps = []
    for seed in range(6):
        observe = world(seed)
        truth = means(observe)
        true_front = non_dominated(list(truth.values()))
        optimizer = make_optimizer(
            "race", WIDE, TASKS, Objective(pareto=("score", "cost_usd")), seed=seed, options={"regret": 0}
        )
        steps = search(optimizer, observe, cells=400)
        tasks = np.array([sum(len(i.task_ids) for step in steps for i in step if i.point == p) for p in truth])
        assert tasks[true_front].mean() > 1.4 * tasks[~true_front].mean()
        front = [truth[point] for point in optimizer.recommend().front]
        gaps.append(max(score - max(s for s, c in front if c <= cost + 1e-9) for score, cost in truth.values()))
    assert np.mean(gaps) < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_the_less_certain_of_two_is_observed(seed: int) -> None:
    space = Space([Axis("model", ("known", "new"))])
    options = {"regret": 0, "first_tasks": 1}
    optimizer = make_optimizer("race", space, TASKS, Objective(), seed=seed, options=options)
    told = [((0,), number) for number in range(24)] + [((1,), number) for number in range(4)]
    optimizer.tell([Cell(space.key(p), TASKS[n], 0.4 + 0.2 * ((n + p[0]) % 2), 1, 0.0, 0.0, 1) for p, n in told])
    assert optimizer.ask() == [Observation((1,), TASKS[4:6])]


def test_variances_are_refitted_at_stages_that_grow() -> None:
    stages = [_stage(cells) for cells in range(1, 20_000)]
    assert stages[:31] == list(range(1, 32))
    assert all(stage <= cells for cells, stage in enumerate(stages, 1))
    late = sorted(set(stages[31:]))
    assert late[0] == 32
    assert all(1.25 < after / before < 1.35 for before, after in pairwise(late))


@pytest.mark.parametrize(("alpha", "again"), [(0.9, False), (1e-9, True)])
def test_who_is_dropped_is_observed_no_more(alpha: float, again: bool) -> None:
    """Two that overlap: once the worse is dropped, only the better is observed, unless nothing counts as proof."""
    space = Space([Axis("model", ("good", "bad"))])
    options = {"alpha": alpha, "regret": 0, "first_tasks": 20, "batch": 1}
    optimizer = make_optimizer("race", space, TASKS, Objective(), options=options)
    asked: list[Point] = []
    for _ in range(15):
        for item in optimizer.ask():
            asked.append(item.point)
            bad = item.point[0]
            for task in item.task_ids:
                wave = 0.4 if (TASKS.index(task) + bad) % 2 else -0.4
                optimizer.tell([Cell(space.key(item.point), task, 0.6 - 0.2 * bad + wave, 1, 0.0, 0.0, 1)])
    assert ((1,) in asked[2:]) is again


def test_a_large_space_is_searched_through_a_pool_that_follows_the_best() -> None:
    space = Space([Axis(f"hole{number}", tuple(range(6))) for number in range(7)])
    optimizer = make_optimizer("race", space, TASKS, Objective(), seed=1, options={"pool": 40, "regret": 0})
    best = 0.0
    for _ in range(60):
        for item in optimizer.ask():
            score = 1 - sum(abs(index - 3) for index in item.point) / 21
            best = max(best, score)
            optimizer.tell([Cell(space.key(item.point), task, score, 1, 0.0, 0.0, 1) for task in item.task_ids])
    assert best > 0.9


@pytest.mark.slow
def test_it_finds_the_best_of_a_real_table_for_a_tenth_of_the_spend(shared_data: Path) -> None:
    table = Table.load(shared_data / "agentopt" / "hotpotqa.json.gz")
    regrets = []
    for seed in range(3):
        evaluator = TableEvaluator(table)
        truth = evaluator.true_scores()
        tasks = np.random.default_rng(seed).permutation(evaluator.task_ids).tolist()
        optimizer = make_optimizer("race", evaluator.space, tasks, Objective(), seed=seed, options={"regret": 0})
        while evaluator.spent_usd < 0.1 * evaluator.brute_force_usd:
            optimizer.tell(evaluator.observe(optimizer.ask()))
        regrets.append(max(truth.values()) - truth[optimizer.recommend().point])
    assert np.mean(regrets) < 0.03
