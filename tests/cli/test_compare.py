"""``archloom compare``: runs and rows side by side, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import pytest

from archloom.search import mcnemar, paired_difference, tasks_needed

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(cli: Cli, folder: Path) -> Path:
    """A run that scored a good and a bad workflow on 24 tasks."""
    text = (folder / "sim.yaml").read_text()
    (folder / "bad.yaml").write_text(text.replace("skill: [3, 3]", "skill: [1, 9]").replace("samples: 5", "samples: 1"))
    assert cli("eval", "sim.yaml", "bad.yaml", "--out", "r")[0] == 0
    return folder / "r"


def _rows(run: Path) -> dict[str, dict[str, dict[str, Any]]]:
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for line in (run / "cells.jsonl").read_text().splitlines():
        cell = json.loads(line)
        rows.setdefault(cell["config"], {})[cell["task"]] = cell
    return rows


def test_every_figure_follows_from_the_cells(cli: Cli, run: Path) -> None:
    code, out, _ = cli("compare", "sim.yaml", "bad.yaml", "--run", "r", "--json")
    assert code == 0
    found, rows = json.loads(out), _rows(run)
    tasks = sorted(rows[found["a"]["config_id"]])
    one, two = ([rows[found[side]["config_id"]][task] for task in tasks] for side in "ab")
    first, second = ([cell["score"] for cell in cells] for cells in (one, two))
    assert found["tasks"] == 24
    assert found["difference"] == paired_difference(first, second)._asdict()
    assert found["mcnemar"] == mcnemar(first, second)._asdict()
    assert found["tasks_needed"] == tasks_needed(first, second)
    for side, cells in (("a", one), ("b", two)):
        for name in ("score", "tokens", "cost_usd"):
            assert found[side][name] == pytest.approx(fmean(cell[name] for cell in cells))
    assert found["tokens_ratio"] == pytest.approx(found["a"]["tokens"] / found["b"]["tokens"])
    assert found["cost_ratio"] == pytest.approx(found["a"]["cost_usd"] / found["b"]["cost_usd"])
    assert found["differing"] == [
        {"task": a["task"], "scores": [a["score"], b["score"]], "answers": [a["answer"], b["answer"]]}
        for a, b in zip(one, two, strict=True)
        if a["score"] != b["score"]
    ]


def test_said_in_words(cli: Cli, run: Path) -> None:
    code, out, _ = cli("compare", "sim.yaml", "bad.yaml", "--run", "r")
    assert code == 0
    assert "on 24 common tasks (95 %, paired over tasks), at " in out
    assert "exact McNemar p = " in out
    assert "The interval does not hold 0: they are told apart." in out
    differing = [line for line in out.splitlines() if line.startswith("  t-0-")]
    rows = list(_rows(run).values())
    assert differing
    assert all(": A " in line and ", B " in line for line in differing)
    assert len(differing) < 24
    assert len(rows) >= 2


def test_worse_ends_with_four_only_when_asked_and_sure(cli: Cli, run: Path) -> None:
    assert cli("compare", "bad.yaml", "sim.yaml", "--run", str(run))[0] == 0
    code, _, err = cli("compare", "bad.yaml", "sim.yaml", "--run", str(run), "--fail-worse")
    assert (code, err) == (4, "archloom: bad.yaml is worse than sim.yaml.\n")
    assert cli("compare", "sim.yaml", "bad.yaml", "--run", str(run), "--fail-worse")[0] == 0
    assert cli("compare", "bad.yaml", "bad.yaml", "--run", str(run), "--fail-worse")[0] == 0


def test_runs_stand_for_their_first_workflow(cli: Cli, run: Path) -> None:
    assert cli("eval", "bad.yaml", "--out", "s")[0] == 0
    by_run = json.loads(cli("compare", "r", "s", "--json")[1])
    by_file = json.loads(cli("compare", "sim.yaml", "bad.yaml", "--run", "r", "--json")[1])
    assert (by_run["a"]["name"], by_run["b"]["name"]) == ("r", "s")
    for name in ("difference", "differing", "mcnemar", "tasks"):
        assert by_run[name] == by_file[name]


def test_a_search_stands_for_its_winner_on_its_held_out_tasks(cli: Cli, folder: Path) -> None:
    cli("search", "space.yaml", "--out", "found")
    assert cli("eval", "space.yaml", "--set", "nodes.draft.samples=1", "--held-out", "found", "--out", "one")[0] == 0
    code, out, err = cli("compare", "found", "one", "--json")
    assert code == 0, err
    found = json.loads(out)
    winner = next(
        row for row in json.loads((folder / "found/report.json").read_text())["rows"] if row["role"] == "winner"
    )
    assert found["a"]["config_id"] == winner["config_id"]
    assert found["a"]["score"] == pytest.approx(winner["score"])
    assert found["tasks"] == 10
    assert json.loads(cli("compare", "found", "found/best.yaml", "--run", "found", "--json")[1])["differing"] == []


def test_no_difference_says_that_no_number_of_tasks_would_do(cli: Cli, run: Path) -> None:
    out = cli("compare", "sim.yaml", str(run), "--run", str(run))[1]
    assert "No difference was seen; no number of tasks would tell them apart." in out


def test_what_is_not_told_apart_says_how_many_tasks_would_do(cli: Cli, folder: Path) -> None:
    (folder / "near.yaml").write_text((folder / "sim.yaml").read_text().replace("samples: 5", "samples: 4"))
    cli("eval", "sim.yaml", "near.yaml", "--out", "n", "--no-baselines")
    found = json.loads(cli("compare", "sim.yaml", "near.yaml", "--run", "n", "--json")[1])
    assert found["difference"]["low"] <= 0 <= found["difference"]["high"]
    assert found["difference"]["estimate"] != 0
    out = cli("compare", "sim.yaml", "near.yaml", "--run", "n")[1]
    needed = found["tasks_needed"]
    assert f"Not told apart. At the difference seen, {needed:,} tasks ({needed - 24:,} more) would do" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["r", "other"], "were scored on different task sets (", id="other tasks"),
        pytest.param(
            ["sim.yaml", "bad.yaml"], "which run scored this workflow? Name its folder with --run.", id="no run"
        ),
        pytest.param(["sim.yaml", "new.yaml", "--run", "r"], "was not scored in this run", id="not scored"),
        pytest.param(["r", "space.yaml", "--run", "r"], "1 choices are open", id="a space"),
        pytest.param(["r", "unfinished"], "there is no finished search", id="unfinished search"),
        pytest.param(["r", "empty"], "cannot be read", id="no run in the folder"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    cli: Cli, run: Path, folder: Path, arguments: list[str], said: str
) -> None:
    (folder / "new.yaml").write_text((folder / "sim.yaml").read_text().replace("samples: 5", "samples: 7"))
    (folder / "empty").mkdir()
    if "other" in arguments:
        assert cli("eval", "sim.yaml", "--tasks", "simulated:u?size=24", "--out", "other")[0] == 0
    if "unfinished" in arguments:
        assert cli("search", "space.yaml", "--out", "unfinished")[0] == 0
        (folder / "unfinished/report.json").unlink()
    code, out, err = cli("compare", *arguments)
    assert (code, out) == (2, "")
    assert said in err
