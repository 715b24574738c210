"""Whom the winner is compared with: no baseline is weaker than what the search knows, and none is left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from archloom.graphs import Document
from archloom.orchestrator.models import MemoryStore
from archloom.search import SearchResult, prepare, run_search
from archloom.search._held_out import strongest

SPACE = """\
archloom: 1
name: short
answer: number
models: {m: {provider: simulated, model: m, skill: [2, 3]}, judge: {provider: simulated, model: judge}}
nodes:
  draft: {type: generator, model: m, samples: {choose: [2, 4]}}
  judged: {type: verifier, model: judge, after: draft, optional: true}
  answer: {type: vote, after: judged}
output: answer
search: {tasks: "simulated:short?size=40", search_tasks: 8, report_tasks: 16}
"""

SEVENTY, EIGHTY, LUCKY = (0,), (1,), (2,)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param(
            {EIGHTY: [1.0] * 60 + [0.0] * 20, SEVENTY: [1.0] * 63 + [0.0] * 7}, SEVENTY, id="not the most seen"
        ),
        pytest.param({LUCKY: [1.0] * 3, SEVENTY: [1.0] * 63 + [0.0] * 7}, SEVENTY, id="not three lucky tasks"),
        pytest.param({LUCKY: [1.0] * 30, SEVENTY: [1.0] * 56 + [0.0] * 14}, LUCKY, id="thirty are not luck"),
    ],
)
def test_the_single_call_to_beat_is_the_best_one_that_the_search_saw(
    scores: dict[tuple[int, ...], list[float]], expected: tuple[int, ...]
) -> None:
    assert strongest(scores) == expected


async def _search(folder: Path, calls: int) -> SearchResult:
    document = Document.parse(SPACE, overrides=[f"search.budget.calls={calls}", "search.objective.maximize=score"])
    return await run_search(prepare(document, document.search), folder=folder, store=MemoryStore())


async def test_where_the_budget_ends_what_says_most_has_run_and_the_rest_is_named(tmp_path: Path) -> None:
    cut = 0
    for calls in range(60, 360, 30):
        report = (await _search(tmp_path / str(calls), calls)).report
        winner, rows = report.winner, [row for row in report.rows if row.score is not None]
        assert winner is not None
        told = next((note for note in report.notes if "budget ended before" in note), "")
        names = told.partition("tasks: ")[2].partition(". Comparisons")[0].split("; ")
        assert {row.name for row in rows if row.tasks < 16} <= set(names)
        assert not {row.name for row in rows if row.tasks == 16} & set(names)
        if any(row.role == "tried" and row.tasks == 16 and row.tokens > winner.tokens for row in rows):
            assert winner.tasks == 16, "the winner before what is no cheaper"
            assert winner.matched or winner.name in {"×2", "×4"}, "and what it is measured by"
        cut += bool(told)
    assert 2 < cut < 10
