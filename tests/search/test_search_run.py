"""A whole search on the simulated provider: it repeats, resumes and replays to the byte, and its claims hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

import pytest

from archloom.graphs import Document
from archloom.orchestrator import CellObserved, Stopped, Usage, read_events
from archloom.orchestrator.models import MemoryStore, SampleStore
from archloom.search import SearchResult, prepare, run_search
from archloom.search.errors import NoEvidenceError

SPACE = """\
archloom: 1
name: sim
answer: number
models:
  m: {provider: simulated, tokens: 20, skill: [2, 2], hit: 0.9, false_alarm: 0.1}
nodes:
  draft:
    type: generator
    model: m
    samples: {choose: [1, 5]}
    temperature: {choose: [0.3, 0.9]}
    max_tokens: 64
  judged: {type: verifier, model: m, max_tokens: 64, after: draft, optional: true}
  answer: {type: vote, after: judged}
output: answer
search: {tasks: "simulated:t?size=40", search_tasks: 6, report_tasks: 8, seed: 3}
"""
OPTIMIZERS = ["race", "random", "tpe"]


async def _search(
    folder: Path, *overrides: str, store: SampleStore | None = None, concurrency: int = 8, text: str = SPACE
) -> SearchResult:
    document = Document.parse(text, overrides=overrides)
    setting = prepare(document, document.search)
    return await run_search(setting, folder=folder, store=store or MemoryStore(), concurrency=concurrency)


def _files(folder: Path) -> dict[str, bytes]:
    """All that must be the same in every repetition."""
    named = [folder / "best.yaml", folder / "cells.jsonl", *sorted((folder / "front").iterdir())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in named}


def _charged(folder: Path) -> Usage:
    last = read_events(folder)[-1]
    assert isinstance(last, Stopped)
    return last.charged


def _observed(folder: Path, part: str) -> list[CellObserved]:
    return [event for event in read_events(folder) if isinstance(event, CellObserved) and event.part == part]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
async def test_two_runs_give_the_same_bytes(tmp_path: Path, optimizer: str) -> None:
    for name, concurrency in (("a", 8), ("b", 1)):
        await _search(tmp_path / name, f"search.optimizer={optimizer}", concurrency=concurrency)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    assert _charged(tmp_path / "a") == _charged(tmp_path / "b")


async def test_time_ends_the_held_out_comparison_too(tmp_path: Path) -> None:
    text = SPACE.replace("tokens: 20", "tokens: 20, sleep: true, latency_s: 0.05")
    overrides = ("search.budget={time_s: 1.0}", "search.optimizer=random")
    result = await _search(tmp_path, *overrides, text=text, concurrency=1)
    assert "time" in result.stopped
    assert result.budget_ended
    compared = {event.cell["config"] for event in _observed(tmp_path, "report")}
    assert len(_observed(tmp_path, "report")) < 8, "a second holds twenty calls, most of them the search's"
    assert len(compared) <= 1


async def test_another_seed_splits_the_tasks_otherwise(tmp_path: Path) -> None:
    await _search(tmp_path / "a")
    await _search(tmp_path / "b", "search.seed=4")
    parts = [{event.cell["task"] for event in _observed(tmp_path / name, "report")} for name in "ab"]
    assert parts[0] != parts[1]


async def test_replay_from_the_store_is_free_and_gives_the_same_bytes(tmp_path: Path) -> None:
    store = MemoryStore()
    await _search(tmp_path / "a", store=store)
    assert _charged(tmp_path / "a").calls == sum(row.samples for row in store.stats())
    await _search(tmp_path / "b", store=store)
    assert _charged(tmp_path / "b") == Usage()
    assert _files(tmp_path / "b") == _files(tmp_path / "a")


async def test_finished_search_is_shown_again_without_a_call(tmp_path: Path) -> None:
    await _search(tmp_path / "a")
    before = _files(tmp_path / "a"), _charged(tmp_path / "a")
    await _search(tmp_path / "a")  # the store is new: only the log knows
    assert (_files(tmp_path / "a"), _charged(tmp_path / "a")) == before


@pytest.mark.parametrize(("optimizer", "keep_store"), [("race", True), ("race", False), ("tpe", False)])
async def test_search_cut_anywhere_ends_in_the_same_bytes(tmp_path: Path, optimizer: str, keep_store: bool) -> None:
    chosen = f"search.optimizer={optimizer}"
    store = MemoryStore()
    await _search(tmp_path / "whole", chosen, store=store)
    events = (tmp_path / "whole/events.jsonl").read_bytes().splitlines(keepends=True)
    for share in (0.0, 0.15, 0.5, 0.85, 1.0):
        folder = tmp_path / f"cut-{share}"
        folder.mkdir()
        kept = events[: 1 + round(share * (len(events) - 2))]
        half_a_line = events[len(kept)][: len(events[len(kept)]) // 2]
        (folder / "events.jsonl").write_bytes(b"".join(kept) + half_a_line)
        await _search(folder, chosen, store=store if keep_store else MemoryStore())
        assert _files(folder) == _files(tmp_path / "whole"), f"cut after {len(kept)} of {len(events)} events"


async def test_search_and_report_share_no_task(tmp_path: Path) -> None:
    document = Document.parse(SPACE)
    setting = prepare(document, document.search)
    await run_search(setting, folder=tmp_path, store=MemoryStore())
    searched, reported = ({event.cell["task"] for event in _observed(tmp_path, part)} for part in ("search", "report"))
    assert searched == {example.task.id for example in setting.search.examples}
    assert reported == {example.task.id for example in setting.report.examples}
    assert not searched & reported


async def test_report_follows_from_the_log(tmp_path: Path) -> None:
    result = await _search(tmp_path)
    for row in result.report.rows:
        seen = [event.cell for event in _observed(tmp_path, "report") if event.cell["config"] == row.config_id]
        if row.score is None:
            assert row.role == "tried"
            continue
        assert row.tasks == len(seen) == 8
        assert row.score == pytest.approx(fmean(cell["score"] for cell in seen))
        assert row.tokens == pytest.approx(fmean(cell["tokens"] for cell in seen))


@pytest.mark.parametrize("limit", ["tokens", "calls"])
async def test_budget_is_never_exceeded(tmp_path: Path, limit: str) -> None:
    await _search(tmp_path / "free")
    for share in (0.01, 0.3, 0.9):
        folder = tmp_path / str(share)
        most = int(share * getattr(_charged(tmp_path / "free"), limit))
        try:
            result = await _search(folder, f"search.budget.{limit}={most}")
        except NoEvidenceError:
            assert share < 0.1, "the budget has room for some evidence"
        else:
            assert result.budget_ended
            assert (folder / "best.yaml").exists()
        assert getattr(_charged(folder), limit) <= most


async def test_report_has_its_share_of_the_budget(tmp_path: Path) -> None:
    await _search(tmp_path / "free")
    most = _charged(tmp_path / "free").tokens // 2
    result = await _search(tmp_path / "bound", f"search.budget.tokens={most}")
    spent = max(event.charged.tokens for event in _observed(tmp_path / "bound", "search"))
    assert spent <= 0.75 * most
    assert result.held.cells[result.winner.id], "the winner was compared on held-out tasks"


async def test_search_that_a_budget_stopped_goes_on_with_more(tmp_path: Path) -> None:
    await _search(tmp_path / "free")
    most = _charged(tmp_path / "free").tokens // 3
    store = MemoryStore()
    assert (await _search(tmp_path / "bound", f"search.budget.tokens={most}", store=store)).budget_ended
    again = await _search(tmp_path / "bound", f"search.budget.tokens={most}", store=store)
    assert again.budget_ended
    assert not (await _search(tmp_path / "bound", store=store)).budget_ended
    assert _files(tmp_path / "bound") == _files(tmp_path / "free")


async def test_every_comparison_is_at_matched_tokens(tmp_path: Path) -> None:
    result = await _search(tmp_path)
    rows = {row.name: row for row in result.report.rows}
    names = [row.name for row in result.report.rows if row.role == "baseline"]
    for kind in ("single call", "self-consistency", "best of"):
        assert [name for name in names if name.startswith(kind)], f"{kind} is missing in {names}"
    matched = [row for row in rows.values() if row.matched is not None]
    assert matched
    for row in matched:
        rival = rows[str(row.matched)]
        unit = rival.tokens / rival.calls
        assert abs(rival.tokens - row.tokens) <= 0.55 * unit, f"{rival.name} is not at the tokens of {row.name}"
        assert row.matched_difference == pytest.approx(float(row.score or 0) - float(rival.score or 0))


async def test_one_call_can_be_best(tmp_path: Path) -> None:
    result = await _search(tmp_path, text=SPACE.replace("skill: [2, 2]", "skill: [1000, 0.001]"))
    assert result.held.cells[result.winner.id]
    assert {cell.score for cell in result.held.cells[result.winner.id]} == {1.0}
    assert {cell.calls for cell in result.held.cells[result.winner.id]} == {1}
    assert "One call of the model is best" in result.report.verdict


async def test_more_samples_win_where_they_help(tmp_path: Path) -> None:
    """Every wrong answer differs, so the right one wins every vote that it takes part in twice."""
    text = SPACE.replace("skill: [2, 2]", "skill: [50, 50], wrong_answers: 400, wrong_skew: 0")
    result = await _search(tmp_path, text=text)
    assert result.winner.nodes["draft"].samples == 5  # type: ignore[attr-defined]
    assert "One call" not in result.report.verdict
    assert result.report.rows[0].score is not None
    assert result.report.rows[0].score > 0.8


async def test_failures_are_counted_and_are_no_wrong_answers(tmp_path: Path) -> None:
    text = SPACE.replace("tokens: 20", "tokens: 20, fail: 0.3, retries: 0").replace(
        "judged: {", "judged: {min_success: 9, "
    )
    text = text.replace("    max_tokens: 64\n  judged", "    max_tokens: 64\n    min_success: 3\n  judged")
    result = await _search(tmp_path, text=text)
    cells = [event.cell for part in ("search", "report") for event in _observed(tmp_path, part)]
    failed = [cell for cell in cells if cell["error"] is not None]
    assert 0 < len(failed) < len(cells)
    assert {(cell["score"], cell["answer"]) for cell in failed} == {(None, None)}
    for row in result.report.rows:
        part = "search" if row.score is None else "report"
        own = {
            event.cell["task"]: event.cell
            for event in _observed(tmp_path, part)
            if event.cell["config"] == row.config_id
        }
        assert row.missing == sum(cell["error"] is not None for cell in own.values())
        if row.score is not None:
            assert row.score == pytest.approx(fmean(cell["score"] or 0.0 for cell in own.values()))
    assert "counts as score 0" in result.report.rule_for_failures


async def test_search_in_which_everything_fails_recommends_nothing(tmp_path: Path) -> None:
    text = SPACE.replace("tokens: 20", "tokens: 20, fail: 1, retries: 0")
    with pytest.raises(NoEvidenceError, match=r"All \d+ cells failed.*a simulated server error"):
        await _search(tmp_path, text=text)
    assert not (tmp_path / "best.yaml").exists()


async def test_recommendation_is_within_the_limits(tmp_path: Path) -> None:
    text = SPACE.replace("skill: [2, 2]", "skill: [50, 50], wrong_answers: 400, wrong_skew: 0")
    free = await _search(tmp_path / "free", "search.objective={maximize: score}", text=text)
    bound = await _search(tmp_path / "bound", "search.objective={maximize: score, within: {calls: 3}}", text=text)
    assert _mean_calls(tmp_path / "free", free.winner.id) > 3
    assert _mean_calls(tmp_path / "bound", bound.winner.id) <= 3


def _mean_calls(folder: Path, config: str) -> float:
    return fmean(event.cell["calls"] for event in _observed(folder, "search") if event.cell["config"] == config)


async def test_workflow_files_say_where_they_come_from(tmp_path: Path) -> None:
    result = await _search(tmp_path)
    comment = _comment((tmp_path / "best.yaml").read_text().splitlines())
    assert comment[0] == f"# Found by archloom search: {result.held.winner.name}"
    assert "on 8 held-out tasks" in comment[1]
    assert comment[2] == "# tasks: simulated:t?size=40"
    assert comment[4] == f"# optimizer race, seed 3, configuration {result.winner.id}"


def _comment(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.startswith("#")]


async def test_events_are_lines_of_json_in_the_order_in_which_they_happened(tmp_path: Path) -> None:
    await _search(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [lines[0]["event"], lines[-1]["event"]] == ["started", "stopped"]
    parts = [line["part"] for line in lines if line["event"] == "cell"]
    assert parts == sorted(parts, key=["search", "report"].index)
    assert [line["what"] for line in lines if line["event"] == "decided"] == ["search_stopped", "examined"]
    charged = [line["charged"]["calls"] for line in lines if "charged" in line]
    assert charged == sorted(charged)
