"""What every model client must keep, whoever wrote it."""

from __future__ import annotations

import asyncio
import copy
import re
from typing import ClassVar, get_args

import pytest

from archloom.nodes import Completion, FinishReason, Messages, Sampling
from archloom.orchestrator.models import Client


@pytest.mark.asyncio
class ClientConformance:
    """Inherit, and give the fixture ``client``::

        class TestMyClient(ClientConformance):
            @pytest.fixture
            def client(self):
                return MyClient(...)

    Attributes:
        deterministic: Whether the client promises the same text for the same seed.
        secret: The key that the client is given, if it has one; it must not show anywhere.
    """

    deterministic: ClassVar[bool] = True
    secret: ClassVar[str] = ""

    @pytest.fixture
    def client(self) -> Client:
        """A client that has not been entered."""
        raise LookupError(f"{type(self).__name__} must override the fixture 'client'")

    @pytest.fixture
    def messages(self) -> Messages:
        """A conversation that the client can answer in more than one token."""
        return (
            {"role": "system", "content": "You are a storyteller. Façade, naïve, 東京."},
            {"role": "user", "content": "Tell a story about a fox and a long river."},
        )

    async def test_a_completion_is_whole(self, client: Client, messages: Messages) -> None:
        async with client:
            completion = await client.complete(messages, Sampling(max_tokens=8), seed=1)
        assert isinstance(completion, Completion)
        assert isinstance(completion.text, str)
        assert completion.finish in get_args(FinishReason)
        assert completion.tokens_in > 0
        assert completion.latency_s >= 0

    async def test_the_same_seed_gives_the_same_text(self, client: Client, messages: Messages) -> None:
        if not self.deterministic:
            pytest.skip("this client does not promise it")
        sampling = Sampling(temperature=0.9, max_tokens=12)
        async with client:
            first = [(await client.complete(messages, sampling, seed=seed)).text for seed in range(3)]
            async with asyncio.TaskGroup() as group:
                again = [group.create_task(client.complete(messages, sampling, seed=seed)) for seed in range(3)]
        assert [task.result().text for task in again] == first

    async def test_the_conversation_is_not_changed(self, client: Client, messages: Messages) -> None:
        before = copy.deepcopy(messages)
        async with client:
            await client.complete(messages, Sampling(max_tokens=4), seed=1)
            client.prompt_tokens_bound(messages)
        assert messages == before

    async def test_the_bound_holds_for_prompt_tokens(self, client: Client, messages: Messages) -> None:
        async with client:
            for conversation in (messages, messages[-1:], (*messages, *messages)):
                completion = await client.complete(conversation, Sampling(max_tokens=4), seed=1)
                assert completion.tokens_in <= client.prompt_tokens_bound(conversation)

    @pytest.mark.parametrize("max_tokens", [1, 2, 5])
    async def test_max_tokens_is_a_hard_limit(self, client: Client, messages: Messages, max_tokens: int) -> None:
        async with client:
            completion = await client.complete(messages, Sampling(max_tokens=max_tokens), seed=1)
        assert completion.tokens_out <= max_tokens

    async def test_cancelling_ends_a_call_and_leaves_the_client_usable(
        self, client: Client, messages: Messages
    ) -> None:
        async with client:
            call = asyncio.ensure_future(client.complete(messages, Sampling(max_tokens=64), seed=1))
            call.cancel()  # before it starts
            with pytest.raises(asyncio.CancelledError):
                await call
            call = asyncio.ensure_future(client.complete(messages, Sampling(max_tokens=64), seed=1))
            await asyncio.sleep(0)  # once it has sent, if it waits for anything
            if not call.done():
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            assert (await client.complete(messages, Sampling(max_tokens=4), seed=2)).tokens_in > 0

    async def test_the_identity_is_stable_and_names_no_place(self, client: Client, messages: Messages) -> None:
        before = client.identity
        async with client:
            await client.complete(messages, Sampling(max_tokens=4), seed=1)
            assert client.identity == before
        assert re.fullmatch(r"[a-z0-9_]+/\S+", before), "an identity reads 'provider/model'"
        assert not re.search(r"://|localhost|127\.0\.0\.1|:\d", before)

    async def test_the_key_does_not_show(self, client: Client) -> None:
        if not self.secret:
            pytest.skip("this client has no key")
        async with client:
            assert self.secret not in f"{client!r} {client} {client.identity}"

    async def test_it_can_be_entered_again(self, client: Client, messages: Messages) -> None:
        for _ in range(2):
            async with client:
                assert (await client.complete(messages, Sampling(max_tokens=4), seed=1)).tokens_in > 0

    async def test_leaving_twice_is_harmless(self, client: Client) -> None:
        async with client:
            pass
        await client.__aexit__(None, None, None)

    async def test_it_says_whether_it_is_local(self, client: Client) -> None:
        assert isinstance(client.local, bool)
