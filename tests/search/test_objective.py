"""What is looked for, and the cells it is judged by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import Limits, Measure, Objective
from archloom.orchestrator import Cell
from archloom.search._cells import Cells
from archloom.search._objective import best_rows, cost_measures, excess, front_costs, limits
from archloom.search.errors import UnknownTaskError

TASKS = ("a", "b", "c")


def cell(config: str, task: str, score: float | None, *, cost_usd: float = 0.0, replicate: int = 0) -> Cell:
    return Cell(config, task, score, tokens=10, cost_usd=cost_usd, latency_s=0.5, calls=2, replicate=replicate)


MEANS: dict[Measure, np.ndarray] = {
    "score": np.array([0.5, 0.9, 0.7, 0.7]),
    "cost_usd": np.array([1.0, 8.0, 2.0, 3.0]),
    "tokens": np.array([10.0, 10.0, 30.0, 20.0]),
}


@pytest.mark.parametrize(
    ("objective", "best"),
    [
        pytest.param(Objective(), [1], id="the highest score"),
        pytest.param(Objective(within=Limits(cost_usd=5)), [2], id="within a limit, the first of equals"),
        pytest.param(Objective(within=Limits(cost_usd=5, tokens=25)), [3], id="within two limits"),
        pytest.param(Objective(within=Limits(cost_usd=0.5)), [0], id="nearest where nothing is within"),
        pytest.param(Objective(pareto=("score", "cost_usd")), [1, 2, 0], id="front, by falling score"),
        pytest.param(Objective(pareto=("cost_usd", "score", "tokens")), [1, 2, 3, 0], id="front of three measures"),
        pytest.param(
            Objective(pareto=("score", "cost_usd"), within=Limits(cost_usd=5)), [2, 0], id="front within a limit"
        ),
    ],
)
def test_what_to_stand_by(objective: Objective, best: list[int]) -> None:
    assert best_rows(objective, MEANS) == best


def test_excess_is_the_worst_share_above_a_limit() -> None:
    objective = Objective(within=Limits(cost_usd=2, tokens=20))
    assert excess(objective, MEANS).tolist() == [0, 3, 0.5, 0.5]
    assert excess(Objective(), MEANS).tolist() == [0, 0, 0, 0]


def test_costs_of_the_front_come_first_and_each_once() -> None:
    objective = Objective(pareto=("score", "tokens", "calls"), within=Limits(latency_s=2, tokens=9))
    assert front_costs(objective) == ("tokens", "calls")
    assert limits(objective) == {"tokens": 9, "latency_s": 2}
    assert cost_measures(objective) == ("tokens", "calls", "latency_s")


def test_a_failed_cell_counts_as_zero_and_its_cost_counts() -> None:
    cells = Cells(TASKS, [cell("x", "a", 1.0, cost_usd=0.2), cell("x", "b", None, cost_usd=0.1)])
    means = cells.means(["x"])
    assert means["score"].tolist() == [0.5]
    assert means["cost_usd"].tolist() == pytest.approx([0.15])
    assert means["calls"].tolist() == [2]
    assert (cells.n_tasks("x"), cells.failures("x")) == (2, 1)


def test_what_was_not_observed_is_nan_and_counts_nowhere() -> None:
    cells = Cells(TASKS, [cell("x", "c", 0.5), cell("y", "a", 1.0), cell("y", "c", 0.0)])
    nan = np.nan
    np.testing.assert_array_equal(
        cells.matrix("score", ["y", "x", "z"]), [[1, nan, 0], [nan, nan, 0.5], [nan, nan, nan]]
    )
    assert cells.means(["x", "y"])["score"].tolist() == [0.5, 0.5]
    assert cells.n_tasks("z") == 0


def test_cells_are_found_by_configuration_and_task() -> None:
    told = [cell("x", "c", 0.5), cell("y", "b", 1.0), cell("x", "a", None)]
    cells = Cells(TASKS, told)
    assert list(cells) == told
    assert len(cells) == 3
    assert cells.configs == ("x", "y")
    assert cells.of("x") == (told[2], told[0])
    assert ("x", "a") in cells
    assert ("x", "b") not in cells
    assert ("z", "a") not in cells
    assert cells.tasks("x") == ("a", "c")
    assert cells.tasks("x", "y") == cells.tasks("x", "z") == ()


def test_replicates_are_averaged_and_a_retry_replaces_a_failure() -> None:
    cells = Cells(TASKS, [cell("x", "a", None), cell("x", "a", 1.0, replicate=1)])
    assert cells.means(["x"])["score"].tolist() == [0.5]
    cells.add(cell("x", "a", 0.8))
    assert cells.means(["x"])["score"].tolist() == pytest.approx([0.9])
    assert (len(cells), cells.failures("x"), cells.n_tasks("x")) == (2, 0, 1)


def test_a_task_of_another_search_is_refused() -> None:
    with pytest.raises(UnknownTaskError, match="'z'"):
        Cells(TASKS).add(cell("x", "z", 1.0))


@given(
    st.lists(
        st.builds(
            cell,
            st.sampled_from("xyz"),
            st.sampled_from(TASKS),
            st.none() | st.floats(0, 1),
            replicate=st.integers(0, 1),
        )
    )
)
def test_matrices_agree_with_the_cells_whatever_was_told(told: list[Cell]) -> None:
    cells = Cells(TASKS, told)
    last = {one.key: one for one in told}
    for row, config in enumerate("xyz"):
        for column, task in enumerate(TASKS):
            own = [one.value for key, one in last.items() if key[:2] == (config, task)]
            found = cells.matrix("score", list("xyz"))[row, column]
            assert np.isnan(found) if not own else found == pytest.approx(np.mean(own))
