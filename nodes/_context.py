"""What a node sees of the run it is in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from archloom.nodes._sample import Replies, Request, Sampling
from archloom.nodes._task import Task
from archloom.tools import Sandbox


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

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        """The final answer in ``text`` in the workflow's answer format, canonical; ``None`` if there is none.

        A text that is not ``complete`` (cut by ``max_tokens``) has one only where it states it as final.
        """

    def note(self, what: str, **fields: object) -> None:
        """Writes an event of this node (an unparsed reply, a tie, a policy that was applied) to the run log."""
