"""The comparison program: it goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "search" / "compare.py"


def compare(out: Path, *options: str) -> str:
    command = [sys.executable, "-W", "error", str(PROGRAM), "--out", str(out), *options]
    return run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_finished_runs_are_kept_and_only_missing_ones_are_done(tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    first = compare(out, "--simulated", "1", "--optimizers", "random", "grid")
    assert "| random | 1 |" in first
    assert "| grid | 1 |" in first
    lines = out.read_text().splitlines()
    assert [(row["method"], row["seed"]) for row in map(json.loads, sorted(lines))] == [("grid", 0), ("random", 0)]
    kept = [json.dumps({**json.loads(line), "regrets": [0.5] * 4}) for line in lines]
    out.write_text("\n".join(kept) + '\n{"table": "simulated", "meth')
    again = compare(out, "--simulated", "1", "--optimizers", "random")
    assert "| random | 1 | 0.500 [0.500, 0.500]" in again
    assert "grid" not in again
    assert "| random | 2 |" in compare(out, "--simulated", "2", "--optimizers", "random")
    assert (json.loads(out.read_text().splitlines()[-1])["method"], len(out.read_text().splitlines())) == ("random", 4)


@pytest.mark.slow
def test_a_page_and_a_picture_show_what_is_in_the_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: compare simulated -->\nold\n<!-- /measured -->\nafter\n")
    options = ("--simulated", "1", "--optimizers", "random", "grid", "--plot", str(tmp_path))
    shown = compare(tmp_path / "runs.jsonl", *options, "--write", str(page))
    table = shown.partition("\n\n")[2].strip()
    assert page.read_text() == (
        f"before\n<!-- measured: compare simulated -->\n\n{table}\n\n<!-- /measured -->\nafter\n"
    )
    first = (tmp_path / "simulated.svg").read_text()
    assert first.startswith("<?xml")
    compare(tmp_path / "runs.jsonl", *options)
    assert (tmp_path / "simulated.svg").read_text() == first, "the same numbers are the same picture"


@pytest.mark.slow
def test_a_page_without_the_place_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    command = [sys.executable, str(PROGRAM), "--out", str(tmp_path / "runs.jsonl"), "--simulated", "1"]
    ended = run([*command, "--optimizers", "grid", "--write", str(page)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "has no place for 'compare simulated'" in ended.stderr
    assert page.read_text() == "nothing here\n"
