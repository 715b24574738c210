"""Searches in Optuna's storages."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from archloom.graphs import Limits, Objective
from archloom.search.errors import OptimizerOptionsError
from archloom.search.optimizers import make_optimizer
from archloom.testing._optimizers import run, small_space

TASKS = tuple(f"t{number}" for number in range(12))


def read(path: Path) -> list[optuna.Study]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def test_every_evaluation_is_a_trial_that_optunas_tools_can_read(tmp_path: Path) -> None:
    objective = Objective(within=Limits(cost_usd=0.004))
    space = small_space()
    path = tmp_path / "search.journal"
    optimizer = make_optimizer("tpe", space, TASKS, objective, seed=5, options={"storage": str(path)})
    told = [cells for _, cells in run(optimizer, space)]
    (study,) = read(path)
    assert study.study_name.startswith("tpe-")
    assert [trial.user_attrs["configuration"] for trial in study.trials] == [cells[0].config for cells in told]
    trial, cells = study.trials[0], told[0]
    assert trial.state == TrialState.COMPLETE
    assert trial.params == space.assignment(space.point(cells[0].config))
    assert trial.value == pytest.approx(sum(cell.value for cell in cells) / len(cells))
    assert trial.intermediate_values[len(cells)] == pytest.approx(trial.value)
    cost = sum(cell.cost_usd for cell in cells) / len(cells)
    assert trial.constraints == {"cost_usd": pytest.approx(cost - 0.004)}
    assert trial.user_attrs["cost_usd"] == pytest.approx(cost)
    assert trial.user_attrs["failed"] == sum(cell.failed for cell in cells)


def test_a_front_is_a_study_of_several_directions_and_a_cut_evaluation_is_pruned(tmp_path: Path) -> None:
    space, path = small_space(), tmp_path / "search.journal"
    options = {"storage": str(path), "pruner": "wilcoxon", "step": 4}
    optimizer = make_optimizer("random", space, TASKS, Objective(pareto=("score", "cost_usd")), options=options)
    tasks: dict[str, int] = {}
    for _, cells in run(optimizer, space):
        for cell in cells:
            tasks[cell.config] = tasks.get(cell.config, 0) + 1
    (study,) = read(path)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    states = {trial.user_attrs["configuration"]: trial.state for trial in study.trials}
    assert states == {
        config: TrialState.COMPLETE if count == len(TASKS) else TrialState.PRUNED for config, count in tasks.items()
    }
    assert set(states.values()) == {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.parametrize("name", ["random", "tpe", "nsga2", "gp"])
def test_the_storage_changes_nothing_and_a_resumed_search_adds_to_its_own_study(tmp_path: Path, name: str) -> None:
    path = tmp_path / "search.journal"
    plain, kept = (
        list(run(make_optimizer(name, space, TASKS, Objective(), seed=2, options=options), space))
        for space, options in ((small_space(), {}), (small_space(), {"storage": str(path)}))
    )
    assert kept == plain
    space = small_space()
    resumed = make_optimizer(name, space, TASKS, Objective(), seed=2, options={"storage": str(path)})
    resumed.tell([cell for _, cells in kept[:4] for cell in cells])
    assert [step for step, _ in run(resumed, space)] == [step for step, _ in kept[4:]]
    other = make_optimizer(name, space, TASKS, Objective(), seed=3, options={"storage": str(path)})
    other.tell(kept[0][1])
    assert sorted(len(study.trials) for study in read(path)) == [1, len(space.points())]


def test_a_database_is_a_storage_too(tmp_path: Path) -> None:
    url, space = f"sqlite:///{tmp_path / 'search.db'}", small_space()
    optimizer = make_optimizer("random", space, TASKS, Objective(), options={"storage": url})
    told = [cells for _, cells in zip(range(2), (cells for _, cells in run(optimizer, space)), strict=False)]
    (summary,) = optuna.get_all_study_summaries(url)
    assert summary.n_trials == len(told) == 2


@pytest.mark.parametrize("storage", ["sqlite:////nowhere/at/all.db", "nonsense://x", "nowhere/at/all.journal"])
def test_a_storage_that_cannot_be_opened_is_refused_at_once(storage: str, tmp_path: Path) -> None:
    where = storage if "://" in storage else str(tmp_path / storage)
    with pytest.raises(OptimizerOptionsError, match="cannot be opened"):
        make_optimizer("gp", small_space(), TASKS, Objective(), options={"storage": where})
