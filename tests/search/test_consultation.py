"""Optimizers that ask a model: its words count, are paid for, are written down, and are never trusted blindly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archloom.graphs import Document
from archloom.orchestrator import Decided, Stopped, read_events
from archloom.orchestrator.models import MemoryStore, SampleStore
from archloom.search import SearchResult, prepare, run_search
from archloom.search.optimizers._thinking import Reply, parse

TEXT = """\
archloom: 1
name: asked
answer: number
models:
  a: {provider: simulated, model: a, tokens: 20}
  b: {provider: simulated, model: b, tokens: 20}
  chief: {provider: scripted, %s}
nodes:
  draft: {type: generator, model: a, max_tokens: 64}
  answer: {type: vote, after: draft}
output: answer
search:
  tasks: simulated:asked?size=40
  search_tasks: 4
  report_tasks: 4
  objective: {maximize: score}
  budget: {calls: 250}
  topology: {roles: [generator, fuser], models: [a, b], max_nodes: 4}
"""
A, B = {"role": "generator", "model": "a"}, {"role": "generator", "model": "b"}
WIDE = {"nodes": [A, A, B, B]}
CHAIN = {"nodes": [B, {"role": "fuser", "model": "b", "after": [1]}]}


async def search(
    folder: Path,
    optimizer: str,
    replies: list[object],
    *overrides: str,
    store: SampleStore | None = None,
    text: str = TEXT,
) -> SearchResult:
    said: dict[str, object] = {"replies": [_text(replies[0])]} if replies else {}
    if len(replies) > 1:
        said["rules"] = {"Reply with JSON only": [_text(replies[1])]}
    changes = [f"search.optimizer={optimizer}", "search.options.model=chief", *overrides]
    document = Document.parse(text % json.dumps(said)[1:-1], overrides=changes)
    return await run_search(prepare(document, document.search), folder=folder, store=store or MemoryStore())


def _text(reply: object) -> str:
    return reply if isinstance(reply, str) else json.dumps(reply)


def consulted(folder: Path) -> list[dict[str, Any]]:
    return [event.fields for event in read_events(folder) if isinstance(event, Decided) and event.what == "consulted"]


def seen(result: SearchResult) -> set[str]:
    return {row.config_id for row in result.report.rows if row.searched_tasks}


def key(words: object) -> str:
    document = Document.parse(TEXT % "replies: [x]")
    space = prepare(document, document.search).space
    return space.key(space.read(words))


PROPOSALS = {"configurations": [WIDE, {"nodes": []}, CHAIN]}


async def test_what_the_model_proposes_is_evaluated(tmp_path: Path) -> None:
    result = await search(tmp_path, "agent_tts", ["Try wide.", PROPOSALS], "search.options.startup=1")
    assert {key(WIDE), key(CHAIN)} <= seen(result)
    first, second = consulted(tmp_path)[:2]
    assert "score" in first["question"]
    assert "Try wide." in second["question"]


async def test_an_edit_that_the_model_writes_is_evaluated(tmp_path: Path) -> None:
    result = await search(tmp_path, "mcts", [{"edit": "widen", "configuration": WIDE}], "search.budget.calls=120")
    assert key(WIDE) in seen(result)


FEEDBACK = {"graph": WIDE, "chances": {"topology.1.model": [0.0, 1.0]}}


async def test_feedback_gives_the_next_graph_and_the_next_chances(tmp_path: Path) -> None:
    options = ("search.options.start=random", "search.options.graphs=2", "search.options.tasks=2")
    result = await search(tmp_path, "agent_reinforce", [FEEDBACK], *options, "search.options.budget=50")
    assert key(WIDE) in seen(result)
    assert '"topology.1.model": [0.01, 0.99]' in consulted(tmp_path)[1]["question"]


async def test_the_model_picks_what_is_piloted(tmp_path: Path) -> None:
    options = ("search.options.pilots=1", "search.options.numeric=true", "search.options.insights=false")
    result = await search(tmp_path, "agent_reinforce", [{"pick": [2]}], *options)
    (asked,) = consulted(tmp_path)
    assert "What is known" not in asked["question"]
    lines = asked["question"].splitlines()
    mix = next(line for line in lines if line.startswith("2. ")).removeprefix("2. ").split(", ")
    *first, last = mix
    piloted = {"nodes": [*({"role": "generator", "model": model} for model in first)]}
    piloted["nodes"].append({"role": "fuser", "model": last, "after": [1, 2, 3]})  # type: ignore[dict-item]
    assert key(piloted) in seen(result)


@pytest.mark.parametrize(
    "reply",
    [
        "I would try a wider graph.",
        '{"graph": {"nodes": []}, "chances": {}}',
        '{"graph": {"nodes": [{"role": "generator", "model": "a"}]}, "chances": {"edges": [1, 0]}}',
        '{"graph": {"nodes": [{"role": "generator", "model": "a"}]}, "chances": {"topology.1.model": [0.5]}}',
        '{"graph": {"nodes": [{"role": "generator", "model": "a"}]}, "chances": {"topology.1.model": [2, 0]}}',
        '{"graph": {"nodes": [{"role": "generator", "model": "a"}]}, "chances": {}, "note": "wide"}',
        '{"graph": ',
    ],
    ids=["prose", "no configuration", "no such choice", "too few", "no probability", "unknown field", "cut"],
)
async def test_a_reply_that_makes_no_sense_is_a_numeric_step(tmp_path: Path, reply: str) -> None:
    options = ["search.options.start=random", "search.options.graphs=2", "search.options.tasks=2"]
    options += ["search.topology.max_nodes=2", "search.budget.calls=100000"]
    asked = await search(tmp_path / "asked", "agent_reinforce", [reply], *options)
    alone = await search(tmp_path / "alone", "agent_reinforce", [reply], *options, "search.options.numeric=true")
    assert consulted(tmp_path / "asked")
    assert not consulted(tmp_path / "alone")
    assert seen(asked) == seen(alone)


async def test_a_model_that_cannot_be_reached_is_a_numeric_step(tmp_path: Path) -> None:
    text = TEXT.replace("{provider: scripted, %s}", "{provider: simulated, model: c, fail: 1, retries: 0} # %s")
    await search(tmp_path, "mcts", [], "search.budget.calls=60", text=text)
    assert {fields["reply"] for fields in consulted(tmp_path)} == {None}


async def test_what_the_model_reads_and_writes_is_charged(tmp_path: Path) -> None:
    store = MemoryStore()
    await search(tmp_path, "agent_tts", ["Try wide.", PROPOSALS], store=store)
    last = read_events(tmp_path)[-1]
    assert isinstance(last, Stopped)
    drawn = {row.model: row.samples for row in store.stats()}
    assert drawn["scripted/scripted"] == len(consulted(tmp_path)) > 0 if "scripted/scripted" in drawn else drawn
    assert last.charged.calls == sum(drawn.values())
    assert last.charged.calls <= 250


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
async def test_a_search_that_goes_on_asks_nothing_twice(tmp_path: Path, share: float) -> None:
    replies = ["Try wide.", PROPOSALS]
    options = ("search.options.startup=1", "search.options.proposals=3")
    whole = ("search.topology.max_nodes=2", "search.budget.calls=100000")
    await search(tmp_path / "whole", "agent_tts", replies, *options, *whole)
    events = (tmp_path / "whole/events.jsonl").read_bytes().splitlines(keepends=True)
    asked = [number for number, line in enumerate(events) if b'"consulted"' in line]
    at = asked[round(share * (len(asked) - 1))]
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/events.jsonl").write_bytes(b"".join(events[: at + 1]))
    store = MemoryStore()
    await search(tmp_path / "cut", "agent_tts", replies, *options, *whole, store=store)
    assert (tmp_path / "cut/cells.jsonl").read_bytes() == (tmp_path / "whole/cells.jsonl").read_bytes()
    said, before = ([(f["question"], f["reply"]) for f in consulted(tmp_path / n)] for n in ("cut", "whole"))
    assert said == before
    drawn = sum(row.samples for row in store.stats() if "scripted" in row.model)
    assert drawn == len(asked) - 1 - asked.index(at)


async def test_no_room_for_the_model_ends_the_search(tmp_path: Path) -> None:
    # One configuration of one call on four tasks, then the model is asked: three quarters of six calls are four.
    result = await search(tmp_path, "mcts", [{"edit": "", "configuration": WIDE}], "search.budget.calls=6")
    assert result.budget_ended
    assert len(seen(result)) == 1


class Word(Reply):
    word: str


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        pytest.param('{"word": "a"}', "a", id="bare"),
        pytest.param('Here it is:\n```json\n{"word": "a"}\n```\nDone {}.', "a", id="fenced"),
        pytest.param('{"word": 1}', None, id="another type"),
        pytest.param('{"word": "a", "why": "b"}', None, id="another field"),
        pytest.param("{" * 100_000, None, id="too deep"),
        pytest.param("a", None, id="no object"),
        pytest.param(None, None, id="no reply"),
    ],
)
def test_replies_are_read_strictly(reply: str | None, word: str | None) -> None:
    found = parse(reply, Word)
    assert (found.word if found else None) == word
