"""``kill -9`` at any moment: the same command goes on, ends in the same bytes, and pays for nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import archloom
from archloom.orchestrator import Stopped, read_events
from archloom.orchestrator.models import SQLiteStore

SPACE = """\
archloom: 1
name: sim
answer: number
models:
  m:
    provider: simulated
    tokens: 20
    skill: [2, 2]
    sleep: true
    latency_s: 0.004
    tokens_per_s: 4000
    max_concurrency: 4
nodes:
  draft: {type: generator, model: m, samples: {choose: [1, 4]}, temperature: {choose: [0.3, 0.9]}, max_tokens: 64}
  judged: {type: verifier, model: m, max_tokens: 64, after: draft, optional: true}
  answer: {type: vote, after: judged}
output: answer
search: {tasks: "simulated:t?size=40", search_tasks: 6, report_tasks: 6, seed: 3}
"""
IN_FLIGHT = 4


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_search_ends_as_an_uninterrupted_one(tmp_path: Path, kills: int) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    _start(tmp_path, "whole").communicate()
    lines = len((tmp_path / "whole/events.jsonl").read_bytes().splitlines())
    log = tmp_path / "killed/events.jsonl"
    for kill in range(kills):
        process = _start(tmp_path, "killed")
        _wait_for_lines(process, log, 2 + kill * (lines - 10) // (kills - 1))
        process.kill()
        process.communicate()
        assert process.returncode == -9
        assert not (tmp_path / "killed/report.html").exists()
    last = _start(tmp_path, "killed")
    last.communicate()
    assert last.returncode == 0
    for name in ("best.yaml", "cells.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    samples = _samples(tmp_path / "whole.sqlite")
    assert _samples(tmp_path / "killed.sqlite") == samples, "nothing but what is needed was drawn"
    assert _charged_calls(tmp_path / "whole") == samples
    assert _charged_calls(tmp_path / "killed") <= samples + kills * IN_FLIGHT, "a finished sample was drawn again"


def _start(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from archloom.cli import main; main()", "search", "space.yaml"]
    return subprocess.Popen(
        [*command, "--out", name, "--store", f"{name}.sqlite"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(archloom.__file__).parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_lines(process: subprocess.Popen[str], log: Path, count: int) -> None:
    """Until the log has this many lines; the process must still be running then."""
    while not (log.exists() and log.read_bytes().count(b"\n") >= count):
        try:
            process.wait(timeout=0.005)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended before line {count}: {process.communicate()}")


def _samples(path: Path) -> int:
    store = SQLiteStore(path)
    try:
        return sum(row.samples for row in store.stats())
    finally:
        store.close()


def _charged_calls(folder: Path) -> int:
    last = read_events(folder)[-1]
    assert isinstance(last, Stopped)
    return last.charged.calls
