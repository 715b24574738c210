"""Published tables as evaluators."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from archloom.search._table import Table, TableEvaluator
from archloom.search.errors import TableError
from archloom.search.optimizers import Observation

DATA = {
    "benchmark": "tiny",
    "models": ["planner=A + solver=A", "planner=A + solver=B", "planner=B + solver=B"],
    "datapoints": [0, 1],
    "cells": {
        "planner=A + solver=A": {"0": [1.0, 2.0, 30, 4, 0.5], "1": [0.0, 1.0, 10, 2, 0.25]},
        "planner=A + solver=B": {"0": [0.5, 1.5, 20, 3, 0.125], "1": [1.0, 1.0, 10, 2, 0.125]},
        "planner=B + solver=B": {"1": [1.0, 1.0, 10, 2, 1.0]},
    },
}


def write(path: Path, data: object) -> Path:
    path.write_bytes(gzip.compress(json.dumps(data).encode()))
    return path


@pytest.fixture
def evaluator(tmp_path: Path) -> TableEvaluator:
    return TableEvaluator(Table.load(write(tmp_path / "tiny.json.gz", DATA)))


def test_roles_are_axes_and_only_published_configurations_are_valid(evaluator: TableEvaluator) -> None:
    space = evaluator.space
    assert [(axis.name, axis.options) for axis in space.axes] == [("planner", ("A", "B")), ("solver", ("A", "B"))]
    assert [space.key(point) for point in space.points()] == DATA["models"]
    assert not space.valid((1, 0))


def test_cells_are_paid_for_as_they_are_observed(evaluator: TableEvaluator) -> None:
    first, second = evaluator.observe([Observation((0, 0), ("1", "0"))])
    assert (first.task, first.score, first.tokens, first.cost_usd) == ("1", 0.0, 12, 0.25)
    assert (second.latency_s, second.calls, second.config) == (2.0, 2, "planner=A + solver=A")
    assert evaluator.spent_usd == pytest.approx(0.75)
    evaluator.observe([Observation((0, 1), ("0",))])
    assert evaluator.spent_usd == pytest.approx(0.875)
    assert evaluator.brute_force_usd == pytest.approx(2.0)


def test_a_gap_is_a_failed_cell_that_costs_nothing(evaluator: TableEvaluator) -> None:
    (gap,) = evaluator.observe([Observation((1, 1), ("0",))])
    assert gap.failed
    assert gap.error == "missing"
    assert evaluator.spent_usd == 0
    assert evaluator.true_scores() == {(0, 0): 0.5, (0, 1): 0.75, (1, 1): 0.5}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([1, 2], id="a list"),
        pytest.param({"benchmark": "x"}, id="no cells"),
        pytest.param(DATA | {"cells": {"planner=A + solver=A": {"0": [1.0]}}}, id="short entries"),
    ],
)
def test_other_files_are_refused_with_their_name(tmp_path: Path, data: object) -> None:
    with pytest.raises(TableError, match=r"other\.json\.gz"):
        Table.load(write(tmp_path / "other.json.gz", data))


def test_a_file_that_is_not_gzipped_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text("{}")
    with pytest.raises(TableError, match="gzip"):
        Table.load(tmp_path / "plain.json")


def test_hotpotqa_is_the_published_table(shared_data: Path) -> None:
    evaluator = TableEvaluator(Table.load(shared_data / "agentopt" / "hotpotqa.json.gz"))
    truth = sorted(evaluator.true_scores().values())
    assert len(evaluator.space.points()) == 81
    assert len(evaluator.task_ids) == 200
    assert evaluator.brute_force_usd == pytest.approx(51.90, abs=0.01)
    assert truth[-1] == pytest.approx(0.7427, abs=5e-5)
    assert truth[-1] - truth[-2] == pytest.approx(0.0102, abs=5e-5)
