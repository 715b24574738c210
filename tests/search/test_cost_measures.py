"""FLOPs and memory traffic as measures: known where every model's shape is, refused where one is not."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from archloom.graphs import Document, Limits, Measure, Objective
from archloom.orchestrator import Cell
from archloom.orchestrator.models import CostModel, MemoryStore
from archloom.search import Cells, SearchResult, prepare, run_search
from archloom.search._objective import limits
from archloom.tools.errors import UsageError

SHAPE = "shape: {parameters: 1000, layers: 2, width: 8, heads: 2, kv_heads: 1}"
SPACE = """\
archloom: 1
name: sim
answer: number
models:
  m: {provider: simulated, tokens: 20, skill: [50, 50], wrong_answers: 400, wrong_skew: 0, %s}
nodes:
  draft: {type: generator, model: m, samples: {choose: [1, 5]}, max_tokens: 64}
  answer: {type: vote, after: draft}
output: answer
search: {tasks: "simulated:t?size=40", search_tasks: 6, report_tasks: 8, objective: {%s}}
"""


async def _search(folder: Path, objective: str, shape: str = SHAPE) -> SearchResult:
    document = Document.parse(SPACE % (shape, objective))
    return await run_search(prepare(document, document.search), folder=folder, store=MemoryStore())


def _cells(folder: Path) -> list[Cell]:
    return [Cell(**json.loads(line)) for line in (folder / "cells.jsonl").read_text().splitlines()]


def test_every_cost_can_be_limited() -> None:
    costs = set(get_args(Measure)) - {"score"}
    assert set(Limits.model_fields) == costs
    assert set(limits(Objective(within=Limits(**dict.fromkeys(costs, 1.0))))) == costs


async def test_cells_carry_the_flops_of_all_calls(tmp_path: Path) -> None:
    await _search(tmp_path, "pareto: [score, flops]")
    model = Document.parse(SPACE % (SHAPE, "")).configure({"nodes.draft.samples": 1}).models["m"]
    single = [cell for cell in _cells(tmp_path) if cell.calls == 1]
    assert single
    for cell in single:
        # FLOPs depend on how many tokens there are, not on which of them were written.
        assert cell.flops == CostModel(model).of_call(cell.tokens, 0).flops
        assert cell.memory_bytes is not None
        assert cell.memory_bytes > 0


async def test_a_limit_on_flops_is_kept(tmp_path: Path) -> None:
    free = await _search(tmp_path / "free", "maximize: score")
    most = max(cell.flops or 0 for cell in _cells(tmp_path / "free") if cell.calls == 1)
    bound = await _search(tmp_path / "bound", f"within: {{flops: {most}}}")
    calls = {cell.config: cell.calls for cell in _cells(tmp_path / "free")}
    assert (calls[free.winner.id], calls[bound.winner.id]) == (5, 1)


async def test_the_front_and_the_report_know_flops(tmp_path: Path) -> None:
    result = await _search(tmp_path, "pareto: [score, memory_bytes]")
    assert len(result.front) == 2
    assert all(row.flops and row.memory_bytes for row in result.report.rows)
    assert result.report.cost_models[0][1] == "price: none; FLOPs: 1e+03 parameters, 2 layers (document)"


async def test_without_a_shape_nothing_is_claimed(tmp_path: Path) -> None:
    result = await _search(tmp_path, "maximize: score", shape="seed: 1")
    assert {(cell.flops, cell.memory_bytes) for cell in _cells(tmp_path)} == {(None, None)}
    assert {row.flops for row in result.report.rows} == {None}


@pytest.mark.parametrize("objective", ["pareto: [score, flops]", "within: {memory_bytes: 9}"])
def test_an_objective_that_cannot_be_known_is_refused_before_the_first_call(objective: str) -> None:
    document = Document.parse(SPACE % ("seed: 1", objective))
    with pytest.raises(UsageError, match="the shape of model 'm' is not known") as caught:
        prepare(document, document.search)
    assert "models.m.shape" in str(caught.value.hint)


async def test_a_run_from_before_these_measures_goes_on(tmp_path: Path) -> None:
    await _search(tmp_path, "maximize: score")
    log = tmp_path / "events.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    for event in events:
        for name in ("flops", "memory_bytes"):
            event.get("cell", {}).pop(name, None)
            event.get("charged", {}).pop(name, None)
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    result = await _search(tmp_path, "maximize: score")
    assert {row.flops for row in result.report.rows} == {None}
    assert result.report.rows[0].tokens > 0


def test_what_is_not_known_is_nan_and_does_not_spread() -> None:
    known = Cell("x", "a", 1.0, 10, 0.0, 0.5, 1, flops=8.0, memory_bytes=4.0)
    unknown = Cell("y", "b", 1.0, 10, 0.0, 0.5, 1)
    assert isnan(unknown.measure("flops"))
    means = Cells(("a", "b"), [known, unknown]).means(["x", "y"])
    np.testing.assert_array_equal(means["flops"], [8.0, np.nan])
    np.testing.assert_array_equal(means["memory_bytes"], [4.0, np.nan])
    np.testing.assert_array_equal(means["tokens"], [10.0, 10.0])
    assert "flops" not in Cells(("a", "b"), [unknown]).means(["y"])
