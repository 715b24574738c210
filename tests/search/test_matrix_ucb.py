"""Matrix completion: what it predicts, and where it looks."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Space
from archloom.search.optimizers import Observation, make_optimizer
from archloom.search.optimizers._matrix_ucb import factorise

TASKS = tuple(f"t{number:02}" for number in range(30))
SPACE = Space([Axis("model", tuple(range(20)))])


def low_rank(seed: int) -> np.ndarray:
    """Ability times ease, a little noise."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.2, 0.9, (20, 1)) * rng.uniform(0.3, 1.1, 30) + rng.normal(0, 0.03, (20, 30))
    return np.clip(scores, 0, 1)


def cells(wanted: list[Observation], scores: np.ndarray, tokens: dict[int, int] | None = None) -> list[Cell]:
    return [
        Cell(
            SPACE.key(item.point),
            task,
            float(scores[item.point[0], TASKS.index(task)]),
            (tokens or {}).get(item.point[0], 1),
            0.0,
            1.0,
            1,
        )
        for item in wanted
        for task in item.task_ids
    ]


def test_gaps_of_a_low_rank_matrix_are_filled() -> None:
    truth = low_rank(0)
    gaps = np.random.default_rng(1).random(truth.shape) < 0.6
    guesses = factorise(np.where(gaps, np.nan, truth), rank=1, members=8, rng=np.random.default_rng(2))
    error = np.abs(guesses.mean(axis=0) - truth)[gaps].mean()
    assert error < 0.05 < np.abs(truth[gaps] - truth[~gaps].mean()).mean()


def test_what_was_never_observed_is_predicted_by_the_mean() -> None:
    scores = np.full((3, 4), 0.8)
    scores[2], scores[:, 3] = np.nan, np.nan
    guesses = factorise(scores, rank=1, members=4, rng=np.random.default_rng(0)).mean(axis=0)
    np.testing.assert_allclose(guesses, 0.8, atol=0.05)


@pytest.mark.parametrize("rank", [1, 3])
def test_members_agree_where_much_is_known_and_not_where_little_is(rank: int) -> None:
    truth = low_rank(3)
    scores = truth.copy()
    scores[0, 2:], scores[1, 25:] = np.nan, np.nan
    spread = factorise(scores, rank=rank, members=16, rng=np.random.default_rng(0)).std(axis=0)
    assert spread[0, 25:].mean() > 2 * spread[1, 25:].mean()


def test_it_begins_with_a_share_of_random_cells() -> None:
    optimizer = make_optimizer("matrix_ucb", SPACE, TASKS, Objective(), seed=4, options={"warm_up": 0.1, "batch": 10})
    scores = low_rank(4)
    asked: list[tuple[int, str]] = []
    for _ in range(6):
        wanted = optimizer.ask()
        assert sum(len(item.task_ids) for item in wanted) == 10
        assert len(wanted) > 1
        asked += [(item.point[0], task) for item in wanted for task in item.task_ids]
        optimizer.tell(cells(wanted, scores))
    assert len({row for row, _ in asked}) > 12
    assert len({task for _, task in asked}) > 18
    assert len(optimizer.ask()) == 1


def test_one_that_was_never_observed_comes_next() -> None:
    optimizer = make_optimizer("matrix_ucb", SPACE, TASKS, Objective(), options={"batch": 3})
    scores = low_rank(5)
    optimizer.tell(cells([Observation((row,), TASKS[:5]) for row in range(20) if row != 7], scores))
    (item,) = optimizer.ask()
    assert item.point == (7,)
    assert len(item.task_ids) == 3


def test_without_uncertainty_the_best_prediction_is_observed_on_what_is_least_certain() -> None:
    scores = low_rank(6)
    optimizer = make_optimizer("matrix_ucb", SPACE, TASKS, Objective(), options={"eta": 0, "batch": 4})
    optimizer.tell(cells([Observation((row,), TASKS[:20]) for row in range(20)], scores))
    optimizer.tell(cells([Observation((0,), TASKS[20:25])], scores))
    (item,) = optimizer.ask()
    assert item.point[0] == int(scores[:, :20].mean(axis=1).argmax())
    assert set(item.task_ids) <= set(TASKS[20:25])  # of the others the ensemble knows nothing to disagree about


@pytest.mark.parametrize(
    ("objective", "tokens", "best"),
    [
        pytest.param(Objective(within=Limits(tokens=5)), {19: 9}, 18, id="within a limit"),
        pytest.param(Objective(pareto=("score", "tokens")), {19: 9}, 19, id="front"),
    ],
)
def test_limits_and_fronts_are_kept_to(objective: Objective, tokens: dict[int, int], best: int) -> None:
    scores = np.linspace(0.2, 0.9, 20)[:, None] * np.linspace(0.6, 1.0, 30)
    optimizer = make_optimizer("matrix_ucb", SPACE, TASKS, objective, seed=1, options={"eta": 1.0})
    optimizer.tell(cells([Observation((row,), TASKS[:6]) for row in range(20)], scores, tokens))
    counts = dict.fromkeys(range(20), 0)
    for _ in range(3):
        wanted = optimizer.ask()
        for item in wanted:
            counts[item.point[0]] += len(item.task_ids)
        optimizer.tell(cells(wanted, scores, tokens))
    found = optimizer.recommend()
    assert found.point == (best,)
    assert counts[18] + counts[19] == sum(counts.values())
    assert (counts[19] > 0) == (best == 19)
    assert set(found.front) == ({(18,)} if best == 18 else {(18,), (19,)})


def test_with_the_same_cells_it_beats_random_search() -> None:
    regrets: dict[str, list[float]] = {"matrix_ucb": [], "random": []}
    for seed in range(8):
        scores = low_rank(10 + seed)
        for name, own in regrets.items():
            optimizer = make_optimizer(name, SPACE, TASKS, Objective(), seed=seed)
            told = 0
            while told < 150:
                found = cells(optimizer.ask(), scores)[: 150 - told]
                optimizer.tell(found)
                told += len(found)
            truth = scores.mean(axis=1)
            own.append(float(truth.max() - truth[optimizer.recommend().point[0]]))
    assert np.mean(regrets["matrix_ucb"]) < 0.4 * np.mean(regrets["random"])
