"""The engine's side of ``Context``: one node's view of one run."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from archloom.graphs import Configuration
from archloom.nodes import (
    BodyRun,
    Budget,
    BudgetReachedError,
    Candidates,
    FailedSample,
    Part,
    Replies,
    Request,
    Sample,
    Sampling,
    Task,
)
from archloom.orchestrator._ledger import ZERO, Ledger, Usage, total
from archloom.orchestrator._outcome import NodeOutcome, Note
from archloom.orchestrator.models import Address, Question, Sampler, Samplers, stream_number
from archloom.tools import Sandbox, extract_answer, sandbox


class _Draw(Protocol):
    """How a sampler draws samples at once."""

    async def __call__(
        self, wanted: Mapping[Address, Question], *, within_s: float
    ) -> Mapping[Address, Sample | FailedSample]: ...


class RunsBodies(Protocol):
    """The engine, as a composite node needs it."""

    def __call__(
        self, ctx: NodeContext, part: Part, given: Candidates, turn: int, task: Task, elapsed_s: float
    ) -> Coroutine[None, None, BodyRun]:
        """See ``Context.run_body``; what the run used and did goes into the context."""


@dataclass
class NodeContext:
    """What a node may do, and what it has done so far.

    Attributes:
        seed: Of its random numbers.
        bodies: Runs the bodies of a composite node.
        ledgers: Accounts of the task's and of the node's own budget.
        elapsed_s: Recorded seconds that its requests have taken, one batch after the other.
        usage: Its deployed cost so far.
        truncated: A budget has kept something from being sent.
        notes: What it has noted.
        endings: How many calls ended how: a finish reason, a class of failure, or ``late``.
        inner: What the nodes of its bodies did.
    """

    node: str
    task: Task
    configuration: Configuration
    samplers: Samplers
    ordinal: int
    replicate: int
    seed: str
    bodies: RunsBodies
    ledgers: tuple[Ledger, ...]
    time_left_s: float
    elapsed_s: float = 0.0
    usage: Usage = ZERO
    truncated: bool = False
    notes: list[Note] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    inner: list[list[NodeOutcome]] = field(default_factory=list)
    _drawn: dict[Address, Sample | FailedSample] = field(default_factory=dict)

    @property
    def rng(self) -> random.Random:
        """See ``Context``: a new generator each time."""
        return random.Random(self.seed)

    @property
    def sandbox(self) -> Sandbox:
        """See ``Context``."""
        return sandbox()

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        """See ``Context``."""
        return extract_answer(text, self.configuration.answer, complete=complete)

    def note(self, what: str, **fields: object) -> None:
        """See ``Context``."""
        self.notes.append(Note(what, fields))

    async def run_body(self, part: Part, given: Candidates, *, turn: int = 0, task: Task | None = None) -> BodyRun:
        """See ``Context``."""
        return await self.bodies(self, part, given, turn, task or self.task, self.elapsed_s)

    async def run_bodies(self, part: Part, runs: Sequence[tuple[Candidates, Task]]) -> list[BodyRun]:
        """See ``Context``."""
        begun_s = self.elapsed_s  # of all: one that finds everything stored is done before the next begins
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(self.bodies(self, part, given, turn, task, begun_s))
                for turn, (given, task) in enumerate(runs)
            ]
        return [each.result() for each in running]

    async def sample(self, model: str, requests: Sequence[Request], *, sampling: Sampling) -> list[Replies]:
        """See ``Context``."""
        sampler = self.samplers[model]
        stream = stream_number(self.ordinal, self.replicate)
        questions = [sampler.question(request.messages, sampling) for request in requests]
        wanted = [
            [Address(question.key, stream, request.start + i) for i in range(request.n)]
            for question, request in zip(questions, requests, strict=True)
        ]
        new = {
            address: question
            for addresses, question in zip(wanted, questions, strict=True)
            for address in addresses
            if address not in self._drawn
        }
        await self._draw(sampler, new, sampler.draw)
        return [[self._drawn[a] for a in addresses if a in self._drawn] for addresses in wanted]

    async def race(
        self, model: str, request: Request, *, sampling: Sampling, first: int, counts: Callable[[Sample], bool]
    ) -> Replies:
        """See ``Context``."""
        sampler = self.samplers[model]
        stream = stream_number(self.ordinal, self.replicate)
        question = sampler.question(request.messages, sampling)
        wanted = [Address(question.key, stream, request.start + i) for i in range(request.n)]
        new = {address: question for address in wanted if address not in self._drawn}
        await self._draw(sampler, new, partial(sampler.race, first=first, counts=counts))
        return [self._drawn[address] for address in wanted if address in self._drawn]

    async def _draw(self, sampler: Sampler, new: Mapping[Address, Question], draw: _Draw) -> None:
        """Draws what the budgets have room for, all at once, and books it."""
        if not new:
            return
        bounds: dict[str, Usage] = {}  # samples of one question share one
        for question in new.values():
            if question.key not in bounds:
                bounds[question.key] = sampler.need(question.messages, question.sampling)
        needs = {address: bounds[address.key] for address in new}
        in_order = list(needs.values())
        room = min(ledger.room(in_order) for ledger in self.ledgers) if self.time_left_s > self.elapsed_s else 0
        if room < len(new):
            self.truncated = True
            self.note("budget", wanted=len(new), sent=room)
        if room == 0:
            raise BudgetReachedError(f"nodes.{self.node}: the budget has no room for another call.")
        await self._send(sampler, {address: new[address] for address in list(new)[:room]}, needs, draw)

    async def _send(
        self, sampler: Sampler, sent: Mapping[Address, Question], needs: Mapping[Address, Usage], draw: _Draw
    ) -> None:
        """Draws these samples at once. Whatever order they come in, they are booked in theirs."""
        left_s = self.time_left_s - self.elapsed_s
        drawn: Mapping[Address, Sample | FailedSample] = {}
        need = total(needs[address] for address in sent)
        for ledger in self.ledgers:
            ledger.reserve(need)
        try:
            drawn = await draw(sent, within_s=left_s)
        finally:
            real = total(_booked(sampler, needs[address], drawn.get(address)) for address in sent)
            for ledger in self.ledgers:
                ledger.settle(need, real)
            self.usage = self.usage + real
        self._keep(sent, drawn, left_s)

    def _keep(
        self, sent: Mapping[Address, Question], drawn: Mapping[Address, Sample | FailedSample], left_s: float
    ) -> None:
        """Counts how the calls ended, notes what failed or was late, and moves recorded time on.

        Raises:
            BudgetReachedError: all replies were late.
        """
        replies = {address: drawn[address] for address in sent if address in drawn}
        for reply in replies.values():
            self.endings[reply.finish if isinstance(reply, Sample) else reply.error] += 1
            if isinstance(reply, FailedSample):
                self.note("failed_call", error=reply.error, message=reply.message, index=reply.index)
            elif reply.model is not None:
                self.note("fallback", model=reply.model, index=reply.index)
        self._drawn.update(replies)
        if len(replies) < len(sent):
            self.truncated = True
            self.endings["late"] += len(sent) - len(replies)
            self.note("late", calls=len(sent) - len(replies), time_left_s=round(left_s, 6))
            self.elapsed_s = self.time_left_s
        else:
            self.elapsed_s += max((r.latency_s for r in replies.values() if isinstance(r, Sample)), default=0.0)
        if not replies:
            raise BudgetReachedError(f"nodes.{self.node}: no reply came before the time budget ended.")


def _booked(sampler: Sampler, need: Usage, reply: Sample | FailedSample | None) -> Usage:
    """What counts for a call; one that was cancelled or came too late in full, in a replay as in the first run."""
    if isinstance(reply, Sample):
        return sampler.cost(reply)
    return need if reply is None else Usage(calls=1)


def node_ledgers(around: tuple[Ledger, ...], own: Budget | None) -> tuple[Ledger, ...]:
    """Accounts that a node's calls are booked on: those of all that it is in, and its own."""
    return around if own is None else (*around, Ledger(own))
