"""A run in which models say what a test tells them to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from archloom.nodes import (
    BodyRun,
    BudgetReachedError,
    Candidates,
    FailedSample,
    Messages,
    Part,
    Replies,
    Request,
    Sample,
    Sampling,
    Task,
)
from archloom.orchestrator.models import Address, Race
from archloom.tools import AnswerFormat, Sandbox, extract_answer, sandbox

Reply: TypeAlias = str | Sample | FailedSample
Bodies: TypeAlias = Callable[[Part, Candidates, int, Task], BodyRun]


@dataclass(frozen=True)
class Asked:
    """A request that a node made."""

    model: str
    request: Request
    sampling: Sampling


@dataclass(frozen=True)
class Note:
    """An event that a node wrote to the run log."""

    what: str
    fields: dict[str, object]


class FakeContext:
    """A :class:`~archloom.nodes.Context` for tests of nodes, without an engine or a model::

        ctx = FakeContext("What is 5 x 9?", replies=["45", FailedSample("timeout", "60 s")])
        candidates = await node.run(ctx.task, (), ctx)
        assert [note.what for note in ctx.notes] == ["unparsed"]

    Attributes:
        asked: The requests that were made, in order.
        notes: The events that were noted, in order.
    """

    def __init__(
        self,
        task: Task | str,
        *,
        replies: Sequence[Reply] | Callable[[Messages, int], Reply] = (),
        answer: AnswerFormat = "number",
        node: str = "node",
        sandbox: Sandbox | None = None,
        seed: int = 0,
        bodies: Bodies | None = None,
    ) -> None:
        """Sets the stage.

        Args:
            task: The task, or its question.
            replies: What samples say: in the order they are drawn, or a function of conversation and index.
                When a list is used up, the budget has ended.
            answer: The workflow's answer format.
            node: Name of the node.
            sandbox: Where programs run; by default the best that works here.
            seed: Of the random numbers.
            bodies: What a run of a body of a composite node gives, by part, candidates, turn and task.
        """
        self.asked: list[Asked] = []
        self.notes: list[Note] = []
        self._task = Task.ask(task) if isinstance(task, str) else task
        self._node = node
        self._answer = answer
        self._sandbox = sandbox
        self._rng = random.Random(seed)
        self._bodies = bodies
        self._reply = replies if callable(replies) else None
        self._replies = [] if callable(replies) else list(replies)

    @property
    def node(self) -> str:
        """Name of the node that runs."""
        return self._node

    @property
    def task(self) -> Task:
        """The input."""
        return self._task

    @property
    def rng(self) -> random.Random:
        """Random numbers, the same for the same seed."""
        return self._rng

    @property
    def sandbox(self) -> Sandbox:
        """The one given, else the best that works on this machine."""
        return self._sandbox or sandbox()

    async def sample(self, model: str, requests: Sequence[Request], *, sampling: Sampling) -> list[Replies]:
        """The scripted replies."""
        self.asked += [Asked(model, request, sampling) for request in requests]
        given = [self._draw(request) for request in requests]
        if requests and not any(given):
            raise BudgetReachedError(f"nodes.{self._node}: the script has no reply left")
        return given

    async def race(
        self, model: str, request: Request, *, sampling: Sampling, first: int, counts: Callable[[Sample], bool]
    ) -> Replies:
        """The scripted replies, decided by their latencies."""
        [replies] = await self.sample(model, [request], sampling=sampling)
        race = Race(first, counts, arrived={Address("", 0, reply.index): reply for reply in replies})
        return list(race.results(race.arrived).values())

    async def run_body(self, part: Part, given: Candidates, *, turn: int = 0, task: Task | None = None) -> BodyRun:
        """What ``bodies`` says."""
        assert self._bodies is not None, "this test runs no bodies"
        return self._bodies(part, given, turn, task or self._task)

    async def run_bodies(self, part: Part, runs: Sequence[tuple[Candidates, Task]]) -> list[BodyRun]:
        """What ``bodies`` says to each."""
        return [await self.run_body(part, given, turn=turn, task=task) for turn, (given, task) in enumerate(runs)]

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        """The final answer in the text."""
        return extract_answer(text, self._answer, complete=complete)

    def note(self, what: str, **fields: object) -> None:
        """Keeps the event in ``notes``."""
        self.notes.append(Note(what, fields))

    def _draw(self, request: Request) -> Replies:
        indices = range(request.start, request.start + request.n)
        if self._reply is not None:
            return [_sample(self._reply(request.messages, index), index) for index in indices]
        given, self._replies = self._replies[: request.n], self._replies[request.n :]
        return [_sample(reply, index) for reply, index in zip(given, indices, strict=False)]


def _sample(reply: Reply, index: int) -> Sample | FailedSample:
    if not isinstance(reply, str):
        return reply
    return Sample(reply, "stop", tokens_in=10, tokens_out=len(reply.split()), latency_s=0.1, index=index)
