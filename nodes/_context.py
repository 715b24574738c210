"""What a node sees of the run it is in."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from archloom.nodes._candidate import Candidates
from archloom.nodes._sample import Replies, Request, Sample, Sampling
from archloom.nodes._task import Task
from archloom.tools import Sandbox

if TYPE_CHECKING:
    from archloom.nodes._composite import BodyRun, Part


class Context(Protocol):
    """A node's view of its run: everything that varies comes through it, so that a run can be replayed."""

    @property
    def node(self) -> str:
        """Name of the node that runs."""

    @property
    def task(self) -> Task:
        """The input."""

    @property
    def rng(self) -> random.Random:
        """Random numbers of this node and task; the same in every replay."""

    @property
    def sandbox(self) -> Sandbox:
        """Where model-written programs run."""

    async def sample(self, model: str, requests: Sequence[Request], *, sampling: Sampling) -> list[Replies]:
        """Draws (or reads from the store) these samples in this node's stream, all at once.

        The same conversation asked twice at the same index is one sample. The budget is reserved for all
        requests together, in order; what does not fit is not sent.

        Returns:
            One list a request, in the order of the requests.

        Raises:
            BudgetReachedError: not even one sample fits into what is left.
        """

    async def race(
        self, model: str, request: Request, *, sampling: Sampling, first: int, counts: Callable[[Sample], bool]
    ) -> Replies:
        """Starts these samples together and stops the others once the ``first`` that count are there.

        Recorded latency decides, so a replay decides as the run did. What was stopped comes back as a sample whose
        ``finish`` is ``cancelled``: without text, with the tokens that it had used, and these count. When too few
        count all run to their end. The budget is reserved for all of them. A sample that was raced for is not to be
        asked for with :meth:`sample` by the same node.

        Returns:
            In index order; shorter than asked for when the budget ended.

        Raises:
            BudgetReachedError: not even one sample fits into what is left.
        """

    async def run_body(self, part: Part, given: Candidates, *, turn: int = 0, task: Task | None = None) -> BodyRun:
        """Runs a body of this node; its failure is part of what comes back.

        Args:
            part: The body.
            given: What its nodes without ``after`` are given.
            turn: Which run of this body it is for this task, from 0; each has streams of its own.
            task: What its nodes are asked; by default the task of this node.
        """

    async def run_bodies(self, part: Part, runs: Sequence[tuple[Candidates, Task]]) -> list[BodyRun]:
        """Runs a body side by side for each of these, as turns 0, 1, ...; what comes back is in their order."""

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        """The final answer in ``text`` in the workflow's answer format, canonical; ``None`` if there is none.

        A text that is not ``complete`` (cut by ``max_tokens``) has one only where it states it as final.
        """

    def note(self, what: str, **fields: object) -> None:
        """Writes an event of this node (an unparsed reply, a tie, a policy that was applied) to the run log."""
