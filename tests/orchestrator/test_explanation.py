"""How an answer came to be: who wrote it, who said what of it, what it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from archloom.graphs import Document
from archloom.nodes import Candidate, Executed
from archloom.orchestrator import (
    Cell,
    CellObserved,
    Explanation,
    ModelPool,
    NodeOutcome,
    NodeRan,
    RunResult,
    Usage,
    Workflow,
    configuration_of,
    logged_runs,
)
from archloom.orchestrator.models import MemoryStore

DRAFT = Candidate("draft#0", "It is 54.", "54")
OTHER = Candidate("draft#1", "It is 56.", "56")


def outcome(node: str, *candidates: Candidate, given: tuple[Candidate, ...] = ()) -> NodeOutcome:
    return NodeOutcome(node, candidates, given=tuple(each.id for each in given))


def test_the_answer_is_followed_to_all_that_it_was_made_from() -> None:
    fused = Candidate("fuse#0", "56", "56", parents=("draft#0", "draft#1"))
    again = Candidate("last#0", "So 56", "56", parents=("fuse#0",))
    told = Explanation(
        [
            outcome("draft", DRAFT, OTHER),
            outcome("aside", Candidate("aside#0", "60", "60")),
            outcome("fuse", fused, given=(DRAFT, OTHER)),
            outcome("last", again, given=(fused,)),
        ]
    )
    assert [candidate.id for candidate in told.lineage] == ["draft#0", "draft#1", "fuse#0", "last#0"]
    assert told.answer is again


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (OTHER.annotated(accepted=True, score=0.75), "accepted, scored 0.75"),
        (OTHER.annotated(accepted=False), "rejected"),
        (OTHER.annotated(votes=1), "1 vote"),
        (OTHER.annotated(votes=3), "3 votes"),
        (OTHER.annotated(critique="too short"), "criticised"),
        (OTHER.annotated(executed=Executed("timeout")), "executed: timeout"),
    ],
)
def test_what_is_new_is_what_the_node_said(after: Candidate, words: str) -> None:
    told = Explanation([outcome("draft", DRAFT, OTHER), outcome("judge", after, given=(DRAFT, OTHER))])
    [said] = told.said_of("draft#1")
    assert (said.node, str(said)) == ("judge", words)
    assert told.steps[1].dropped == ("draft#0",)
    assert told.steps[1].wrote == ()


def test_what_was_said_before_is_not_said_again() -> None:
    scored = OTHER.annotated(score=0.5, critique="weak")
    judged = scored.annotated(critique="still weak")
    told = Explanation(
        [outcome("draft", OTHER), outcome("one", scored), outcome("two", judged), outcome("all", judged)]
    )
    assert [(said.node, said.score, said.critique) for said in told.said_of("draft#1")] == [
        ("one", 0.5, "weak"),
        ("two", None, "still weak"),
    ]


def test_a_candidate_that_was_rewritten_was_not_dropped() -> None:
    fused = Candidate("fuse#0", "56", parents=("draft#0",))
    told = Explanation([outcome("draft", DRAFT, OTHER), outcome("fuse", fused, given=(DRAFT, OTHER))])
    assert told.steps[1].dropped == ("draft#1",)


def test_a_run_that_failed_has_no_answer() -> None:
    told = Explanation([outcome("draft", DRAFT), NodeOutcome("judge", error="E401", given=("draft#0",))])
    assert told.answer is None
    assert told.lineage == ()
    assert told.steps[1].dropped == ("draft#0",)


WORKFLOW = """\
archloom: 1
answer: number
models:
  m: {provider: scripted, replies: ["It is 56.", "It is 54.", "It is 56.", "All in all 56."]}
nodes:
  draft: {type: generator, model: m, samples: 3}
  vote: {type: vote, after: draft}
  answer: {type: fuser, model: m, after: vote}
output: answer
"""


async def _run() -> RunResult:
    async with ModelPool(MemoryStore()) as pool:
        return await Workflow(configuration_of(Document.parse(WORKFLOW)), pool=pool).arun("7 times 8?")


async def test_a_real_run_tells_what_each_node_was_given() -> None:
    result = await _run()
    told = Explanation(result.nodes)
    assert told.steps[0].answers == {"56": 2, "54": 1}
    assert told.steps[1].dropped == ("draft#1", "draft#2")
    assert [candidate.id for candidate in told.lineage] == ["draft#0", "answer#0"]
    assert [str(said) for said in told.said_of("draft#0")] == ["2 votes"]


async def test_runs_come_back_from_a_log(tmp_path: Path) -> None:
    result = await _run()
    cell = Cell.of(result, 1.0)
    ran = [NodeRan(task=result.task, outcome=each.to_json(), config=result.configuration) for each in result.nodes]
    observed = CellObserved(cell=cell.to_json(), charged=Usage())
    [found] = logged_runs([*ran[:2], *ran, observed])  # a process was killed, and another one did it again
    assert found.cell == cell
    assert found.outcomes == result.nodes
    assert logged_runs([observed]) == ()
