"""The program that compares verdicts with the official ones: both agree, and it says so when they do not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "benchmarks" / "text2sql" / "agreement.py"
METRICS = ("spider_exec", "spider_exec_keep_distinct", "bird_ex")


def compare(data: Path, pairs: Path, *options: str) -> tuple[int, str, list[dict[str, dict[str, object]]]]:
    command = [sys.executable, "-W", "error", str(PROGRAM), "--data", str(data), "--pairs", str(pairs), *options]
    done = run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout + done.stderr, [json.loads(line) for line in pairs.read_text().splitlines()]


def decided(pairs: list[dict[str, dict[str, object]]], metric: str) -> list[tuple[bool, bool]]:
    """The official verdict and ours, where there is an official one."""
    found = [(pair["official"][metric], pair["ours"][metric] == 1) for pair in pairs]
    return [(official, ours) for official, ours in found if isinstance(official, bool)]


def test_a_sample_of_pairs_has_the_official_verdicts(shared_data: Path, tmp_path: Path) -> None:
    code, text, pairs = compare(shared_data / "spider_dev", tmp_path / "pairs", "--every", "50")
    assert code == 0, text
    for metric in METRICS:
        verdicts = decided(pairs, metric)
        assert len(verdicts) > 400
        assert all(official == ours for official, ours in verdicts)
        assert 150 < sum(official for official, _ in verdicts) < 250
    stripped, kept, sets = (decided(pairs, metric) for metric in METRICS)
    assert stripped != kept != sets  # the sample has pairs that tell the metrics apart
    open_ = {str(pair["kind"]) for pair in pairs if pair["official"]["bird_ex"] is None}
    assert open_ == {"two statements", "no statement", "a write"}


@pytest.mark.slow
def test_all_pairs_have_the_official_verdicts(shared_data: Path, tmp_path: Path) -> None:
    code, text, pairs = compare(shared_data / "spider_dev", tmp_path / "pairs")
    assert code == 0, text
    assert len(pairs) > 20_000
    assert all(len(decided(pairs, metric)) > 19_000 for metric in METRICS)


def test_a_pair_that_differs_is_shown_and_counted(spider: Callable[..., Path], tmp_path: Path) -> None:
    """A value over our limit of bytes is one that plain SQLite has no quarrel with."""
    huge = "SELECT length(zeroblob(20000000))"
    data = spider(("concert", "How long is it?", huge), ("concert", "Who?", "SELECT name FROM singer"))
    code, text, pairs = compare(data, tmp_path / "pairs")
    assert code == 1
    assert "spider_exec differs (gold_failed), itself:\n  SELECT length" in text
    differ = {str(pair["gold"]) for pair in pairs for one, other in decided([pair], "bird_ex") if one != other}
    assert differ == {huge}
