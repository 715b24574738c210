"""Budgets: reserve before a call, settle after it; a hard limit is never exceeded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from archloom.graphs import Price
from archloom.nodes import Budget


@dataclass(frozen=True)
class Usage:
    """What calls cost."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost_usd + other.cost_usd,
        )

    def __sub__(self, other: Usage) -> Usage:
        return self + Usage(-other.calls, -other.tokens_in, -other.tokens_out, -other.cost_usd)

    @classmethod
    def of_call(cls, price: Price | None, tokens_in: int, tokens_out: int) -> Usage:
        """One call of a model with this price."""
        cost = (price.input * tokens_in + price.output * tokens_out) / 1e6 if price else 0.0
        return cls(1, tokens_in, tokens_out, cost)

    def fits(self, budget: Budget) -> bool:
        """True when it is within every limit but time."""
        return (
            (budget.calls is None or self.calls <= budget.calls)
            and (budget.tokens is None or self.tokens <= budget.tokens)
            and (budget.cost_usd is None or self.cost_usd <= budget.cost_usd + 1e-12)
        )


ZERO = Usage()


class Ledger:
    """Accounts of one budget.

    ``reserve`` takes the most that calls can cost before they are sent; ``settle`` puts the real cost in its
    place. What is reserved and settled together never exceeds the limits, unless a server uses more than it
    was allowed to; ``overrun`` says so.

    Attributes:
        budget: The limits.
        settled: Real cost of all finished calls.
        reserved: Highest cost of the calls under way.
        overrun: True when a call cost more than was reserved for it and the limit was exceeded by that.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.settled = ZERO
        self.reserved = ZERO
        self.overrun = False
        self._landed = asyncio.Event()

    def room(self, needs: Iterable[Usage]) -> int:
        """How many of these calls fit together, in order."""
        count, total = 0, self.settled + self.reserved
        for need in needs:
            total = total + need
            if not total.fits(self.budget):
                break
            count += 1
        return count

    async def admit(self, need: Usage) -> bool:
        """Reserves this call as soon as there is room; ``False`` when there is none and nothing is under way.

        Reservations are upper bounds, so calls that land leave room: a budget ends when it is used up, not when
        the bounds of many calls at once would use it up.
        """
        while not self.room([need]):
            if not self.reserved.calls:
                return False
            self._landed.clear()
            await self._landed.wait()
        self.reserve(need)
        return True

    def reserve(self, need: Usage) -> None:
        """Sets aside the highest cost of calls that :meth:`room` let through."""
        assert (self.settled + self.reserved + need).fits(self.budget), "reserve() without room()"
        self.reserved = self.reserved + need

    def settle(self, need: Usage, real: Usage) -> None:
        """Replaces a reservation by what was really used; zero for a call that was never sent."""
        self.reserved = self.reserved - need
        self.settled = self.settled + real
        if not self.settled.fits(self.budget):
            self.overrun = True
        self._landed.set()
