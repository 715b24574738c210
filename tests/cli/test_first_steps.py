"""From nothing to an answer, and what can be seen of a workflow without running it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from archloom.graphs import Document

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def test_first_workflow_answers_within_ten_seconds(folder: Path) -> None:
    began = _seconds_of_children()
    for arguments in (["init", "mine"], ["run", "mine/workflow.yaml", "What is 7 times 8?"]):
        ended = subprocess.run(
            [sys.executable, "-c", "from archloom.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    assert _seconds_of_children() - began < 10
    assert "56" in ended.stdout
    assert "[5 calls, " in ended.stderr


def _seconds_of_children() -> float:
    """Processor time of the processes that ended: other work on the machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_init_writes_a_valid_workflow_and_the_schema_it_names(cli: Cli, folder: Path) -> None:
    code, out, _ = cli("init", "a/b")
    assert code == 0
    assert "archloom run a/b/workflow.yaml" in out
    text = (folder / "a/b/workflow.yaml").read_text()
    named = text.splitlines()[0].partition("$schema=")[2]
    schema = json.loads((folder / "a/b" / named).read_text())
    Draft202012Validator(schema).validate(Document.parse(text).data)


def test_schema_of_run_logs_accepts_a_run_log(cli: Cli, folder: Path) -> None:
    assert cli("eval", "sim.yaml", "--limit", "2", "--out", "r")[0] == 0
    schema = Draft202012Validator(json.loads(cli("schema", "log")[1]))
    lines = [json.loads(line) for line in (folder / "r/events.jsonl").read_text().splitlines()]
    assert {line["event"] for line in lines} == {"started", "node", "cell", "stopped"}
    for line in lines:
        schema.validate(line)
    assert not schema.is_valid({**lines[0], "extra": 1})


def test_validate_says_what_each_file_is(cli: Cli) -> None:
    code, out, err = cli("validate", "good.yaml", "space.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "good.yaml: ok (workflow, 2 nodes)",
        "space.yaml: ok (search space, 1 open choices, 2 nodes)",
    ]


def test_validate_reports_problems_of_all_files_as_json(cli: Cli, folder: Path) -> None:
    (folder / "bad.yaml").write_text((folder / "good.yaml").read_text().replace("samples: 3", "sampels: 3"))
    (folder / "worse.yaml").write_text("- 1\n")
    code, out, err = cli("validate", "good.yaml", "bad.yaml", "worse.yaml", "--json")
    assert (code, err) == (2, "")
    found = json.loads(out)
    assert found["ok"] is False
    assert [(each["source"], each["line"], each["column"], each["code"]) for each in found["problems"]] == [
        ("bad.yaml", 6, 38, "E012"),
        ("worse.yaml", 1, 1, "E013"),
    ]


def test_validate_of_a_good_file_as_json(cli: Cli) -> None:
    code, out, _ = cli("validate", "good.yaml", "--json")
    assert (code, json.loads(out)) == (0, {"ok": True, "problems": []})


@pytest.mark.parametrize("form", ["ascii", "mermaid", "dot", "svg"])
def test_graph_draws_nodes_and_open_choices(cli: Cli, form: str) -> None:
    code, out, err = cli("graph", "space.yaml", "--format", form)
    assert (code, err) == (0, "")
    for shown in ("draft", "answer", "×1#124;3" if form == "mermaid" else "×1|3"):  # '|' has a meaning there
        assert shown in out
    begins = {"ascii": "", "mermaid": "flowchart", "dot": "digraph", "svg": "<svg"}[form]
    assert out.startswith(begins)
    if form == "svg":
        ElementTree.fromstring(out)


def test_graph_is_ascii_by_default(cli: Cli) -> None:
    assert cli("graph", "good.yaml") == cli("graph", "good.yaml", "-f", "ascii")


def test_doctor_says_what_is_missing_and_how_to_get_it(cli: Cli) -> None:
    code, out, _ = cli("doctor", "--json")
    findings = {each["what"]: each for each in json.loads(out)}
    assert set(findings) >= {"python", "sandbox", "embedded engine", "weights", "disk"}
    assert findings["python"]["ok"] is True
    assert findings["weights"] == {
        "what": "weights",
        "ok": False,
        "detail": "archloom models pull smollm2-135m-instruct",
        "needed": True,
    }
    assert code == 1


def test_models_list_says_what_is_here(cli: Cli) -> None:
    code, out, _ = cli("models", "list", "--json")
    assert code == 0
    [smollm] = [each for each in json.loads(out) if each["name"] == "smollm2-135m-instruct"]
    assert smollm == {
        "name": "smollm2-135m-instruct",
        "size_mb": 98,
        "licence": "Apache-2.0",
        "installed": None,
    }
    assert "98 MB  Apache-2.0  not pulled" in cli("models", "list")[1]


@pytest.mark.parametrize("group", [(), ("models",), ("store",)], ids=["archloom", "models", "store"])
def test_no_command_shows_help_and_is_bad_usage(cli: Cli, group: tuple[str, ...]) -> None:
    code, out, err = cli(*group)
    assert code == 2
    assert "Usage: archloom" in out + err
