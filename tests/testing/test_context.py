"""The context for tests of nodes: what it plays, and what it keeps."""

from __future__ import annotations

import pytest

from archloom.nodes import BudgetReachedError, FailedSample, Messages, Request, Sample, Sampling, Task, Vote
from archloom.testing._context import Asked, FakeContext, Note
from archloom.tools import SandboxUnavailableError, sandbox

QUESTION = ({"role": "user", "content": "What is 5 x 9?"},)


async def test_replies_are_given_in_the_order_of_requests_and_indices() -> None:
    failure = FailedSample("timeout", "60 s")
    ctx = FakeContext("What is 5 x 9?", replies=["45", failure, "46"])
    first, second = await ctx.sample("m", [Request(QUESTION, 2), Request(QUESTION, start=4)], sampling=Sampling())
    assert first == [Sample("45", "stop", 10, 1, 0.1, index=0), failure]
    assert second == [Sample("46", "stop", 10, 1, 0.1, index=4)]
    assert ctx.asked == [
        Asked("m", Request(QUESTION, 2), Sampling()),
        Asked("m", Request(QUESTION, start=4), Sampling()),
    ]


async def test_a_used_up_script_is_an_ended_budget() -> None:
    ctx = FakeContext("q", replies=["45"])
    [short] = await ctx.sample("m", [Request(QUESTION, 3)], sampling=Sampling())
    assert len(short) == 1
    with pytest.raises(BudgetReachedError):
        await ctx.sample("m", [Request(QUESTION)], sampling=Sampling())


async def test_replies_can_be_a_function() -> None:
    def reply(messages: Messages, index: int) -> str:
        return f"{messages[-1]['content']} {index}"

    ctx = FakeContext("q", replies=reply)
    [replies] = await ctx.sample("m", [Request(QUESTION, 2, start=1)], sampling=Sampling())
    assert [each.text for each in replies if isinstance(each, Sample)] == ["What is 5 x 9? 1", "What is 5 x 9? 2"]


def test_answers_notes_and_random_numbers() -> None:
    ctx = FakeContext(Task.ask("q", id="t"), answer="choice", node="vote", seed=3)
    assert (ctx.node, ctx.task.id, ctx.answer("(B)"), ctx.answer("B", complete=False)) == ("vote", "t", "B", None)
    ctx.note("tie", answers=["A", "B"])
    assert ctx.notes == [Note("tie", {"answers": ["A", "B"]})]
    assert ctx.rng.random() == FakeContext("q", seed=3).rng.random() != FakeContext("q").rng.random()
    assert ctx.rng is ctx.rng


async def test_a_node_runs_in_it() -> None:
    ctx = FakeContext("q")
    assert await Vote().run(ctx.task, (), ctx) == ()
    assert [note.what for note in ctx.notes] == ["no_consensus"]


def test_programs_run_where_they_would_run_really() -> None:
    try:
        real = sandbox()
    except SandboxUnavailableError as exc:
        pytest.skip(str(exc))
    assert FakeContext("q").sandbox is real
