"""The ledger: whatever is reserved and settled, in whatever order, no limit is exceeded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from archloom.graphs import Price, ScriptedModel
from archloom.nodes import Budget
from archloom.orchestrator import Ledger, Usage
from archloom.orchestrator.models._costs import CostModel

PRICES = st.sampled_from([None, Price(), Price(input=3.0, output=15.0), Price(input=0.07, output=0.3)])
NEEDS = st.builds(
    lambda price, tokens_in, tokens_out: CostModel(ScriptedModel(price=price)).of_call(tokens_in, tokens_out),
    PRICES,
    st.integers(0, 400),
    st.integers(0, 200),
)
BUDGETS = st.builds(
    Budget,
    calls=st.none() | st.integers(1, 12),
    tokens=st.none() | st.integers(1, 3000),
    cost_usd=st.none() | st.floats(1e-6, 0.02),
)


def within(usage: Usage, budget: Budget) -> bool:
    """Exact for whole numbers; a price is a float."""
    return (
        (budget.calls is None or usage.calls <= budget.calls)
        and (budget.tokens is None or usage.tokens_in + usage.tokens_out <= budget.tokens)
        and (budget.cost_usd is None or usage.cost_usd <= budget.cost_usd + 1e-9)
    )


def total(usages: Sequence[Usage]) -> Usage:
    return sum(usages, Usage())


class Accounts(RuleBasedStateMachine):
    """Calls are let in as far as there is room, and land in any order having used any part of their need."""

    under_way = Bundle("under_way")

    @initialize(budget=BUDGETS)
    def open(self, budget: Budget) -> None:
        self.ledger = Ledger(budget)
        self.flying: list[Usage] = []
        self.landed: list[Usage] = []

    @rule(target=under_way, needs=st.lists(NEEDS, max_size=6))
    def reserve(self, needs: list[Usage]) -> object:
        room = self.ledger.room(needs)
        assert self._fits(needs[:room])
        assert room == len(needs) or not self._fits(needs[: room + 1])
        for need in needs[:room]:
            self.ledger.reserve(need)
        self.flying += needs[:room]
        return multiple(*needs[:room])

    @rule(need=consumes(under_way), tokens_in=st.floats(0, 1), tokens_out=st.floats(0, 1))
    def settle(self, need: Usage, tokens_in: float, tokens_out: float) -> None:
        share = min(tokens_in, tokens_out)
        real = Usage(1, int(need.tokens_in * tokens_in), int(need.tokens_out * tokens_out), need.cost_usd * share)
        self.ledger.settle(need, real)
        self.flying.remove(need)
        self.landed.append(real)

    @rule(need=consumes(under_way))
    def never_send(self, need: Usage) -> None:
        self.ledger.settle(need, Usage())
        self.flying.remove(need)

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        assert within(self.ledger.settled + self.ledger.reserved, self.ledger.budget)
        assert not self.ledger.overrun

    @invariant()
    def the_books_are_right(self) -> None:
        for booked, real in ((self.ledger.settled, self.landed), (self.ledger.reserved, self.flying)):
            expected = total(real)
            assert (booked.calls, booked.tokens_in, booked.tokens_out) == (
                expected.calls, expected.tokens_in, expected.tokens_out,
            )  # fmt: skip
            assert booked.cost_usd == pytest.approx(expected.cost_usd, abs=1e-12)

    def _fits(self, more: Sequence[Usage]) -> bool:
        """Adds up in the order in which the ledger does, so that the comparison is exact."""
        return sum(more, self.ledger.settled + self.ledger.reserved).fits(self.ledger.budget)


TestAccounts = Accounts.TestCase


@given(needs=st.lists(NEEDS, max_size=8), budget=BUDGETS)
def test_room_counts_a_prefix_and_looks_no_further(needs: list[Usage], budget: Budget) -> None:
    fitting = [count for count in range(len(needs) + 1) if total(needs[:count]).fits(budget)]
    assert Ledger(budget).room(needs) == max(fitting)


@pytest.mark.parametrize(
    ("budget", "needs", "room"),
    [
        (Budget(), [Usage(calls=10**9)], 1),
        (Budget(calls=2), [Usage(calls=1)] * 3, 2),
        (Budget(tokens=10), [Usage(1, 4, 2), Usage(1, 3, 1), Usage(1, 0, 1)], 2),
        (Budget(tokens=10), [Usage(1, 11, 0), Usage(1, 1, 0)], 0),
        (Budget(cost_usd=0.3), [Usage(1, 0, 0, 0.1)] * 4, 3),
        (Budget(calls=9, cost_usd=0.1), [Usage(1, 0, 0, 0.05)] * 4, 2),
        (Budget(time_s=1e-9), [Usage(1, 1, 1, 1.0)], 1),
    ],
    ids=["no limit", "calls", "tokens", "a big one blocks", "cost", "the tightest limit", "time is not its matter"],
)
def test_room(budget: Budget, needs: list[Usage], room: int) -> None:
    assert Ledger(budget).room(needs) == room


def test_a_server_that_uses_more_than_it_may_is_told_apart_and_stops_the_rest() -> None:
    ledger = Ledger(Budget(tokens=10))
    ledger.reserve(Usage(1, 4, 4))
    ledger.settle(Usage(1, 4, 4), Usage(1, 4, 9))
    assert ledger.overrun
    assert ledger.room([Usage(1, 0, 0)]) == 0


def test_usage_of_a_call_has_its_price_per_million() -> None:
    assert CostModel(ScriptedModel(price=Price(input=3.0, output=15.0))).of_call(1000, 100) == Usage(
        1, 1000, 100, 0.0045
    )
    assert CostModel(ScriptedModel()).of_call(1000, 100) == Usage(1, 1000, 100, 0.0)


async def test_a_call_waits_while_those_under_way_may_still_leave_room() -> None:
    ledger = Ledger(Budget(tokens=100))
    need = Usage(1, 0, 60)
    assert await ledger.admit(need)
    async with asyncio.TaskGroup() as group:
        second = group.create_task(ledger.admit(need))
        third = group.create_task(ledger.admit(need))
        await asyncio.sleep(0)
        assert not second.done()
        ledger.settle(need, Usage(1, 0, 10))
        assert await second
        await asyncio.sleep(0)
        assert not third.done()
        ledger.settle(need, Usage(1, 0, 50))
        assert not await third
    assert ledger.settled == Usage(2, 0, 60)
    assert ledger.reserved == Usage()


async def test_who_stops_waiting_for_room_reserves_nothing() -> None:
    ledger = Ledger(Budget(calls=1))
    assert await ledger.admit(Usage(calls=1))
    waiting = asyncio.ensure_future(ledger.admit(Usage(calls=1)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert ledger.reserved == Usage(calls=1)


@given(
    budget=BUDGETS,
    needs=st.lists(NEEDS, min_size=1, max_size=12),
    shares=st.lists(st.floats(0, 1), min_size=12, max_size=12),
)
def test_calls_that_wait_for_room_never_exceed_a_limit(budget: Budget, needs: list[Usage], shares: list[float]) -> None:
    ledger = Ledger(budget)
    refused: list[Usage] = []

    async def call(need: Usage, share: float) -> None:
        if not await ledger.admit(need):
            refused.append(need)
            return
        assert within(ledger.settled + ledger.reserved, budget)
        await asyncio.sleep(0)
        ledger.settle(need, Usage(1, int(need.tokens_in * share), int(need.tokens_out * share), need.cost_usd * share))

    async def all_at_once() -> None:
        async with asyncio.TaskGroup() as group:
            for need, share in zip(needs, shares, strict=False):
                group.create_task(call(need, share))

    asyncio.run(all_at_once())
    assert within(ledger.settled, budget)
    assert ledger.reserved.calls == 0
    assert not any((ledger.settled + need).fits(budget) for need in refused)
