"""Several samples of one conversation in one request, so that its prompt is paid once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models._client import Progress

Outcome: TypeAlias = Completion | ModelCallError
"""What one of several completions of a request came to."""
Watchers: TypeAlias = Sequence[Progress | None]
"""One for each completion that a request asks for."""
Ask: TypeAlias = Callable[[Messages, Sampling, int, Watchers], Awaitable[Sequence[Outcome]]]
"""Sends one request; gives one outcome for each watcher, or raises the failure of them all."""


class Batch:
    """One request, from its first caller to its reply."""

    def __init__(self, messages: Messages, sampling: Sampling, seed: int) -> None:
        self.messages, self.sampling, self.seed = messages, sampling, seed
        self.seats: list[tuple[asyncio.Future[Outcome], Progress | None]] = []
        self._task: asyncio.Task[None] | None = None

    def join(self, progress: Progress | None) -> asyncio.Future[Outcome]:
        """A place in it, before it leaves."""
        seat: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        seat.add_done_callback(self._left)
        self.seats.append((seat, progress))
        return seat

    def leave(self, ask: Ask) -> asyncio.Task[None] | None:
        """Sends it for those who still wait; ``None`` if nobody does."""
        self.seats = [place for place in self.seats if not place[0].done()]
        if not self.seats:
            return None
        self._task = asyncio.create_task(self._run(ask))
        self._task.add_done_callback(self._failed)
        return self._task

    async def _run(self, ask: Ask) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = await ask(self.messages, self.sampling, self.seed, [progress for _, progress in self.seats])
        except ModelCallError as exc:
            outcomes = [_again(exc, first=not place) for place in range(len(self.seats))]
        for (seat, _), outcome in zip(self.seats, outcomes, strict=True):
            if not seat.done():
                seat.set_result(outcome)

    def _left(self, _: asyncio.Future[Outcome]) -> None:
        if self._task is not None and all(seat.cancelled() for seat, _ in self.seats):
            self._task.cancel()

    def _failed(self, task: asyncio.Task[None]) -> None:
        """Nobody waits for ever: what nothing foresaw reaches the callers, too."""
        for seat, _ in self.seats:
            if seat.done():
                continue
            if task.cancelled() or (exc := task.exception()) is None:
                seat.cancel()
            else:
                seat.set_exception(exc)


class Batches:
    """Puts calls that are made in the same turn of the event loop, with the same messages and sampling, together."""

    def __init__(self, ask: Ask, *, most: int, key: Callable[[Messages, Sampling], object]) -> None:
        """Sends nothing yet.

        Args:
            ask: Sends one request.
            most: The most completions of one request.
            key: Equal for calls that may go together; hashable.
        """
        self._ask, self._most, self._key = ask, most, key
        self._boarding: dict[object, Batch] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def complete(self, messages: Messages, sampling: Sampling, seed: int, progress: Progress | None) -> Outcome:
        """The outcome for this caller."""
        key = self._key(messages, sampling)
        batch = self._boarding.get(key)
        if batch is None or len(batch.seats) == self._most:
            # A full one has its departure booked already, and is only no longer found here.
            batch = self._boarding[key] = Batch(messages, sampling, seed)
            asyncio.get_running_loop().call_soon(self._depart, key, batch)
        return await batch.join(progress)

    async def close(self) -> None:
        """Waits for the end of what is under way; its connections must have been closed."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _depart(self, key: object, batch: Batch) -> None:
        if self._boarding.get(key) is batch:
            del self._boarding[key]
        task = batch.leave(self._ask)
        if task is not None:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)


def _again(failure: ModelCallError, *, first: bool) -> ModelCallError:
    """The failure for one of its callers; tokens that it used are booked on the first."""
    copy = ModelCallError(
        failure.message,
        failure=failure.failure,
        retry_after_s=failure.retry_after_s,
        used=failure.used if first or failure.used is None else (0, 0),
        hint=failure.hint,
    )
    copy.__cause__ = failure.__cause__
    copy.__suppress_context__ = True
    return copy
