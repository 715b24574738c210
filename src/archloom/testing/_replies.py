"""Models for tests of what stands above them: replies from a function, in an order of the test's choosing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self, TypeAlias

from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Client, InProcessClient, Progress


class Call(NamedTuple):
    """One request to a model."""

    messages: Messages
    sampling: Sampling
    seed: int

    @property
    def text(self) -> str:
        """What its last message says."""
        return str(self.messages[-1].get("content"))


Answering: TypeAlias = Callable[[Call], Awaitable[str | Completion]]


class FunctionClient(InProcessClient):
    """Replies with what an async function returns; the function may wait, count, or raise::

        async def reply(call: Call) -> str:
            await gate.wait()
            return f"sample {call.seed}"

        pool = ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply))

    A token is a word, and a reply that is only text took no time.

    Attributes:
        calls: The requests it got, in order.
        entered: How often it was made ready.
    """

    def __init__(self, reply: Answering, *, identity: str = "function/model") -> None:
        super().__init__(identity)
        self.calls: list[Call] = []
        self.entered = 0
        self._reply = reply

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """What the function returns; a text is cut at ``max_tokens`` words."""
        call = Call(messages, sampling, seed)
        self.calls.append(call)
        reply = await self._reply(call)
        if isinstance(reply, Completion):
            return reply
        words = reply.split()
        cut = len(words) > sampling.max_tokens
        text = " ".join(words[: sampling.max_tokens]) if cut else reply
        tokens_out = min(len(words), sampling.max_tokens)
        return Completion(text, "length" if cut else "stop", self.prompt_tokens_bound(messages), tokens_out, 0.0)

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Exactly the words of the conversation."""
        return sum(len(str(message.get("content", "")).split()) for message in messages)


class ShuffledClient:
    """Lets the replies of another client come back in a random order, drawn from ``rng`` and not from the clock.

    What holds for every seed holds in every schedule. One ``rng`` may be shared by several clients.
    """

    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client, self._rng = client, rng
        self._waiting: list[asyncio.Event] = []
        self._arrived = asyncio.Event()
        self._releasing: asyncio.Task[None] | None = None

    @property
    def identity(self) -> str:
        """That of the other client."""
        return self._client.identity

    @property
    def endpoint(self) -> str:
        """That of the other client."""
        return self._client.endpoint

    @property
    def local(self) -> bool:
        """As the other client."""
        return self._client.local

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        self._releasing = asyncio.create_task(self._release())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._releasing is not None:
            self._releasing.cancel()
            await asyncio.wait([self._releasing])
        await self._client.__aexit__(*exc)

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """The other client's completion, or its failure, when its turn has come."""
        try:
            completion = await self._client.complete(messages, sampling, seed=seed, progress=progress)
        except ModelCallError:
            await self._turn()
            raise
        await self._turn()
        return completion

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """That of the other client."""
        return self._client.prompt_tokens_bound(messages)

    async def _turn(self) -> None:
        turn = asyncio.Event()
        self._waiting.append(turn)
        self._arrived.set()
        await turn.wait()

    async def _release(self) -> None:
        while True:
            await self._arrived.wait()
            for _ in range(self._rng.randrange(4)):
                await asyncio.sleep(0)  # others may arrive
            self._waiting.pop(self._rng.randrange(len(self._waiting))).set()
            if not self._waiting:
                self._arrived.clear()
