"""What the engine needs of a language model, whoever serves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from archloom.nodes import FinishReason, Messages, Sampling


@dataclass(frozen=True)
class Completion:
    """What a model gave for one sample, before it has a place in a pool (see ``archloom.nodes.Sample``)."""

    text: str
    finish: FinishReason
    tokens_in: int
    tokens_out: int
    latency_s: float
    logprob: float | None = None
    estimated: bool = False
    """The server gave no usage; tokens were counted here."""


class Client(Protocol):
    """A model that completes conversations.

    A client is an async context manager: entering it makes it ready (starts a child process, opens a session)
    and leaving it frees what it took. It does not retry, cache, meter or limit: the sampler above it does.
    """

    @property
    def identity(self) -> str:
        """What decides its answers (provider family, model, quantisation, prompt format), without host, port or key.

        Part of every sample's address: two clients with one identity share samples.
        """

    @property
    def local(self) -> bool:
        """True when calls leave this machine's network card alone; such a model needs no price."""

    async def __aenter__(self) -> Client:
        """Makes it ready."""

    async def __aexit__(self, *exc: object) -> None:
        """Frees what it took; never raises."""

    async def complete(self, messages: Messages, sampling: Sampling, *, seed: int) -> Completion:
        """One completion. The same seed gives the same text where the backend can promise that.

        Raises:
            ModelCallError: with its class of failure and whether trying again may help.
        """

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Never less than what the server will count for this prompt. May be generous; must be fast."""
