"""Repeat: which of the candidates of all rounds is the best, where queries were run."""

from __future__ import annotations

import pytest

from archloom.nodes import BodyRun, Candidate, Candidates, Executed, Part, Repeat, Task
from archloom.testing import FakeContext

BODY = {"nodes": {"same": {"type": "vote"}}, "output": "same"}


def ran(name: str, outcome: str | None, score: float | None = None, *, accepted: bool | None = None) -> Candidate:
    executed = None if outcome is None else Executed(outcome, name if outcome in {"ok", "empty"} else None)
    return Candidate(id=name, text=name, answer=name, score=score, accepted=accepted, executed=executed)


async def kept(rounds: list[Candidates], **fields: object) -> tuple[list[str], list[list[str]]]:
    """What a loop over these rounds keeps, and what each round was given."""
    handed: list[list[str]] = []

    def body(part: Part, shown: Candidates, turn: int, task: Task) -> BodyRun:
        handed.append([candidate.id for candidate in shown])
        return BodyRun(rounds[turn])

    ctx = FakeContext("Which?", bodies=body)
    node = Repeat.model_validate({"body": BODY, "rounds": len(rounds), **fields})
    return [candidate.id for candidate in await node.run(ctx.task, (), ctx)], handed


FAILURES = ("error", "timeout", "row_cap", "no_sql", "not_read_only", None)


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_a_result_is_better_than_an_empty_one_and_that_better_than_none(failure: str | None) -> None:
    full, empty, failed = ran("full", "ok"), ran("empty", "empty", 0.5), ran("failed", failure, 0.9)
    assert (await kept([(full,), (empty,), (failed,)], keep="best"))[0] == ["full"]
    assert (await kept([(empty,), (failed,)], keep="best"))[0] == ["empty"]
    assert (await kept([(failed,), (empty,)], keep="best"))[0] == ["empty"]


async def test_what_a_verifier_accepts_is_better_than_any_result() -> None:
    rounds = [(ran("accepted", "empty", accepted=True),), (ran("full", "ok", accepted=False),)]
    assert (await kept(rounds, keep="best"))[0] == ["accepted"]


async def test_of_two_results_the_higher_score_is_better_and_of_equals_the_later() -> None:
    assert (await kept([(ran("a", "ok", 0.7),), (ran("b", "ok", 0.4),)], keep="best"))[0] == ["a"]
    assert (await kept([(ran("a", "empty"),), (ran("b", "empty"),)], keep="best"))[0] == ["b"]


async def test_the_next_round_is_shown_the_best_and_the_worst_result() -> None:
    rounds = [(ran("empty", "empty"), ran("failed", "error"), ran("full", "ok")), (ran("next", "ok"),)]
    assert (await kept(rounds, carry="best_and_worst"))[1] == [[], ["full", "failed"]]
