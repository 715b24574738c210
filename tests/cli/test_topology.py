"""A document with a free topology on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archloom.cli import app

TEXT = """\
archloom: 1
name: free
answer: number
models:
  a: {provider: simulated, model: a, tokens: 20}
  b: {provider: simulated, model: b, tokens: 20}
nodes:
  draft: {type: generator, model: a, max_tokens: 64}
  answer: {type: vote, after: draft}
output: answer
search:
  tasks: simulated:free?size=20
  search_tasks: 4
  report_tasks: 4
  optimizer: random
  budget: {tokens: 20000}
  topology: {roles: [generator, fuser], models: [a, b], max_nodes: 4}
"""


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "space.yaml"
    file.write_text(TEXT)
    return file


def test_validate_names_the_place_of_what_does_not_fit(space: Path) -> None:
    found = CliRunner().invoke(app, ["validate", str(space)])
    assert "workflow and a free topology, 2 nodes" in found.stdout
    space.write_text(TEXT.replace("models: [a, b]", "models: [a, c]"))
    found = CliRunner().invoke(app, ["validate", str(space)])
    assert found.exit_code == 2
    assert "space.yaml:17:53: search.topology.models[1]: there is no model 'c'" in found.output


def test_plan_ranges_over_graphs(space: Path) -> None:
    found = CliRunner().invoke(app, ["plan", str(space), "--json"])
    low, high = json.loads(found.stdout)["calls"]
    assert (low, high) == (20, 80)


def test_search_names_graphs_and_refuses_another_topology(space: Path) -> None:
    found = CliRunner().invoke(app, ["search", str(space), "--json"])
    assert found.exit_code == 3, "the budget ends it"
    assert any("generator a" in row["name"] for row in json.loads(found.stdout)["rows"])
    space.write_text(TEXT.replace("max_nodes: 4", "max_nodes: 3"))
    found = CliRunner().invoke(app, ["search", str(space)])
    assert "different: topology" in str(found.exception)
    assert "ok (workflow" in CliRunner().invoke(app, ["validate", "runs/free/best.yaml"]).stdout
