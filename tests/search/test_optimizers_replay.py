"""Decisions as recorded: faster algebra must not change them. Other draws or batches do: record them anew, on purpose."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from archloom.graphs import Limits, Objective
from archloom.orchestrator import Cell
from archloom.search._space import Axis, Space
from archloom.search.optimizers import make_optimizer

TASKS = tuple(f"t{number:02}" for number in range(30))
SPACE = Space([Axis("model", tuple("abcd")), Axis("samples", (1, 2, 4), ordered=True)])


def table() -> tuple[np.ndarray, np.ndarray]:
    """Scores and costs without equals, so that rounding cannot decide anything."""
    rng = np.random.default_rng(11)
    level = rng.normal(0.5, 0.15, (4, 1, 1)) + 0.08 * np.arange(3)[:, None]
    scores = np.clip(level + rng.normal(0, 0.2, 30) + rng.normal(0, 0.2, (4, 3, 30)), 0.01, 0.99)
    costs = np.exp(rng.normal(0, 0.5, (4, 1, 1)) + np.log(2) * np.arange(3)[:, None] + rng.normal(0, 0.3, (4, 3, 30)))
    return scores, costs


@pytest.mark.parametrize(
    ("objective", "recorded"),
    [
        pytest.param(Objective(), "fe9af1100b3c085e", id="score"),
        pytest.param(Objective(within=Limits(cost_usd=2.0)), "94cd03a10781ccee", id="within a limit"),
        pytest.param(Objective(pareto=("score", "cost_usd")), "93cc89330aee484a", id="front"),
    ],
)
def test_race_asks_what_it_asked_when_this_was_recorded(objective: Objective, recorded: str) -> None:
    scores, costs = table()
    optimizer = make_optimizer("race", SPACE, TASKS, objective, seed=2, options={"regret": 0, "batch": 3})
    asked = []
    while wanted := optimizer.ask():
        asked.append([[item.point, item.task_ids] for item in wanted])
        optimizer.tell(
            [
                Cell(SPACE.key(item.point), task, float(scores[place]), 1, float(costs[place]), 1.0, 1)
                for item in wanted
                for task in item.task_ids
                for place in [(*item.point, TASKS.index(task))]
            ]
        )
    assert sum(len(tasks) for step in asked for _, tasks in step) == 12 * len(TASKS)
    assert hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16] == recorded
