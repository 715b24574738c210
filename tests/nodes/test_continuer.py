"""Going on with what is not finished: who is continued, with what, and what becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archloom.nodes import (
    BudgetReachedError,
    Candidate,
    Continuer,
    FailedSample,
    FinishReason,
    Generator,
    Messages,
    Sample,
    Task,
    TooFewSamplesError,
)
from archloom.testing import FakeContext

HALF = Candidate("draft#0", "First 5, then 4, so", tokens=6, complete=False)
DONE = Candidate("draft#1", "The answer is 9.", "9", tokens=4)
NEXT = Candidate("draft#2", "Let me see. Wait", tokens=5, complete=False)


def said(text: str, finish: FinishReason = "stop", **fields: Any) -> Sample:
    return Sample(text, finish, tokens_in=20, tokens_out=len(text.split()), latency_s=0.1, **fields)


def node(**fields: object) -> Continuer:
    return Continuer.model_validate({"model": "m", **fields})


async def test_text_goes_on_where_it_was_cut_and_the_complete_one_is_not_asked_about() -> None:
    ctx = FakeContext("5 + 4?", replies=[said(" the answer is 9."), said(" it is 8")], node="more")
    whole, done, other = await node().run(ctx.task, (HALF, DONE, NEXT), ctx)
    assert (whole.id, whole.parents, whole.text) == ("more#0", ("draft#0",), "First 5, then 4, so the answer is 9.")
    assert (whole.answer, whole.complete, whole.tokens) == ("9", True, 6 + 4)
    assert done is DONE
    assert (other.id, other.parents, other.text) == ("more#2", ("draft#2",), "Let me see. Wait it is 8")
    assert [asked.request.messages for asked in ctx.asked] == [
        (*ctx.task.messages, {"role": "assistant", "content": text}) for text in (HALF.text, NEXT.text)
    ]


async def test_complete_candidates_cost_nothing() -> None:
    ctx = FakeContext("5 + 4?")
    assert await node().run(ctx.task, (DONE,), ctx) == (DONE,)
    assert ctx.asked == []


async def test_what_was_said_of_the_beginning_is_not_said_of_the_whole() -> None:
    judged = HALF.annotated(score=0.9, critique="Good so far.", accepted=True, votes=3, support=0.5)
    ctx = FakeContext("5 + 4?", replies=[said(" 9")])
    [whole] = await node().run(ctx.task, (judged,), ctx)
    assert (whole.score, whole.critiques, whole.accepted, whole.votes, whole.support) == (None, (), None, None, None)


@pytest.mark.parametrize(
    ("reply", "complete", "answer"),
    [
        (said(" 4 and 5", "length"), False, None),
        (said(" The answer is 9. Wait"), False, "9"),
        (said("", "empty"), True, "4"),
        (said(" 9", "stop"), True, "9"),
    ],
    ids=["cut again", "paused again", "nothing left to say", "ends"],
)
async def test_it_may_have_to_be_continued_again(reply: Sample, complete: bool, answer: str | None) -> None:
    ctx = FakeContext("5 + 4?", replies=[reply])
    [whole] = await node(pause="Wait").run(ctx.task, (HALF,), ctx)
    assert (whole.complete, whole.answer) == (complete, answer)
    assert ctx.asked[0].sampling.pause == ("Wait",)


@pytest.mark.parametrize(("text", "complete"), [("Let me see. Wait", False), ("Wait. It is 9.", True)])
async def test_a_generator_leaves_what_pauses_unfinished(text: str, complete: bool) -> None:
    ctx = FakeContext("5 + 4?", replies=[said(text)])
    [begun] = await Generator(model="m", pause=("Wait", "Hmm")).run(ctx.task, (), ctx)
    assert begun.complete is complete


def test_a_string_ends_a_text_or_interrupts_it() -> None:
    with pytest.raises(ValidationError, match="stop or pause, not both"):
        node(stop="END", pause="Wait")


@pytest.mark.parametrize(
    ("unless", "going"),
    [(None, {"a", "b", "c"}), ("accepted", {"b", "c"}), ("answered", {"a", "b"})],
)
async def test_some_stay_as_they_are(unless: str | None, going: set[str]) -> None:
    given = (
        Candidate("a", "so", complete=False, accepted=True),
        Candidate("b", "so", complete=False, accepted=False),
        Candidate("c", "The answer is 9. Hm", "9", complete=False),
    )
    ctx = FakeContext("5 + 4?", replies=lambda messages, index: said(" 9"))
    out = await node(unless=unless).run(ctx.task, given, ctx)
    assert {each.parents[0] for each in out if each.parents} == going
    assert [each for each in out if not each.parents] == [each for each in given if each.id not in going]


@pytest.mark.parametrize(
    ("keep", "scores", "kept"),
    [
        (0.5, [0.1, 0.9, 0.4, 0.6], [1, 3]),
        (0.25, [0.1, 0.9, 0.4, 0.6], [1]),
        (0.3, [0.1, 0.9, 0.4, 0.6], [1, 3]),
        (0.01, [0.1, 0.9, 0.4, 0.6], [1]),
        (0.5, [None, 0.2, None, -3.0], [1, 3]),
        (0.5, [None, None, None, None], [0, 1]),
        (0.5, [0.5, 0.5, 0.5, 0.5], [0, 1]),
        (1.0, [None, 0.2, 0.3, 0.1], [0, 1, 2, 3]),
    ],
    ids=["half", "quarter", "rounded up", "at least one", "unscored last", "none scored", "ties by place", "all"],
)
async def test_the_best_share_is_finished_and_the_rest_is_dropped(
    keep: float, scores: Sequence[float | None], kept: list[int]
) -> None:
    begun = tuple(Candidate(f"d#{i}", f"b{i}", complete=False, score=score) for i, score in enumerate(scores))
    ctx = FakeContext("5 + 4?", replies=lambda messages, index: said(" 9"), node="more")
    out = await node(keep=keep).run(ctx.task, (*begun, replace(DONE, score=0.0)), ctx)
    assert [each.id for each in out] == [*(f"more#{i}" for i in kept), DONE.id], "what is complete does not compete"
    pruned = [note.fields["candidates"] for note in ctx.notes if note.what == "pruned"]
    assert pruned == ([len(scores) - len(kept)] if len(kept) < len(scores) else [])


async def test_a_cue_is_said_by_the_model_before_it_goes_on() -> None:
    ctx = FakeContext("5 + 4?", replies=[said(" 9.")])
    [whole] = await node(cue="\n\nThe answer is", unless="answered").run(ctx.task, (NEXT,), ctx)
    assert ctx.asked[0].request.messages[-1]["content"] == "Let me see. Wait\n\nThe answer is"
    assert (whole.text, whole.answer) == ("Let me see. Wait\n\nThe answer is 9.", "9")


async def test_equal_beginnings_are_continued_by_different_samples() -> None:
    twins = tuple(Candidate(f"d#{i}", text, complete=False) for i, text in enumerate(("so", "thus", "so")))
    ctx = FakeContext("5 + 4?", replies=lambda messages, index: said(f" {index}"))
    out = await node().run(ctx.task, twins, ctx)
    assert [each.text for each in out] == ["so 0", "thus 0", "so 1"]


async def test_a_reply_that_the_task_begins_gets_longer() -> None:
    task = Task(id="t", messages=({"role": "user", "content": "5 + 4?"}, {"role": "assistant", "content": "It is"}))
    ctx = FakeContext(task, replies=[said(" 9")])
    await node().run(task, (replace(HALF, text=" more than 8, so"),), ctx)
    assert ctx.asked[0].request.messages == (
        task.messages[0],
        {"role": "assistant", "content": "It is more than 8, so"},
    )


async def test_without_a_word_there_is_nothing_to_continue() -> None:
    thinking = Candidate("d#0", " \n", complete=False)
    ctx = FakeContext("5 + 4?")
    assert await node().run(ctx.task, (thinking,), ctx) == (thinking,)


@pytest.mark.parametrize(
    ("before", "after", "mean"),
    [(-1.0, -0.5, (-1.0 * 6 - 0.5 * 2) / 8), (None, -0.5, None), (-1.0, None, None)],
)
async def test_the_log_probability_is_that_of_all_tokens(
    before: float | None, after: float | None, mean: float | None
) -> None:
    ctx = FakeContext("5 + 4?", replies=[said(" it is", logprob=after)])
    [whole] = await node().run(ctx.task, (replace(HALF, logprob=before),), ctx)
    assert whole.logprob == mean


async def test_a_failed_call_leaves_the_beginning_and_too_many_fail_the_node() -> None:
    ctx = FakeContext("5 + 4?", replies=[FailedSample("server", "500"), said(" it is 9")])
    begun, whole = await node().run(ctx.task, (HALF, NEXT), ctx)
    assert begun is HALF
    assert whole.answer == "9"
    with pytest.raises(TooFewSamplesError):
        await node(min_success=2).run(
            ctx.task, (HALF, NEXT), FakeContext("?", replies=[said(" 9"), FailedSample("server", "500")])
        )


async def test_when_the_budget_ends_the_rest_stays_begun() -> None:
    ctx = FakeContext("5 + 4?", replies=[said(" it is 9")])
    whole, begun = await node().run(ctx.task, (HALF, NEXT), ctx)
    assert (whole.answer, begun) == ("9", NEXT)
    with pytest.raises(BudgetReachedError):
        await node().run(ctx.task, (HALF,), FakeContext("?"))


def test_the_cost_is_bounded_as_if_all_were_cut() -> None:
    begun = Generator(model="m", samples=4, max_tokens=100).longest(())
    more = node(max_tokens=50, keep=0.5)
    asked = more.requests(Task.ask("5 + 4?"), begun)
    assert [len(str(each.messages[-1]["content"])) for each in asked] == [len(begun[0].text)] * 2
    assert [len(each.text) for each in more.longest(begun)] == [len(begun[0].text) * 150 // 100] * 2


@given(
    finished=st.lists(st.booleans(), min_size=1, max_size=6),
    lost=st.lists(st.booleans(), min_size=6, max_size=6),
    keep=st.sampled_from([0.3, 0.5, 1.0]),
)
def test_every_text_is_a_beginning_and_its_own_rest(finished: list[bool], lost: list[bool], keep: float) -> None:
    """Whatever is complete, dropped or lost: no rest is put behind the beginning of another."""
    begun = tuple(Candidate(f"d#{i}", f"text {i}", complete=done) for i, done in enumerate(finished))

    def reply(messages: Messages, index: int) -> Sample | FailedSample:
        number = int(str(messages[-1]["content"]).rpartition(" ")[2])
        return FailedSample("server", "500") if lost[number] else said(f" goes on with {number}")

    ctx = FakeContext("?", replies=reply)
    try:
        out = asyncio.run(node(keep=keep).run(ctx.task, begun, ctx))
    except TooFewSamplesError:
        return
    by_id = {each.id: each for each in begun}
    for each in out:
        if each.parents:
            number = each.parents[0].rpartition("#")[2]
            assert each.text == f"{by_id[each.parents[0]].text} goes on with {number}"
        else:
            assert each is by_id[each.id]
    assert {each.id for each in out} >= {each.id for each in begun if each.complete}
