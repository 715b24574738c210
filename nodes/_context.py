"""What a node sees of the run it is in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from archloom.nodes._task import Messages, Task
from archloom.tools import Sandbox

FinishReason: TypeAlias = Literal["stop", "length", "content_filter", "tool_calls"]


@dataclass(frozen=True)
class Sampling:
    """Parameters of a request that change what a model may answer; part of a sample's address."""

    temperature: float = 0.7
    max_tokens: int = 512
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One completion of one request.

    Attributes:
        text: What the model wrote, without reasoning that the server keeps apart.
        finish: Why it ended; ``length`` means that ``max_tokens`` cut it.
        tokens_in: Prompt tokens as the server counted them.
        tokens_out: Completion tokens.
        latency_s: Seconds from sending to the last byte, as recorded when it was first drawn.
        index: Position in the pool of its request and stream.
        logprob: Mean token log-probability, where asked for and given.
    """

    text: str
    finish: FinishReason
    tokens_in: int
    tokens_out: int
    latency_s: float
    index: int = 0
    logprob: float | None = None


@dataclass(frozen=True)
class FailedSample:
    """A request that gave nothing, after all its retries.

    Attributes:
        error: Class of the failure (``timeout``, ``rate_limit``, ``server``, ``connection``, ``budget``, ...).
        message: What the server or the transport said.
    """

    error: str
    message: str
    index: int = 0


@dataclass(frozen=True)
class Request:
    """A question to a model: samples ``start .. start+n-1`` of one conversation."""

    messages: Messages
    n: int = 1
    start: int = 0


Replies: TypeAlias = list[Sample | FailedSample]
"""What one request gave, in index order; shorter than asked for when the budget ended."""


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


def succeeded(results: Sequence[Sample | FailedSample]) -> list[Sample]:
    """The samples that came back."""
    return [result for result in results if isinstance(result, Sample)]
