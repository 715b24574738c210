"""Judges that look at several candidates or at probabilities, and pruning by the model's own."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.nodes import (
    Candidate,
    Candidates,
    Chooser,
    FailedSample,
    Grader,
    Messages,
    Prune,
    Sample,
    TokenLogprob,
    Unparsed,
    Verifier,
)
from archloom.nodes._parse_choice import parse_choice, parse_scores
from archloom.nodes._verdict_odds import verdict_odds
from archloom.testing import FakeContext

AFTER = ("draft",)


def candidates(*answers: str, scores: tuple[float | None, ...] = ()) -> Candidates:
    return tuple(
        Candidate(id=f"draft#{i}", text=f"It is {answer}.", answer=answer, score=scores[i] if scores else None)
        for i, answer in enumerate(answers)
    )


def seen(messages: Messages) -> list[str]:
    """The answers in the order in which a prompt shows them."""
    return re.findall(r"### Response \d+\nIt is (\w+)\.", str(messages[-1]["content"]))


def judge(reply: Callable[[list[str], int], str | FailedSample], *, seed: int = 0) -> FakeContext:
    return FakeContext("?", replies=lambda messages, index: reply(seen(messages), index), seed=seed)


class TestChooser:
    @given(seed=st.integers(0, 99))
    async def test_the_choice_is_that_of_the_shown_order(self, seed: int) -> None:
        ctx = judge(lambda shown, index: f"1. Right?\nBest: {shown.index('b') + 1}", seed=seed)
        [chosen] = await Chooser(model="m", after=AFTER).run(ctx.task, candidates("a", "b", "c"), ctx)
        assert chosen.answer == "b"

    async def test_one_that_cannot_be_read_is_asked_again_and_then_falls_back_on_all_as_they_came(self) -> None:
        ctx = judge(lambda shown, index: "Best: 9")
        given_ = candidates("a", "b")
        assert await Chooser(model="m", after=AFTER).run(ctx.task, given_, ctx) == given_
        assert len(ctx.asked) == 2
        assert [note.what for note in ctx.notes] == ["unparsed"]

    async def test_one_candidate_costs_nothing(self) -> None:
        ctx = judge(lambda shown, index: "Best: 1")
        assert len(await Chooser(model="m", after=AFTER).run(ctx.task, candidates("a"), ctx)) == 1
        assert ctx.asked == []


class TestGrader:
    WORTH: ClassVar = {"a": 3, "b": 9, "c": 6}

    @given(seed=st.integers(0, 99))
    async def test_orders_are_undone_before_scores_are_added(self, seed: int) -> None:
        ctx = judge(lambda shown, index: f"Scores: {', '.join(str(self.WORTH[each]) for each in shown)}", seed=seed)
        out = await Grader(model="m", after=AFTER, votes=4, trusted=4).run(ctx.task, candidates("a", "b", "c"), ctx)
        assert [(one.answer, one.score) for one in out] == [("a", 12.0), ("b", 36.0), ("c", 24.0)]
        assert len({tuple(seen(asked.request.messages)) for asked in ctx.asked}) > 1 or seed not in range(3)

    async def test_a_vote_that_leaves_one_out_is_dropped_whole(self) -> None:
        def reply(shown: list[str], index: int) -> str:
            return "Scores: 10" if index < 4 else f"Scores: {', '.join(str(self.WORTH[each]) for each in shown)}"

        ctx = judge(reply)
        node = Grader(model="m", after=AFTER, votes=4, trusted=4, reasks=0)
        out = await node.run(ctx.task, candidates("a", "b"), ctx)
        assert [one.score for one in out] == [None, None]
        ctx = judge(lambda shown, index: "Scores: 10" if index == 0 else reply(shown, 9))
        out = await node.run(ctx.task, candidates("a", "b"), ctx)
        assert [one.score for one in out] == [9.0, 27.0]

    async def test_those_that_agree_with_the_median_are_trusted(self) -> None:
        """Two of six judgements are upside down."""

        def reply(shown: list[str], index: int) -> str:
            worth = {"a": 9, "b": 1} if index < 2 else {"a": 2, "b": 8}
            return f"Scores: {', '.join(str(worth[each]) for each in shown)}"

        ctx = judge(reply)
        out = await Grader(model="m", after=AFTER, votes=6, reasks=0).run(ctx.task, candidates("a", "b"), ctx)
        assert [one.score for one in out] == [6.0, 24.0], "three of the four that agree"

    async def test_votes_on_the_same_order_are_different_samples(self) -> None:
        ctx = judge(lambda shown, index: "Scores: 5")
        await Grader(model="m", after=AFTER, votes=3).run(ctx.task, candidates("a"), ctx)
        assert len({asked.request.start for asked in ctx.asked}) == 3


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Best: 2", 1),
        ("**Best:** [3]", 2),
        ("best: Response 1.", 0),
        ("Best: 1\nNo.\nBest: 2", 1),
        ("Best: 4", None),
        ("Best: 0", None),
        ("Best: 1 or 2", None),
        ("Best: number", None),
        ("2", None),
    ],
)
def test_choices(reply: str, expected: int | None) -> None:
    parsed = parse_choice(reply, 3)
    assert isinstance(parsed, Unparsed) if expected is None else parsed == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Scores: 7, 3", (7.0, 3.0)),
        ("**Scores:** 7/10, 3/10", (7.0, 3.0)),
        ("Scores: Response 1: 7, Response 2: 3", (7.0, 3.0)),
        ("Scores: 1 = 7; 2 = 3", (7.0, 3.0)),
        ("Scores: [7.5, 3]", (7.5, 3.0)),
        ("Scores: 1, 1\nScores: 7, 3", (7.0, 3.0)),
        ("Scores: 7", None),
        ("Scores: 7, 3, 2", None),
        ("Scores: 11, 3", None),
        ("Scores: first, second, ...", None),
        ("7, 3", None),
    ],
)
def test_scores(reply: str, expected: tuple[float, ...] | None) -> None:
    parsed = parse_scores(reply, 2, 1, 10)
    assert isinstance(parsed, Unparsed) if expected is None else parsed == expected


def tokens(*parts: str | tuple[str, dict[str, float]]) -> tuple[TokenLogprob, ...]:
    """Tokens, some of them with the probabilities of their alternatives; the token itself is the first of these."""
    out = []
    for part in parts:
        text, chances = (part, {part: 1.0}) if isinstance(part, str) else part
        out.append(TokenLogprob(text, math.log(chances[text]), tuple((t, math.log(p)) for t, p in chances.items())))
    return tuple(out)


@pytest.mark.parametrize(
    ("reply", "odds"),
    [
        (tokens("Verdict:", (" correct", {" correct": 0.6, " incorrect": 0.2})), 0.75),
        (tokens("Verdict:", (" in", {" in": 0.6, " correct": 0.2}), "correct"), 0.25),
        (tokens("Ver", "dict", ": ", ("Yes", {"Yes": 0.5, "yes": 0.1, "No": 0.2})), 0.75),
        (tokens("Verdict: no. Verdict:", (" right", {" right": 0.3, " wrong": 0.1, " maybe": 0.6})), 0.75),
        (tokens("Verdict:", (" correct", {" correct": 0.9})), None),
        (tokens("It is", (" correct", {" correct": 0.6, " incorrect": 0.2})), None),
        ((), None),
    ],
    ids=["renormalised", "first of several tokens", "spellings", "the last one", "one side", "no verdict", "nothing"],
)
def test_odds_of_a_verdict(reply: tuple[TokenLogprob, ...], odds: float | None) -> None:
    assert verdict_odds(reply) == (None if odds is None else pytest.approx(odds))


class TestVerifier:
    def sure(self, chance: float, index: int = 0) -> Sample:
        said = tokens("Verdict:", (" correct", {" correct": chance, " incorrect": 1 - chance}))
        return Sample("Verdict: correct", "stop", 9, 2, 0.1, tokens=said, index=index)

    async def test_verdicts_count_with_their_probability_where_it_is_known(self) -> None:
        ctx = FakeContext("?", replies=[self.sure(0.6), self.sure(0.2, 1), "Verdict: incorrect"])
        node = Verifier(model="m", after=AFTER, votes=3, temperature=0.7, logprobs=5, keep="all")
        [one] = await node.run(ctx.task, candidates("a"), ctx)
        assert one.score == pytest.approx(0.8 / 3)
        assert one.accepted is False

    async def test_without_logprobs_a_verdict_is_one_or_nothing(self) -> None:
        ctx = FakeContext("?", replies=[self.sure(0.2)])
        [one] = await Verifier(model="m", after=AFTER).run(ctx.task, candidates("a"), ctx)
        assert one.score == 1.0

    async def test_only_those_are_judged_again_on_which_verdicts_disagreed(self) -> None:
        ctx = FakeContext("?", replies=lambda messages, index: "Verdict: correct")
        given_ = candidates("a", "b", "c", "d", scores=(0.75, 0.25, 0.5, None))
        out = await Verifier(model="m", after=AFTER, settled=0.75, keep="all").run(ctx.task, given_, ctx)
        assert ["It is c." in str(asked.request.messages) for asked in ctx.asked] == [True, False]
        assert [one.score for one in out] == [0.75, 0.25, 1.0, 1.0]

    async def test_when_all_is_settled_nobody_is_asked(self) -> None:
        ctx = FakeContext("?", replies=[])
        given_ = tuple(one.annotated(accepted=True) for one in candidates("a", "b", scores=(1.0, 0.9)))
        assert await Verifier(model="m", after=AFTER, settled=0.8).run(ctx.task, given_, ctx) == given_


def thought(index: int, likely: float | None, text: str = "") -> Candidate:
    logprob = None if likely is None else math.log(likely)
    return Candidate(id=f"draft#{index}", text=text or f"Thought {index}.", answer="7", logprob=logprob)


class TestPrune:
    async def test_the_unlikely_ones_are_dropped(self) -> None:
        rng = random.Random(1)
        likely = [rng.gauss(0.8, 0.02) for _ in range(12)] + [rng.gauss(0.2, 0.02) for _ in range(6)]
        given_ = tuple(thought(i, p) for i, p in enumerate(likely))
        ctx = FakeContext("?")
        out = await Prune(after=AFTER).run(ctx.task, given_, ctx)
        assert out == given_[:12]
        assert [(note.what, note.fields) for note in ctx.notes] == [("pruned", {"candidates": 6})]

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=24))
    async def test_what_is_above_average_stays_so_something_always_does(self, likely: list[float]) -> None:
        given_ = tuple(thought(i, p) for i, p in enumerate(likely))
        out = await Prune(after=AFTER).run(FakeContext("?").task, given_, FakeContext("?"))
        mean = sum(likely) / len(likely)
        assert {one.id for one, p in zip(given_, likely, strict=True) if p > mean * (1 + 1e-9)} <= {o.id for o in out}
        assert out

    @pytest.mark.parametrize(
        "likely",
        [[0.5] * 20, [0.1, 0.9, 0.2], [0.1, None, *[0.5 + i / 100 for i in range(10)]]],
        ids=["equal", "few", "one unknown"],
    )
    async def test_where_there_is_no_fit_nothing_is_dropped_and_it_is_noted(self, likely: list[float | None]) -> None:
        given_, ctx = tuple(thought(i, p) for i, p in enumerate(likely)), FakeContext("?")
        assert await Prune(after=AFTER).run(ctx.task, given_, ctx) == given_
        assert [note.what for note in ctx.notes] == ["not_pruned"]

    async def test_the_same_text_counts_once(self) -> None:
        given_ = (thought(0, 0.5, "Same."), thought(1, 0.4), thought(2, 0.5, "Same."))
        ctx = FakeContext("?")
        assert await Prune(after=AFTER).run(ctx.task, given_, ctx) == given_[:2]


class TestToolCalls:
    def call(self, name: str, arguments: str) -> dict[str, object]:
        return {"id": name, "type": "function", "function": {"name": name, "arguments": arguments}}

    def test_equal_calls_agree_whatever_was_said_and_in_any_order(self) -> None:
        one = Candidate(
            id="a", text="x", answer="x", tool_calls=(self.call("f", '{"a": 1, "b": 2}'), self.call("g", ""))
        )
        two = Candidate(id="b", text="", tool_calls=(self.call("g", "{}"), self.call("f", '{"b":2,"a":1}')))
        assert one.group == two.group is not None

    def test_other_arguments_and_unreadable_ones_do_not(self) -> None:
        one, two = (Candidate(id="a", text="", tool_calls=(self.call("f", args),)) for args in ('{"a": 1}', '{"a": 2}'))
        assert one.group != two.group
        assert Candidate(id="a", text="", tool_calls=(self.call("f", "{a:"),)).group is None
        assert Candidate(id="a", text="", tool_calls=({"function": None},)).group is None
