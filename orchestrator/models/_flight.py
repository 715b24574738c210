"""A request under way that several may wait for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Mapping
from typing import Any, TypeAlias

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.models._address import Address
from archloom.orchestrator.models._client import Progress

Outcome: TypeAlias = Sample | FailedSample


class Flight:
    """One request, shared by all who want its sample. When nobody waits for it any more it is cancelled.

    Attributes:
        address: Where its sample belongs.
        task: Ends with the sample or how it failed; raises what concerns the whole run.
        waiting: How many wait for it.
        given_up_s: The longest that somebody waited in vain.
        progress: What is known of the call that is under way.
    """

    __slots__ = ("_answered", "_marked", "_sent_at", "address", "given_up_s", "progress", "task", "waiting")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.waiting = 0
        self.given_up_s = -math.inf
        self.progress: Progress | None = None
        self.task: asyncio.Task[Outcome]
        self._sent_at: float | None = None
        self._answered = False
        self._marked: asyncio.Event | None = None  # only who waits for a limited time needs it

    def take_off(self, request: Coroutine[Any, Any, Outcome]) -> None:
        """Starts it. Not in a TaskGroup: a flight belongs to all who wait for it and may outlive the first."""
        self.task = asyncio.get_running_loop().create_task(request)
        self.task.add_done_callback(_retrieve)

    def sent(self) -> None:
        """It leaves now, or left before; waiting for a slot is not the model's time."""
        if self._sent_at is None:
            self._sent_at = asyncio.get_running_loop().time()
            self._mark()

    def answered(self) -> None:
        """The reply is here; keeping it is not the model's time either."""
        self._answered = True
        self._mark()

    async def late(self, within_s: float) -> bool:
        """Waits for it; true when it has been under way for longer than this."""
        while self._sent_at is None and not self.task.done():
            await self._next_mark()
        while not (self._answered or self.task.done()):
            assert self._sent_at is not None, "a flight under way has left"
            left_s = self._sent_at + within_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                return True
            await self._next_mark(left_s)
        await asyncio.wait({self.task})
        return False

    def _mark(self) -> None:
        if self._marked is not None:
            self._marked.set()
            self._marked = None

    async def _next_mark(self, timeout_s: float | None = None) -> None:
        """Waits until something happens to it, or for as long as that."""
        self._marked = self._marked or asyncio.Event()
        marked = asyncio.ensure_future(self._marked.wait())
        try:
            await asyncio.wait({marked, self.task}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            marked.cancel()


async def land(flights: Mapping[Address, Flight], within_s: float = math.inf) -> dict[Address, Outcome]:
    """What these flights bring, without those that take longer than this; they go on, for what is paid for is kept.

    Raises:
        ArchloomError: what one of them raises, as soon as it does.
    """
    for flight in flights.values():
        flight.waiting += 1
    late: set[Flight] = set()
    try:
        if within_s == math.inf:
            tasks = [flight.task for flight in flights.values()]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            failed = next((task for task in done if not task.cancelled() and task.exception()), None)
        else:
            late, failed = await _within(flights, within_s)
        if failed is not None:
            failed.result()
    finally:
        for flight in flights.values():
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done() and flight not in late:
                flight.task.cancel()
    landed = {address: flight for address, flight in flights.items() if flight not in late}
    for flight in late:
        flight.given_up_s = max(flight.given_up_s, within_s)
    return {address: flight.task.result() for address, flight in landed.items()}


async def _within(
    flights: Mapping[Address, Flight], within_s: float
) -> tuple[set[Flight], asyncio.Task[Outcome] | None]:
    """Those that are late, and the first that raised."""
    async with asyncio.TaskGroup() as group:
        waits = {flight: group.create_task(flight.late(within_s)) for flight in flights.values()}
    late = {flight for flight, wait in waits.items() if wait.result()}
    done = (flight.task for flight in flights.values() if flight not in late)
    return late, next((task for task in done if not task.cancelled() and task.exception()), None)


def _retrieve(task: asyncio.Task[Outcome]) -> None:
    """Everybody who waits raises its error; when nobody does any more, asyncio need not warn of it."""
    if not task.cancelled():
        task.exception()
