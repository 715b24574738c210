"""``archloom explain``: the story of one answer, from the log of an evaluation or a search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def test_an_evaluation_explains_every_task(cli: Cli, folder: Path) -> None:
    assert cli("eval", "sim.yaml", "--out", "r")[0] == 0
    code, out, _ = cli("explain", "r", "--json")
    cells = json.loads(out)
    assert (code, len(cells)) == (0, 24)
    for cell in cells:
        code, out, _ = cli("explain", "r", cell["task"], "--json")
        told = json.loads(out)
        assert code == 0
        assert told["cell"] == cell
        assert told["lineage"][-1]["candidate"]["answer"] == cell["answer"]
        assert told["nodes"][0]["wrote"] == [f"draft#{number}" for number in range(5)]
        assert sum(node["tokens"] for node in told["nodes"]) == cell["tokens"]
        votes = told["lineage"][-1]["judgements"][-1]
        assert votes["node"] == "answer"
        assert votes["votes"] >= 1


def test_said_in_words(cli: Cli, folder: Path) -> None:
    assert cli("eval", "good.yaml", "--tasks", "simulated:t?size=1", "--no-baselines", "--out", "r")[0] == 0
    code, out, _ = cli("explain", "r")
    assert code == 0
    code, out, _ = cli("explain", "r", out.splitlines()[1].split()[0])
    assert code == 0
    assert "draft (3 calls, " in out
    assert "  wrote 3: 56 ×2, 54 ×1" in out
    assert "  dropped draft#1, draft#2" in out
    story = out.partition("How the answer came to be")[2].splitlines()
    assert story[1:] == ["draft#0 written from the task, answer 56", "  It is 56.", "  answer: 2 votes"]


def test_a_search_explains_its_winner_on_the_held_out_tasks(cli: Cli, folder: Path) -> None:
    assert cli("search", "space.yaml", "--out", "r")[0] == 0
    code, out, _ = cli("explain", "r", "--json")
    tasks = [cell["task"] for cell in json.loads(out)]
    assert (code, len(tasks)) == (0, 10)
    report = json.loads((folder / "r" / "report.json").read_text())
    assert set(tasks) == {task["id"] for task in report["tasks"]}
    assert cli("explain", "r", tasks[0])[0] == 0


def test_another_configuration_of_the_run_by_the_start_of_its_id(cli: Cli, folder: Path) -> None:
    assert cli("eval", "sim.yaml", "--out", "r")[0] == 0
    ids = {json.loads(line)["config"] for line in (folder / "r" / "cells.jsonl").read_text().splitlines()}
    shown = {json.loads(cli("explain", "r", "--config", id_[:8], "--json")[1])[0]["config"] for id_ in ids}
    assert shown == ids
    assert len(ids) > 1


def test_what_cannot_be_explained_is_said(cli: Cli, folder: Path) -> None:
    assert cli("eval", "sim.yaml", "--no-baselines", "--out", "r")[0] == 0
    code, _, err = cli("explain", "r", "nope")
    assert (code, "'nope'" in err, "lists the tasks" in err) == (2, True, True)
    code, _, err = cli("explain", "r", "--config", "zzz")
    assert (code, "no configuration 'zzz'" in err) == (2, True)
    code, _, err = cli("explain", "nowhere")
    assert code in {1, 2}
    assert "nowhere" in err
