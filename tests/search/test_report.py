"""What a report concludes: from a space with known truth, and from tables that are written out."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from archloom.graphs import Configuration, Document, Objective
from archloom.orchestrator import Cell, Decided, configuration_of, read_events
from archloom.orchestrator.models import MemoryStore, SampleStore
from archloom.search import SearchResult, mcnemar, prepare, run_search, tasks_needed
from archloom.search._examine import Examined
from archloom.search._findings import heat, may_be_best
from archloom.search._held_out import Contender, HeldOut
from archloom.search._shrinkage import shrunken
from archloom.search._verdict import remarks, verdict

EQUAL = """\
archloom: 1
name: equal
answer: number
models:
  a: {provider: simulated, model: a, seed: 1, tokens: 60, skill: [600, 400]}
  b: {provider: simulated, model: b, seed: 2, tokens: 20, skill: [600, 400]}
  c: {provider: simulated, model: c, seed: 3, tokens: 40, skill: [600, 400]}
nodes:
  draft:
    type: generator
    model: {choose: [a, b, c]}
    temperature: {choose: [0.2, 0.5]}
    max_tokens: 128
output: draft
search: {tasks: "simulated:t?size=90", search_tasks: 30, report_tasks: 60, optimizer: grid}
"""
JUDGED = """\
archloom: 1
name: judged
answer: number
models:
  m: {provider: simulated, tokens: 20, skill: [2, 2]}
  j: {provider: simulated, model: j, tokens: 20, hit: 0.9, false_alarm: 0.15}
nodes:
  draft: {type: generator, model: m, samples: {choose: [1, 2, 4, 8]}, temperature: 0.6, max_tokens: 64}
  judged: {type: verifier, model: j, max_tokens: 64, after: draft, optional: true}
  answer: {type: vote, after: judged}
output: answer
search: {tasks: "simulated:t?size=100", search_tasks: 40, report_tasks: 60, seed: 3, optimizer: grid}
"""
SMALL = JUDGED.replace("[1, 2, 4, 8]", "[1, 2]").replace(
    "search_tasks: 40, report_tasks: 60", "search_tasks: 8, report_tasks: 12"
)


async def _search(folder: Path, text: str, *, seed: int = 0, store: SampleStore | None = None) -> SearchResult:
    document = Document.parse(text)
    setting = prepare(document, document.search.model_copy(update={"seed": seed}))
    return await run_search(setting, folder=folder, store=store or MemoryStore())


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return asyncio.run(_search(tmp_path_factory.mktemp("judged"), JUDGED))


# --- no significant difference


@pytest.mark.slow
async def test_equal_configurations_are_not_told_apart_and_the_cheapest_is_named(tmp_path: Path) -> None:
    verdicts = [(await _search(tmp_path / str(seed), EQUAL, seed=seed)).report for seed in range(6)]
    undecided = [report for report in verdicts if report.verdict.startswith("No significant difference")]
    assert len(undecided) >= 5, "one of twenty may be told apart by luck"
    for report in undecided:
        listed = [row for row in report.rows if row.role != "baseline" and row.score is not None]
        assert all(row.may_be_best for row in listed)
        cheapest = min(listed, key=lambda row: row.tokens)
        assert f"The cheapest of them is {cheapest.name}: {100 * (cheapest.score or 0):.1f} % at" in report.verdict


def _cells(configuration: Configuration, scores: list[float], tokens: int, cost_usd: float = 0.0) -> list[Cell]:
    return [
        Cell(configuration.id, f"t{task}", score, tokens, cost_usd, 1.0, 2, answer=str(score))
        for task, score in enumerate(scores)
    ]


def _held(*rows: tuple[str, str, list[float], int, float]) -> HeldOut:
    """A comparison of configurations with these names, roles, scores and costs."""
    base = configuration_of(Document.parse(EQUAL, overrides=["nodes.draft.model=a", "nodes.draft.temperature=0.2"]))
    held = HeldOut()
    for number, (name, role, scores, tokens, cost) in enumerate(rows):
        draft = base.nodes["draft"].model_copy(update={"max_tokens": 100 + number})
        own = replace(base, nodes={"draft": draft})
        held.add(Contender(own, name, role))
        held.cells[own.id] = _cells(own, scores, tokens, cost)
    return held


RNG = np.random.default_rng(0)
FAIR = [[float(x) for x in RNG.random(40) < 0.6] for _ in range(3)]


@pytest.mark.parametrize(
    ("pareto", "cheapest"),
    [
        pytest.param("tokens", "The cheapest of them is few tokens: {few:.1f} % at 50 tokens per task.", id="tokens"),
        pytest.param("cost_usd", "The cheapest of them is few dollars: {less:.1f} % at $0.001 per task.", id="dollars"),
    ],
)
def test_cheapest_is_meant_by_the_cost_of_the_objective(pareto: str, cheapest: str) -> None:
    held = _held(
        ("best", "winner", FAIR[0], 900, 0.01),
        ("few tokens", "front", FAIR[1], 50, 0.02),
        ("few dollars", "tried", FAIR[2], 400, 0.001),
    )
    said = verdict(held, Objective.model_validate({"pareto": ["score", pareto]}))
    assert said.startswith("No significant difference: the 3 configurations of the search that were compared")
    assert cheapest.format(few=100 * fmean(FAIR[1]), less=100 * fmean(FAIR[2])) in said


def test_a_clear_winner_is_not_called_undecided() -> None:
    held = _held(("best", "winner", [1.0] * 40, 900, 0.0), ("bad", "tried", FAIR[0], 50, 0.0))
    assert verdict(held, Objective()).startswith("best scores 100.0 % on 40 held-out tasks")
    assert list(may_be_best(held).values()) == [True, False]


def test_held_out_tasks_that_contradict_the_search_are_listened_to() -> None:
    held = _held(("lucky", "winner", FAIR[0], 900, 0.0), ("solid", "front", [1.0] * 40, 50, 0.0))
    said = verdict(held, Objective())
    assert said.startswith("The held-out tasks contradict the search: with 95 % confidence the best is solid.")


def test_a_rival_without_a_common_task_is_not_compared_with() -> None:
    held = _held(("best", "winner", FAIR[0], 900, 0.0), ("single call", "baseline", FAIR[1], 50, 0.0))
    held.single = next(id_ for id_, contender in held.contenders.items() if contender.role == "baseline")
    assert "; against the best single call" in verdict(held, Objective())
    held.cells[held.single] = [replace(cell, task=f"other {cell.task}") for cell in held.cells[held.single]]
    assert "against" not in verdict(held, Objective())
    del held.cells[held.single]
    assert "against" not in verdict(held, Objective())


def test_baselines_are_not_among_the_configurations_of_the_search() -> None:
    held = _held(("best", "winner", FAIR[0], 900, 0.0), ("single call", "baseline", FAIR[1], 50, 0.0))
    assert may_be_best(held) == {}


# --- figures beside the intervals


def test_every_figure_follows_from_the_cells(judged: SearchResult) -> None:
    held, rows = judged.held, {row.config_id: row for row in judged.report.rows}
    by_name = {row.name: row for row in rows.values()}
    matched = [row for row in rows.values() if row.matched is not None]
    assert matched
    for row in matched:
        first, second = held.paired(row.config_id, by_name[str(row.matched)].config_id)
        assert row.matched_p_value == pytest.approx(mcnemar(first, second).p_value)
    winner = held.winner.configuration.id
    first, second = held.paired(winner, str(held.single))
    p_value = mcnemar(first, second).p_value
    assert f"(exact McNemar p {'< 0.001' if p_value < 0.001 else f'= {p_value:.2g}'})" in judged.report.verdict


def test_what_is_not_told_apart_says_how_many_tasks_would_do(judged: SearchResult) -> None:
    held = judged.held
    first, second = held.paired(held.winner.configuration.id, str(held.winner.matched))
    told = [note for note in judged.report.notes if "not told apart" in note and "matched" in note]
    row = next(row for row in judged.report.rows if row.role == "winner")
    assert row.matched_interval is not None
    if row.matched_interval.low > 0:
        assert not told
    else:
        needed = tasks_needed(first, second)
        assert f"about {needed:,} tasks ({needed - 60:,} more)" in told[0]


def test_a_cheaper_configuration_that_may_be_the_best_is_named() -> None:
    good = [1.0] * 36 + [0.0] * 4
    rows = [
        ("dear", "winner", good, 900, 0.0),
        ("cheap", "front", good[::-1], 300, 0.0),
        ("bad", "tried", FAIR[0], 50, 0.0),
    ]
    named = "The cheapest configuration that may be the best, too, is cheap: 90.0 % at 300 tokens per task."
    assert named in remarks(_held(*rows), Objective(), {})
    rows[0], rows[1] = ("cheap", "winner", good, 300, 0.0), ("dear", "front", good[::-1], 900, 0.0)
    assert not any("may be the best" in remark for remark in remarks(_held(*rows), Objective(), {}))


def test_promise_is_the_shrunken_score_of_the_search_tasks(judged: SearchResult) -> None:
    searched = {
        event.cell["config"]: {} for event in read_events(judged.folder) if getattr(event, "part", "") == "search"
    }
    for event in read_events(judged.folder):
        if getattr(event, "part", "") == "search":
            searched[event.cell["config"]][event.cell["task"]] = event.cell["score"]
    tasks = sorted({task for own in searched.values() for task in own})
    expected = shrunken([[own[task] for task in tasks] for own in searched.values()])
    assert expected is not None
    promised = {row.config_id: row.corrected_score for row in judged.report.rows if row.corrected_score is not None}
    assert promised == pytest.approx(dict(zip(searched, expected, strict=True)))
    winner = promised[judged.winner.id]
    assert any(f"promised {100 * winner:.1f} % for the winner" in note for note in judged.report.notes)
    at = judged.report.convergence[-1]
    assert at.best_score == pytest.approx(promised[judged.winner.id])
    tokens = {
        id_: fmean(
            e.cell["tokens"]
            for e in read_events(judged.folder)
            if getattr(e, "part", "") == "search" and e.cell["config"] == id_
        )
        for id_ in searched
    }
    every = [(promised[id_], tokens[id_]) for id_ in searched]
    boxes = [(score, 1 - cost / max(tokens.values())) for score, cost in every]
    area, reached = 0.0, 0.0
    for score, room in sorted(boxes, key=lambda box: -box[1]):  # a staircase, the cheapest first
        area += max(0.0, score - reached) * room
        reached = max(reached, score)
    assert at.hypervolume == pytest.approx(area, abs=0.02)


def test_choices_that_matter_are_found(judged: SearchResult) -> None:
    found = {effect.choice: effect for effect in judged.report.importance}
    assert set(found) == {"draft.samples", "judged"}
    assert (found["judged"].best, found["judged"].worst) == ("yes", "no")
    assert found["draft.samples"].worst == "1"
    assert found["draft.samples"].gap_interval.low > 0


def test_scaling_laws_of_both_families(judged: SearchResult) -> None:
    assert [law.points for law in judged.report.scaling] == [4, 4]
    rows = {row.name: row for row in judged.report.rows}
    with_judge = next(law for law in judged.report.scaling if "judged" in law.family)
    members = [row for name, row in rows.items() if "judged" in name and row.searched_score is not None]
    assert with_judge.lowest == pytest.approx(min(row.tokens for row in members), rel=0.1)
    assert with_judge.highest == pytest.approx(max(row.tokens for row in members), rel=0.1)
    assert max(row.searched_score or 0 for row in members) - 0.05 < with_judge.ceiling <= 1
    assert with_judge.error < 0.1


# --- what replays tell


def test_judges_are_audited_against_the_truth(judged: SearchResult) -> None:
    judge = next(judge for judge in judged.report.judges if judge.node == "judged")
    assert judge.hit_interval is not None
    assert judge.false_alarm_interval is not None
    assert judge.hit_interval.low < 0.9 < judge.hit_interval.high
    assert judge.false_alarm_interval.low < 0.15 < judge.false_alarm_interval.high
    assert 0.98 * 8 * 60 < judge.right + judge.wrong <= 8 * 60, "all that got a verdict, the rejected ones too"
    assert judge.limit is not None
    assert judge.limit > 1


def test_winner_without_each_node_is_what_the_rest_scores(judged: SearchResult) -> None:
    """Without its judge the winner is another configuration of the space, whose held-out score the search paid for."""
    found = {each.node: each for each in judged.report.ablations}
    assert set(judged.winner.nodes) - set(found) == {"draft"}, "a vote without drafts is nothing"
    samples = judged.winner.nodes["draft"].samples  # type: ignore[attr-defined]
    plain = next(
        c
        for c in judged.held.contenders.values()
        if c.name == f"×{samples}" or c.configuration.name.endswith(str(samples))
    )
    assert found["judged"].score == pytest.approx(
        fmean(cell.value for cell in judged.held.cells[plain.configuration.id])
    )
    winner = fmean(cell.value for cell in judged.held.cells[judged.winner.id])
    for each in found.values():
        assert each.lost == pytest.approx(winner - each.score)
        assert each.interval.low <= each.lost <= each.interval.high
    drawn = judged.report.winner_drawing
    assert drawn is not None
    assert {node.name: node.heat for node in drawn.nodes if node.heat is not None} == heat(list(found.values()))


async def test_replays_are_logged_once_and_read_again_where_the_store_is_gone(tmp_path: Path) -> None:
    first = await _search(tmp_path, SMALL)
    again = await _search(tmp_path, SMALL)  # another store, which is empty
    assert again.report == first.report
    events = [event for event in read_events(tmp_path) if isinstance(event, Decided) and event.what == "examined"]
    assert len(events) == 1
    assert Examined.from_json(events[0].fields["found"]).to_json() == events[0].fields["found"]


async def test_what_is_not_free_is_left_out(tmp_path: Path) -> None:
    await _search(tmp_path, SMALL)
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_bytes(b"".join(line for line in lines if b'"examined"' not in line))
    report = (await _search(tmp_path, SMALL)).report  # the store is empty, the log has the cells only
    assert (report.judges, report.ablations, report.heat_note) == ((), (), "")
    assert report.winner_drawing is not None
    assert all(node.heat is None for node in report.winner_drawing.nodes)


# --- provenance


async def test_workflow_files_name_their_evidence_the_same_in_a_replay(tmp_path: Path) -> None:
    store = MemoryStore()
    heads = []
    for name in "ab":
        result = await _search(tmp_path / name, SMALL, store=store)
        heads.append([line for line in (result.folder / "best.yaml").read_text().splitlines() if line.startswith("#")])
    assert heads[0] == heads[1]
    data = (tmp_path / "a/cells.jsonl").read_bytes()
    cells = [event.cell for event in read_events(tmp_path / "a") if hasattr(event, "cell")]
    assert len(cells) == data.count(b"\n")
    assert (
        heads[0][5]
        == f"# evidence: {len(cells):,} cells, sha256 of cells.jsonl {hashlib.sha256(data).hexdigest()[:16]}"
    )
    assert f" {sum(cell['tokens'] for cell in cells):,} tokens, $0.0000" in heads[0][6]
    assert "numpy " + np.__version__ in heads[0][7]
