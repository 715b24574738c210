"""``archloom eval``: figures that follow from the cells, baselines at the same tokens, and going on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import pytest

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def _eval(cli: Cli, *arguments: str, code: int = 0) -> Any:
    ended, out, err = cli("eval", *arguments, "--json")
    assert ended == code, err
    return json.loads(out)


def _cells(folder: Path) -> dict[str, dict[str, Any]]:
    """Cells by configuration and task."""
    by_configuration: dict[str, dict[str, Any]] = {}
    for line in (folder / "cells.jsonl").read_text().splitlines():
        cell = json.loads(line)
        by_configuration.setdefault(cell["config"], {})[cell["task"]] = cell
    return by_configuration


def test_rows_and_gaps_follow_from_the_cells(cli: Cli, folder: Path) -> None:
    result = _eval(cli, "sim.yaml", "--out", "r")
    cells = _cells(folder / "r")
    rows = {row["name"]: row for row in result["rows"]}
    for row in rows.values():
        own = cells[row["config_id"]].values()
        assert row["tasks"] == len(own) == 24
        assert row["score"] == pytest.approx(fmean(cell["score"] for cell in own))
        assert row["tokens"] == pytest.approx(fmean(cell["tokens"] for cell in own))
        assert row["interval"]["low"] <= row["score"] <= row["interval"]["high"]
    first = rows["sim"]
    for gap in result["gaps"]:
        other = cells[rows[gap["name"]]["config_id"]]
        differences = [cell["score"] - other[task]["score"] for task, cell in cells[first["config_id"]].items()]
        assert gap["estimate"] == pytest.approx(fmean(differences))
        assert gap["low"] <= gap["estimate"] <= gap["high"]
        assert gap["tokens_ratio"] == pytest.approx(first["tokens"] / rows[gap["name"]]["tokens"])


def test_baselines_cost_the_same_tokens(cli: Cli, folder: Path) -> None:
    text = (folder / "sim.yaml").read_text().replace("type: vote", "type: ranker, model: m, max_tokens: 64")
    (folder / "ranked.yaml").write_text(text)
    rows = {row["name"]: row for row in _eval(cli, "ranked.yaml")["rows"]}
    first = rows.pop("ranked")
    single = rows.pop("single call")
    assert (single["calls"], single["role"]) == (1, "baseline")
    assert sorted(name.split()[0] for name in rows) == ["best", "self-consistency"]
    for row in rows.values():
        assert row["role"] == "baseline"
        unit = row["tokens"] / int("".join(filter(str.isdigit, row["name"])))
        assert abs(row["tokens"] - first["tokens"]) <= 0.55 * unit, "no other number of samples comes closer"


def test_workflow_that_is_its_own_baseline_is_listed_once(cli: Cli) -> None:
    names = [row["name"] for row in _eval(cli, "sim.yaml")["rows"]]
    assert names[:2] == ["sim", "single call"]
    assert not [name for name in names if name.startswith("self-consistency")]


def test_single_call_has_nothing_to_be_matched_with(cli: Cli, folder: Path) -> None:
    text = (folder / "sim.yaml").read_text().replace("  answer: {type: vote, after: draft}\n", "")
    (folder / "one.yaml").write_text(
        text.replace("output: answer", "output: draft").replace("samples: 5", "samples: 1")
    )
    result = _eval(cli, "one.yaml")
    assert [row["name"] for row in result["rows"]] == ["one"]
    assert result["gaps"] == []


def test_several_workflows_are_compared_with_the_first(cli: Cli, folder: Path) -> None:
    one = (folder / "sim.yaml").read_text().replace("samples: 5", "samples: 1")
    (folder / "one.yaml").write_text(one)
    result = _eval(cli, "sim.yaml", "one.yaml", "--no-baselines")
    assert [row["name"] for row in result["rows"]] == ["sim", "one"]
    assert [gap["name"] for gap in result["gaps"]] == ["one"]


def test_held_out_tasks_of_a_search(cli: Cli, folder: Path) -> None:
    assert cli("search", "space.yaml", "--out", "found")[0] == 0
    rows = _eval(cli, "found/best.yaml", "--held-out", "found", "--out", "r")["rows"]
    events = [json.loads(line) for line in (folder / "found/events.jsonl").read_text().splitlines()]
    reported = {event["cell"]["task"] for event in events if event.get("part") == "report"}
    own = _cells(folder / "r")[rows[0]["config_id"]]
    assert set(own) == reported
    found = _cells(folder / "found")[rows[0]["config_id"]]
    assert own == {task: found[task] for task in reported}, "the same workflow does the same on the same tasks"


@pytest.mark.parametrize("name", ["none", "evaluated"])
def test_held_out_needs_a_search(cli: Cli, name: str) -> None:
    assert cli("eval", "sim.yaml", "--limit", "2", "--out", "evaluated")[0] == 0
    code, _, err = cli("eval", "sim.yaml", "--held-out", name, "--out", "r")
    assert code == 2
    assert "[archloom-E320]" in err


def test_table_as_text(cli: Cli) -> None:
    code, out, _ = cli("eval", "sim.yaml", "--limit", "6")
    assert code == 0
    assert "sim − single call: " in out
    assert "on 6 common tasks, at " in out
    assert "charged: " in out
    assert "costs of m: price: document; FLOPs: none" in out


def test_models_of_one_name_and_other_prices_are_told_apart(cli: Cli, folder: Path) -> None:
    (folder / "free.yaml").write_text((folder / "sim.yaml").read_text().replace(", price: {input: 1, output: 2}", ""))
    result = _eval(cli, "sim.yaml", "free.yaml", "--limit", "2", "--no-baselines")
    assert result["cost_models"] == {
        "m": "price: document; FLOPs: none",
        "m of free": "price: none; FLOPs: none",
    }


def test_same_command_pays_nothing_again(cli: Cli, folder: Path) -> None:
    first = _eval(cli, "sim.yaml", "--out", "r")
    cells = (folder / "r/cells.jsonl").read_bytes()
    assert _eval(cli, "sim.yaml", "--out", "r") == first
    assert (folder / "r/cells.jsonl").read_bytes() == cells
    elsewhere = _eval(cli, "sim.yaml", "--out", "s")
    assert elsewhere["rows"] == first["rows"]
    assert elsewhere["charged"]["calls"] == 0
    assert (folder / "s/cells.jsonl").read_bytes() == cells


def test_interrupted_evaluation_ends_as_an_uninterrupted_one(cli: Cli, folder: Path) -> None:
    whole = _eval(cli, "sim.yaml", "--out", "whole", "--store", "a.sqlite")
    _eval(cli, "sim.yaml", "--out", "cut", "--store", "b.sqlite")
    log = folder / "cut/events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"event":"cell","par')
    assert _eval(cli, "sim.yaml", "--out", "cut", "--store", "b.sqlite")["rows"] == whole["rows"]
    assert (folder / "cut/cells.jsonl").read_bytes() == (folder / "whole/cells.jsonl").read_bytes()


def test_budget_is_hard_and_keeps_what_was_observed(cli: Cli, folder: Path) -> None:
    result = _eval(cli, "sim.yaml", "--max-tokens", "1500", "--concurrency", "1", "--out", "r", code=3)
    paid = result["charged"]["tokens_in"] + result["charged"]["tokens_out"]
    assert result["budget_ended"] is True
    assert 1000 < paid <= 1500
    assert 0 < result["rows"][0]["tasks"] < 24
    more = _eval(cli, "sim.yaml", "--no-baselines", "--out", "r")
    assert more["rows"][0]["tasks"] == 24


def test_dollars_are_a_limit_too(cli: Cli) -> None:
    result = _eval(cli, "sim.yaml", "--max-usd", "0.002", "--concurrency", "1", code=3)
    assert 0.0015 < result["charged"]["cost_usd"] <= 0.002


@pytest.mark.parametrize(("least", "code"), [("0.2", 0), ("1.0", 4)])
def test_score_below_the_threshold_has_its_exit_code(cli: Cli, least: str, code: int) -> None:
    ended, _, err = cli("eval", "sim.yaml", "--fail-below", least)
    assert ended == code
    assert ("is below 1.0." in err) == (code == 4)


def test_failures_are_counted_and_not_silently_wrong(cli: Cli, folder: Path) -> None:
    overrides = ["--set", "models.m.fail=0.3", "--set", "models.m.retries=0", "--set", "nodes.draft.samples=1"]
    result = _eval(cli, "sim.yaml", *overrides, "--no-baselines", "--out", "r")
    [cells] = _cells(folder / "r").values()
    failed = [cell for cell in cells.values() if cell["error"] is not None]
    assert 0 < len(failed) < 24
    assert {(cell["score"], cell["error"], cell["answer"]) for cell in failed} == {(None, "E401", None)}
    [row] = result["rows"]
    assert row["missing"] == len(failed)
    assert row["score"] == pytest.approx(sum(cell["score"] or 0 for cell in cells.values()) / 24)
