"""``archloom run``: the answer on standard output, everything else on standard error."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def test_answer_is_all_there_is_on_standard_output(cli: Cli) -> None:
    code, out, err = cli("run", "good.yaml", "What is 7 times 8?")
    assert (code, out) == (0, "It is 56.\n")
    assert err == "[3 calls, 24 tokens, 0.00 s]\n"


def test_question_from_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("What is 7 times 8?\n"))
    assert cli("run", "good.yaml", "-")[:2] == (0, "It is 56.\n")


def test_json_has_answer_cost_and_nodes(cli: Cli) -> None:
    code, out, err = cli("run", "good.yaml", "What is 7 times 8?", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["text"], result["answer"]) == ("It is 56.", "56")
    assert (result["calls"], result["tokens"], result["cost_usd"]) == (3, 3 * (5 + 3), 0.0)
    assert (result["truncated"], result["error"]) == (False, None)
    assert [node["node"] for node in result["nodes"]] == ["draft", "answer"]
    assert [len(node["candidates"]) for node in result["nodes"]] == [3, 1]


def test_trace_shows_what_each_node_gave(cli: Cli) -> None:
    code, out, err = cli("run", "good.yaml", "What is 7 times 8?", "--trace")
    assert (code, out) == (0, "It is 56.\n")
    assert [line.strip() for line in err.splitlines()][:6] == [
        "draft: 3 calls, 24 tokens",
        "draft#0 (answer 56): It is 56.",
        "draft#1 (answer 54): It is 54.",
        "draft#2 (answer 56): It is 56.",
        "answer: 0 calls, 0 tokens",
        "draft#0 (answer 56, 2 votes): It is 56.",
    ]


def test_text_that_looks_like_markup_is_shown_as_it_is(cli: Cli) -> None:
    reply = "[/b] 1 [red]"
    code, out, err = cli("run", "good.yaml", "q", "--trace", "--set", f'models.m.replies=["{reply}"]')
    assert (code, out) == (0, f"{reply}\n")
    assert reply in err


def test_set_changes_entries_before_the_check(cli: Cli) -> None:
    overrides = ["--set", "nodes.draft.samples=1", "--set", "models.m.replies=[It is 12.]"]
    code, out, err = cli("run", "good.yaml", "q", *overrides)
    assert (code, out) == (0, "It is 12.\n")
    assert err.startswith("[1 calls, ")


def test_value_of_set_is_read_as_a_document_reads_it(cli: Cli) -> None:
    code, out, err = cli("run", "good.yaml", "q", "--set", "name=2020-01-01")
    assert (code, out) == (0, "It is 56.\n"), err


def test_set_fills_an_open_choice(cli: Cli) -> None:
    code, _, err = cli("run", "space.yaml", "Simulated task t/0/0: find it.", "--set", "nodes.draft.samples=3")
    assert code == 0
    assert err.startswith("[3 calls, ")


def test_second_run_costs_the_same_and_reads_the_store(cli: Cli) -> None:
    first = cli("run", "good.yaml", "q", "--json")
    before = json.loads(cli("store", "stats", "--json")[1])
    assert cli("run", "good.yaml", "q", "--json") == first
    assert json.loads(cli("store", "stats", "--json")[1]) == before
    assert [(row["samples"], row["tokens_out"]) for row in before] == [(3, 9)]


def test_store_may_be_named_by_option_or_environment(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("run", "good.yaml", "q", "--store", "a/one.sqlite")
    monkeypatch.setenv("ARCHLOOM_STORE", "b/two.sqlite")
    cli("run", "good.yaml", "q")
    assert (folder / "a/one.sqlite").exists()
    assert (folder / "b/two.sqlite").exists()
    assert not (folder / ".archloom").exists()
    assert "3 samples" in cli("store", "stats")[1]


def test_budget_that_ends_early_gives_the_best_so_far(cli: Cli) -> None:
    code, out, err = cli("run", "good.yaml", "q", "--set", "budget.calls=2")
    assert (code, out) == (3, "It is 56.\n")
    assert "[2 calls, " in err
    assert "this is the best so far" in err


def test_failed_run_has_no_answer(cli: Cli) -> None:
    code, out, err = cli("run", "sim.yaml", "What is 7 times 8?")
    assert (code, out) == (1, "")
    assert "0 of 5 calls came back" in err
    assert "no simulated task" in err
    code, out, _ = cli("run", "sim.yaml", "What is 7 times 8?", "--json")
    result = json.loads(out)
    assert (code, result["error"], result["text"], result["answer"]) == (1, "E401", "", None)
