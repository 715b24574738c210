"""``archloom search`` and what can be done with its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from archloom.graphs import Document
from archloom.orchestrator import configuration_of

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def test_search_leaves_a_workflow_a_front_a_log_and_a_report(cli: Cli, folder: Path) -> None:
    code, out, _ = cli("search", "space.yaml", "--out", "r", "--json")
    assert code == 0
    result = json.loads(out)
    assert (result["best"], result["report"]) == ("r/best.yaml", "r/report.html")
    files = {str(path.relative_to(folder / "r")) for path in (folder / "r").rglob("*") if path.is_file()}
    front = {name for name in files if name.startswith("front/")}
    assert files - front == {"best.yaml", "cells.jsonl", "events.jsonl", "report.html", "report.json"}
    best = configuration_of(Document.load(folder / "r/best.yaml"))
    members = [configuration_of(Document.load(folder / "r" / name)) for name in sorted(front)]
    assert len(members) == len(result["front"])
    assert [row["config_id"] for row in result["rows"] if row["role"] == "winner"] == [best.id]
    assert best.id in {member.id for member in members}
    assert str(best.nodes["draft"].samples) in {"1", "3"}  # type: ignore[attr-defined]


def test_found_workflow_can_be_checked_run_and_evaluated(cli: Cli) -> None:
    cli("search", "space.yaml", "--out", "r")
    assert cli("validate", "r/best.yaml")[0] == 0
    code, out, _ = cli("run", "r/best.yaml", "Simulated task other/0/0: find its number.")
    assert code == 0
    assert "The answer is " in out
    code, out, _ = cli("eval", "r/best.yaml", "--tasks", "simulated:other?size=6", "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["tasks"] == 6


def test_result_as_text(cli: Cli) -> None:
    code, out, err = cli("search", "space.yaml", "--out", "r")
    assert code == 0
    assert "Pareto front on 10 held-out tasks (front of score × tokens)" in out
    assert "workflow: r/best.yaml    report: r/report.html" in out
    assert "search ended by: the optimizer's own stopping rule" in out
    assert "costs of m: price: none; FLOPs: none" in out
    assert "now the held-out comparison" in err


def test_second_search_pays_nothing(cli: Cli, folder: Path) -> None:
    cli("search", "space.yaml", "--out", "r")
    kept = {name: (folder / "r" / name).read_bytes() for name in ("best.yaml", "cells.jsonl")}
    before = json.loads(cli("store", "stats", "--json")[1])
    for out in ("r", "s"):
        assert cli("search", "space.yaml", "--out", out)[0] == 0
        assert {name: (folder / out / name).read_bytes() for name in kept} == kept
    assert json.loads(cli("store", "stats", "--json")[1]) == before
    assert _charged(folder / "s")["calls"] == 0


def test_budget_is_hard_and_keeps_a_partial_result(cli: Cli, folder: Path) -> None:
    limits = ["--max-tokens", "1800", "--concurrency", "1"]
    code, out, _ = cli("search", "space.yaml", "--out", "r", *limits, "--json")
    assert code == 3
    result = json.loads(out)
    assert "budget" in result["stopped"]
    assert Document.load(folder / "r/best.yaml").holes == ()
    assert (folder / "r/report.html").exists()
    paid = _charged(folder / "r")
    assert 1000 < paid["tokens_in"] + paid["tokens_out"] <= 1800
    assert [row for row in result["rows"] if row["role"] == "winner" and row["tasks"] > 0], "the report had its share"
    code, out, _ = cli("search", "space.yaml", "--out", "r", "--json")
    assert code == 0
    assert {row["tasks"] for row in json.loads(out)["rows"] if row["role"] == "winner"} == {10}


def test_command_line_overrides_the_search_block(cli: Cli, folder: Path) -> None:
    arguments = ["--optimizer", "random", "--seed", "5", "--search-tasks", "4", "--report-tasks", "6"]
    code, out, _ = cli("search", "space.yaml", *arguments, "--tasks", "simulated:u?size=12", "--out", "r", "--json")
    assert code == 0
    started = json.loads((folder / "r/events.jsonl").read_text().splitlines()[0])
    assert (started["identity"]["optimizer"], started["identity"]["seed"]) == ("random", "5")
    tasks = {json.loads(line)["task"] for line in (folder / "r/cells.jsonl").read_text().splitlines()}
    assert len(tasks) == 10
    assert all(task.startswith("u-0-") for task in tasks)
    assert {row["tasks"] for row in json.loads(out)["rows"] if row["role"] == "winner"} == {6}


def test_tasks_of_a_document_are_beside_it_and_those_of_the_command_here(cli: Cli, folder: Path) -> None:
    (folder / "sub").mkdir()
    text = (folder / "good.yaml").read_text().replace("samples: 3", "samples: {choose: [1, 3]}")
    search = "search: {tasks: q.jsonl, search_tasks: 3, report_tasks: 3}\n"
    (folder / "sub/w.yaml").write_text(text + search)
    lines = [json.dumps({"question": f"What is {n}?", "answer": "56"}) for n in range(6)]
    (folder / "sub/q.jsonl").write_text("\n".join(lines))
    assert cli("search", "sub/w.yaml", "--out", "r")[0] == 0
    code, _, err = cli("search", "sub/w.yaml", "--out", "s", "--tasks", "q.jsonl")
    assert (code, "q.jsonl: no such file" in err) == (2, True)
    assert cli("search", "sub/w.yaml", "--out", "s", "--tasks", "sub/q.jsonl")[0] == 0


def test_report_shows_a_finished_search_again(cli: Cli, folder: Path) -> None:
    _, searched, _ = cli("search", "space.yaml", "--out", "r")
    page = (folder / "r/report.html").read_bytes()
    (folder / "r/report.html").unlink()
    code, out, _ = cli("report", "r")
    assert code == 0
    assert (folder / "r/report.html").read_bytes() == page
    [winner] = [line for line in searched.splitlines() if line.split()[:2] == ["×3", "winner"]]
    assert winner in out.splitlines()
    code, out, _ = cli("report", "r", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((folder / "r/report.json").read_text())


def test_names_that_look_like_markup_are_shown_as_they_are(cli: Cli, folder: Path) -> None:
    text = (folder / "space.yaml").read_text().replace("archloom: 1\n", 'archloom: 1\nname: "[/b]x"\n')
    (folder / "w.yaml").write_text(text.replace("model: m,", 'model: m, system: {choose: ["[/i] a", "[red] b"]},'))
    code, out, err = cli("search", "w.yaml", "--out", "r")
    assert code == 0, err
    assert "[/i] a" in out
    assert "[/b]x" in cli("report", "r")[1]


def test_name_of_a_document_cannot_lead_out_of_the_runs(cli: Cli, folder: Path) -> None:
    before = set(folder.parent.iterdir())
    assert cli("search", "space.yaml", "--set", "name=../../out")[0] == 0
    assert (folder / "runs/out/best.yaml").exists()
    assert set(folder.parent.iterdir()) == before


def test_store_stats_count_samples_by_model(cli: Cli) -> None:
    cli("run", "good.yaml", "q")
    cli("run", "sim.yaml", "Simulated task t/0/0: find its number.")
    code, out, _ = cli("store", "stats", "--json")
    assert code == 0
    assert [(row["model"].split("@")[0], row["samples"]) for row in json.loads(out)] == [
        ("scripted/scripted", 3),
        ("simulated/simulated", 5),
    ]
    assert "3 samples, 3 prompt and 9 completion tokens" in cli("store", "stats")[1]


def _charged(folder: Path) -> Any:
    return json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["charged"]
