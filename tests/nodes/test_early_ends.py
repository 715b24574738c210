"""When a generator stops drawing: by the first that end, or by how well answers agree."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta

from archloom.nodes import BudgetReachedError, FailedSample, Generator, Messages, Sample, Stopping
from archloom.nodes._stopping import beats_all, beats_second, entropy, leading_share
from archloom.testing import FakeContext

COUNTS = st.lists(st.integers(1, 12), min_size=1, max_size=6).map(lambda counts: sorted(counts, reverse=True))


class TestRules:
    @pytest.mark.parametrize(
        ("counts", "stops"),
        [
            ([3], False),
            ([4], True),
            ([5, 1], False),
            ([6, 1], True),
            ([7, 2], False),
            ([8, 2], True),
            ([8, 3], False),
            ([9, 3], True),
        ],
        ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else None,
    )
    def test_beta_stops_exactly_where_the_paper_does(self, counts: list[int], stops: bool) -> None:
        assert Stopping(rule="beta").reached(counts) is stops

    @given(COUNTS)
    def test_beta_is_the_tail_of_the_posterior(self, counts: list[int]) -> None:
        second = counts[1] if len(counts) > 1 else 0
        assert beats_second(counts) == pytest.approx(beta.sf(0.5, counts[0] + 1, second + 1), abs=1e-12)

    @given(st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda counts: sorted(counts, reverse=True)))
    def test_dirichlet_of_two_answers_is_beta(self, counts: list[int]) -> None:
        assert beats_all(counts) == pytest.approx(beats_second(counts), abs=1e-6)

    def test_dirichlet_of_equals_is_one_over_their_number(self) -> None:
        for many in (2, 3, 5):
            assert beats_all([4] * many) == pytest.approx(1 / many, abs=1e-6)

    def test_dirichlet_waits_where_three_ways_are_open(self) -> None:
        split = [9, 3, 3, 3]
        assert Stopping(rule="beta").reached(split)
        assert not Stopping(rule="dirichlet").reached(split)

    @pytest.mark.parametrize(
        ("rule", "counts", "stops"),
        [
            ("share", [4, 1], True),
            ("share", [3, 1], False),
            ("entropy", [4, 1], True),
            ("entropy", [3, 1], False),
            ("entropy", [4], True),
            ("entropy", [3], False),
        ],
    )
    def test_share_and_entropy(self, rule: str, counts: list[int], stops: bool) -> None:
        assert Stopping.model_validate({"rule": rule}).reached(counts) is stops

    def test_measures(self) -> None:
        assert leading_share([6, 3, 1]) == 0.6
        assert entropy([2, 2]) == pytest.approx(1.0)
        assert entropy([3, 1]) == pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)))

    def test_without_an_answer_nothing_stops(self) -> None:
        assert not Stopping().reached([])

    def test_order_of_the_counts_does_not_matter(self) -> None:
        assert Stopping().reached([1, 6])


def drawing(answers: str, **fields: object) -> tuple[Generator, FakeContext]:
    """A generator, and a model that gives these answers; ``?`` is none and ``!`` a failure."""

    def reply(messages: Messages, index: int) -> str | FailedSample:
        letter = answers[index]
        return FailedSample("server", "500", index) if letter == "!" else "Hm." if letter == "?" else letter

    node = Generator.model_validate({"model": "m", "samples": len(answers)} | fields)
    return node, FakeContext("?", replies=reply)


class TestUntil:
    @pytest.mark.parametrize(
        ("answers", "drawn"),
        [
            ("777777777777", 4),
            ("777177777777", 7),
            ("717777777777", 7),
            ("??7777777777", 6),
            ("!!7777777777", 6),
            ("123123123123", 12),
            ("777", 3),
        ],
        ids=["unanimous", "one other", "another early", "unread do not count", "failed do not count", "never", "few"],
    )
    async def test_draws_until_the_lead_is_safe(self, answers: str, drawn: int) -> None:
        node, ctx = drawing(answers, until={"rule": "beta"})
        out = await node.run(ctx.task, (), ctx)
        assert sum(asked.request.n for asked in ctx.asked) == drawn
        assert [one.id for one in out] == [f"node#{i}" for i in range(drawn) if answers[i] != "!"]

    async def test_batches_look_less_often(self) -> None:
        node, ctx = drawing("7717777777", until={"least": 2, "batch": 3})
        await node.run(ctx.task, (), ctx)
        assert [(asked.request.start, asked.request.n) for asked in ctx.asked] == [(0, 3), (3, 3), (6, 3)]

    async def test_the_log_says_why_it_stopped(self) -> None:
        node, ctx = drawing("77777", until={})
        await node.run(ctx.task, (), ctx)
        assert [(note.what, note.fields["answers"]) for note in ctx.notes] == [("agreed", [4])]

    async def test_what_is_there_counts_when_the_budget_ends(self) -> None:
        node = Generator(model="m", samples=9, until=Stopping())
        ctx = FakeContext("?", replies=["1", "2", "1", "2", "1"])
        assert len(await node.run(ctx.task, (), ctx)) == 5
        with pytest.raises(BudgetReachedError):
            await node.run(ctx.task, (), FakeContext("?", replies=[]))


def taking(*latencies: float, answers: str = "") -> FakeContext:
    """A model whose samples take so long; ``?`` is one without an answer, ``!`` a failure."""

    def reply(messages: Messages, index: int) -> Sample | FailedSample:
        letter = answers[index] if answers else str(index)
        if letter == "!":
            return FailedSample("server", "500", index)
        text = "Hm." if letter == "?" else letter
        return Sample(text, "stop", 10, round(10 * latencies[index]), latencies[index], index=index)

    return FakeContext("?", replies=reply)


class TestFirst:
    async def test_the_first_that_end_are_kept_in_that_order(self) -> None:
        ctx = taking(4.0, 2.0, 3.0, 1.0)
        out = await Generator(model="m", samples=4, first=2).run(ctx.task, (), ctx)
        assert [one.id for one in out] == ["node#3", "node#1"]
        assert [(note.what, note.fields) for note in ctx.notes] == [("cancelled", {"calls": 2, "tokens": 40})]

    async def test_who_ends_without_an_answer_has_not_finished(self) -> None:
        ctx = taking(1.0, 2.0, 3.0, 4.0, answers="?!79")
        out = await Generator(model="m", samples=4, first=1).run(ctx.task, (), ctx)
        assert [one.answer for one in out] == ["7"]

    async def test_fewer_answers_than_wanted_are_all_there_is(self) -> None:
        ctx = taking(1.0, 2.0, 3.0, answers="?7?")
        assert len(await Generator(model="m", samples=3, first=2).run(ctx.task, (), ctx)) == 1

    async def test_without_any_answer_all_pass_on(self) -> None:
        ctx = taking(1.0, 2.0, answers="??")
        assert len(await Generator(model="m", samples=2, first=1).run(ctx.task, (), ctx)) == 2

    async def test_of_equals_the_earlier_draw_wins(self) -> None:
        ctx = taking(1.0, 1.0, 1.0)
        out = await Generator(model="m", samples=3, first=1).run(ctx.task, (), ctx)
        assert [one.id for one in out] == ["node#0"]

    def test_two_ways_to_end_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="first or until"):
            Generator(model="m", first=1, until=Stopping())
