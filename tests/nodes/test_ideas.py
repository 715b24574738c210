"""Ideas: every small set of observations is there once, none is made up, and what cannot be read ends its branch."""

from __future__ import annotations

from math import comb

import pytest

from archloom.nodes import Abstain, Candidate, Generator, Ideas, Messages, Splitter
from archloom.testing import FakeContext

LIST = "1. It is even.\n2. It is small.\n3. It is old."


def context(*replies: str) -> FakeContext:
    left = list(replies)
    return FakeContext("How many?", replies=lambda messages, index: left.pop(0))


def lines(plan: Candidate) -> list[str]:
    return [line.removeprefix("- ") for line in plan.text.splitlines()[1:]]


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_there_is_a_plan_for_each_small_set_and_one_for_none(size: int) -> None:
    ctx = context(LIST)
    plans = await Ideas(model="m", size=size).run(ctx.task, (), ctx)
    assert len(plans) == len({plan.text for plan in plans}) == sum(comb(3, k) for k in range(size + 1))
    assert plans[0].text == ""
    assert {plan.kind for plan in plans} == {"plan"}
    assert {line for plan in plans for line in lines(plan)} == {"It is even.", "It is small.", "It is old."}


async def test_a_second_layer_extends_each_set_and_says_which_it_came_from() -> None:
    ctx = context("1. New one.", "1. New two.\n2. New three.")
    given = (Candidate("ideas#0", "", kind="plan"), Candidate("ideas#4", "Observations:\n- Old.", kind="plan"))
    plans = await Ideas(model="m", size=1, after="ideas").run(ctx.task, given, ctx)
    assert [(lines(plan), plan.parents) for plan in plans] == [
        ([], ("ideas#0",)),
        (["New one."], ("ideas#0",)),
        (["Old."], ("ideas#4",)),
        (["Old.", "New two."], ("ideas#4",)),
        (["Old.", "New three."], ("ideas#4",)),
    ]


async def test_a_list_that_stays_unreadable_ends_its_branch() -> None:
    ctx = context("I cannot.", "1. New.", "I still cannot.")
    given = (Candidate("ideas#0", "Observations:\n- A.", kind="plan"), Candidate("ideas#1", "", kind="plan"))
    plans = await Ideas(model="m", after="ideas").run(ctx.task, given, ctx)
    assert [lines(plan) for plan in plans] == [["A."], [], ["New."]]


async def test_of_too_many_sets_some_are_drawn_and_none_twice() -> None:
    ctx = context(LIST)
    plans = await Ideas(model="m", size=3, most=4).run(ctx.task, (), ctx)
    assert len({plan.text for plan in plans}) == 4
    assert [plan.id for plan in plans] == [f"{ctx.node}#{number}" for number in range(4)]


async def test_no_more_observations_are_kept_than_asked_for() -> None:
    ctx = context(LIST)
    plans = await Ideas(model="m", observations=2, size=1).run(ctx.task, (), ctx)
    assert [lines(plan) for plan in plans] == [[], ["It is even."], ["It is small."]]


def test_a_plan_is_longer_than_no_set_that_comes_of_it() -> None:
    node = Ideas(model="m", most=3, max_tokens=8)
    before = Candidate("ideas#0", "Observations:\n- " + "a" * 30, kind="plan")
    longest = node.longest((before,))
    assert len(longest) == 3
    assert len(longest[0].text) > len(before.text) + 8


def test_a_generator_is_shown_a_plan_as_what_to_go_by_and_not_as_an_attempt() -> None:
    ctx = context()
    [request] = Generator(model="m", after="ideas").requests(
        ctx.task, (Candidate("i#1", "Observations:\n- A.", kind="plan"),)
    )
    assert text(request.messages) == "How many?\n\nObservations:\n- A."


def test_a_splitter_is_shown_drafts_to_choose_from_where_there_are_some() -> None:
    ctx = context()
    node = Splitter(model="m")
    [bare], [shown] = [node.requests(ctx.task, given) for given in ((), (Candidate("d#0", "1. a"),))]
    assert "### Response" not in text(bare.messages)
    assert "### Response 1\n1. a\n" in text(shown.messages)


async def test_abstain_declines_where_nothing_comes_before_it() -> None:
    ctx = context()
    [declined] = await Abstain(text="not clear").run(ctx.task, (), ctx)
    assert (declined.text, declined.accepted, declined.parents) == ("not clear", False, ())
    assert len(Abstain().longest(())) == 1


def text(messages: Messages) -> str:
    return str(messages[-1]["content"])
