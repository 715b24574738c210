"""Budgets: reserve before a call, settle after it; a hard limit is never exceeded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from archloom.nodes import Budget


@dataclass(frozen=True)
class Usage:
    """What calls cost.

    Attributes:
        calls: Requests for one sample, each try counted.
        tokens_in: Prompt tokens.
        tokens_out: Completion tokens.
        cost_usd: Their price, US dollars.
        tokens_estimated: How many of the tokens are not the server's count: it gave none, or the call was cut off,
            which counts with the most that it can have used unless the reply had told more.
        flops: Floating-point operations, for models with a known shape (see ``models/_costs.py``).
        memory_bytes: Bytes read from memory, for models with a known shape.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    tokens_estimated: int = 0
    flops: float = 0.0
    memory_bytes: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Usage) -> Usage:
        return _usage(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost_usd + other.cost_usd,
            self.tokens_estimated + other.tokens_estimated,
            self.flops + other.flops,
            self.memory_bytes + other.memory_bytes,
        )

    def __sub__(self, other: Usage) -> Usage:
        return _usage(
            self.calls - other.calls,
            self.tokens_in - other.tokens_in,
            self.tokens_out - other.tokens_out,
            self.cost_usd - other.cost_usd,
            self.tokens_estimated - other.tokens_estimated,
            self.flops - other.flops,
            self.memory_bytes - other.memory_bytes,
        )

    def fits(self, budget: Budget) -> bool:
        """True when it is within every limit but time."""
        return (
            (budget.calls is None or self.calls <= budget.calls)
            and (budget.tokens is None or self.tokens <= budget.tokens)
            and (budget.cost_usd is None or self.cost_usd <= budget.cost_usd + 1e-12)
        )


ZERO = Usage()


def _usage(
    calls: int,
    tokens_in: int,
    tokens_out: int,
    cost_usd: float,
    tokens_estimated: int,
    flops: float,
    memory_bytes: float,
) -> Usage:
    """The same as ``Usage(...)``, whose frozen ``__init__`` takes three times as long; calls add up many of these."""
    usage = object.__new__(Usage)
    usage.__dict__.update(
        calls=calls,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_usd=cost_usd,
        tokens_estimated=tokens_estimated,
        flops=flops,
        memory_bytes=memory_bytes,
    )
    return usage


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

    @property
    def _limited(self) -> bool:
        budget = self.budget  # a search gives its first part a smaller one
        return budget.calls is not None or budget.tokens is not None or budget.cost_usd is not None

    def room(self, needs: Sequence[Usage]) -> int:
        """How many of these calls fit together, in order."""
        if not self._limited:
            return len(needs)
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
        self.reserved = self.reserved + need
        assert not self._limited or (self.settled + self.reserved).fits(self.budget), "reserve() without room()"

    def settle(self, need: Usage, real: Usage) -> None:
        """Replaces a reservation by what was really used; zero for a call that was never sent."""
        self.reserved = self.reserved - need
        self.settled = self.settled + real
        if self._limited:
            self.overrun = self.overrun or not self.settled.fits(self.budget)
            self._landed.set()


def total(usages: Iterable[Usage]) -> Usage:
    """All of these together."""
    return reduce(Usage.__add__, usages, ZERO)
