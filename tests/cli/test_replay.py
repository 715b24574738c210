"""``--replay`` and ``--record``: a published result can be had again anywhere, and refreshed on purpose."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def cells(folder: Path, run: str) -> bytes:
    return (folder / run / "cells.jsonl").read_bytes()


def test_an_exported_store_and_the_workflow_give_the_same_result_again(cli: Cli, folder: Path) -> None:
    assert cli("eval", "sim.yaml", "--out", "first", "--store", "a.sqlite")[0] == 0
    assert cli("store", "export", "samples.jsonl.gz", "--store", "a.sqlite")[0] == 0
    assert cli("store", "import", "samples.jsonl.gz", "--store", "b.sqlite")[0] == 0
    code, out, err = cli("eval", "sim.yaml", "--out", "again", "--store", "b.sqlite", "--replay", "--json")
    assert code == 0, err
    assert json.loads(out)["charged"]["calls"] == 0
    assert cells(folder, "first") == cells(folder, "again")


def test_a_search_is_replayed(cli: Cli, folder: Path) -> None:
    assert cli("search", "space.yaml", "--out", "first")[0] == 0
    assert cli("search", "space.yaml", "--out", "again", "--replay")[0] == 0
    assert cells(folder, "first") == cells(folder, "again")
    assert (folder / "first" / "best.yaml").read_bytes() == (folder / "again" / "best.yaml").read_bytes()


@pytest.mark.parametrize("command", [["eval", "sim.yaml"], ["search", "space.yaml"], ["run", "good.yaml", "2 + 2?"]])
def test_a_replay_that_lacks_a_sample_says_which_and_ends_with_2(cli: Cli, folder: Path, command: list[str]) -> None:
    code, _, err = cli(*command, "--replay")
    assert code == 2
    assert "archloom-E311" in err
    assert "sample 0 (stream 0) of " in err


def test_one_missing_sample_is_enough(cli: Cli, folder: Path) -> None:
    assert cli("run", "good.yaml", "2 + 2?", "--store", "s.sqlite")[0] == 0
    assert cli("run", "good.yaml", "2 + 2?", "--store", "s.sqlite", "--replay")[:2] == (0, "It is 56.\n")
    connection = sqlite3.connect("s.sqlite")
    with connection:
        connection.execute("DELETE FROM samples WHERE idx = 2")
    connection.close()
    code, _, err = cli("run", "good.yaml", "2 + 2?", "--store", "s.sqlite", "--replay")
    assert (code, "sample 2" in err) == (2, True)


def test_a_replay_needs_no_key(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "remote.yaml").write_text(
        """\
archloom: 1
models:
  m: {provider: openai, model: m, api_key: "${NO_SUCH_KEY}", base_url: "http://127.0.0.1:9/v1"}
nodes:
  draft: {type: generator, model: m}
output: draft
"""
    )
    code, _, err = cli("run", "remote.yaml", "2 + 2?")
    assert (code, "NO_SUCH_KEY" in err) == (2, True)
    code, _, err = cli("run", "remote.yaml", "2 + 2?", "--replay")
    assert (code, "openai/m" in err) == (2, True)


def test_a_fallback_is_looked_at_before_anything_runs(cli: Cli, folder: Path) -> None:
    """Its key is needed as much as that of the model it stands in for."""
    (folder / "chain.yaml").write_text(
        """\
archloom: 1
models:
  m: {provider: scripted, fallback: far}
  far: {provider: openai, model: m, api_key: "${NO_SUCH_KEY}"}
nodes:
  draft: {type: generator, model: m}
output: draft
"""
    )
    code, _, err = cli("run", "chain.yaml", "2 + 2?")
    assert (code, "NO_SUCH_KEY" in err) == (2, True)
    assert not (folder / ".archloom").exists()


def test_recording_draws_everything_once_more(cli: Cli, folder: Path) -> None:
    def charged(*arguments: str) -> int:
        code, out, err = cli("eval", "sim.yaml", "--no-baselines", "--json", *arguments)
        assert code == 0, err
        calls: int = json.loads(out)["charged"]["calls"]
        return calls

    first = charged("--out", "first")
    assert first == 24 * 5
    assert charged("--out", "again") == 0
    assert charged("--out", "recorded", "--record") == first


def test_a_recording_is_not_continued_in_the_folder_of_another_run(cli: Cli, folder: Path) -> None:
    assert cli("eval", "sim.yaml", "--out", "first", "--no-baselines")[0] == 0
    code, _, err = cli("eval", "sim.yaml", "--out", "first", "--no-baselines", "--record")
    assert (code, "archloom-E320" in err) == (2, True)


def test_both_at_once_make_no_sense(cli: Cli, folder: Path) -> None:
    assert cli("run", "good.yaml", "x", "--replay", "--record")[0] == 2
