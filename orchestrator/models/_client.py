"""What the engine needs of a language model, whoever serves it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import orjson

from archloom.nodes import Completion, Messages, Sampling

if TYPE_CHECKING:
    from archloom.orchestrator.models.vllm import Watch


@dataclass
class Progress:
    """What is known of a call while it is under way. A client that reads replies as they are written keeps it up to
    date, so that a call which is cancelled is counted by what it used.

    Attributes:
        tokens_in: Prompt tokens as the server counted them; ``None`` while it has not said so.
        tokens_out: Completion tokens so far, in the server's count; ``None`` while it has not said so.
        on_text: Is given each piece of text as it comes.
    """

    tokens_in: int | None = None
    tokens_out: int | None = None
    on_text: Callable[[str], None] | None = None


class InProcessClient:
    """Base of clients that need no server: nothing is started, and the identity is what shares a limit."""

    def __init__(self, identity: str) -> None:
        self._identity = identity

    @property
    def identity(self) -> str:
        """See :class:`Client`."""
        return self._identity

    @property
    def endpoint(self) -> str:
        """Its identity."""
        return self._identity

    @property
    def local(self) -> bool:
        """Always."""
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


def identity_of(family: str, model: str, extra: Mapping[str, object]) -> str:
    """Family and model, and a digest of what else a document sends with each request."""
    if not extra:
        return f"{family}/{model}"
    digest = hashlib.sha256(orjson.dumps(extra, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{family}/{model}+{digest[:12]}"


@runtime_checkable
class WatchedClient(Protocol):
    """A client whose server tells about its load."""

    def watch(self) -> Watch:
        """Looks at the server while it is open."""


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
    def endpoint(self) -> str:
        """What shares one limit: the server's address and the model's name there, without a key."""

    @property
    def local(self) -> bool:
        """True when calls leave this machine's network card alone; such a model needs no price."""

    async def __aenter__(self) -> Client:
        """Makes it ready."""

    async def __aexit__(self, *exc: object) -> None:
        """Frees what it took; never raises."""

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """One completion. The same seed gives the same text where the backend can promise that.

        Args:
            messages: The conversation. One that ends with the assistant's message is continued there, by providers
                with the capability ``continuation``.
            sampling: The parameters.
            seed: 31 bits.
            progress: Kept up to date by clients that stream; others leave it alone.

        Raises:
            ModelCallError: with its class of failure and whether trying again may help.
        """

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Never less than what the server will count for this prompt. May be generous; must be fast."""
