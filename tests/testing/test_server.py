"""The loopback server does to whoever calls it what it is told to, and counts it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import aiohttp
import pytest

from archloom.testing import Asked, Fault, LoopbackServer, Served, Totals

BODY = {"model": "m", "messages": [{"role": "user", "content": "What is 2+3?"}]}
USED = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


async def post(session: aiohttp.ClientSession, server: LoopbackServer, **more: object) -> tuple[int, str]:
    async with session.post(f"{server.url}/chat/completions", json={**BODY, **more}) as response:
        return response.status, await response.text()


async def test_a_reply_is_what_the_function_says() -> None:
    def reply(asked: Asked) -> str:
        return f"{asked.number} {asked.choice} {asked.text} {asked.headers['x-who']}"

    async with LoopbackServer(reply) as server, aiohttp.ClientSession(headers={"X-Who": "ann"}) as session:
        await post(session, server)
        _, body = await post(session, server, n=2)
    choices = json.loads(body)["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["1 0 What is 2+3? ann", "1 1 What is 2+3? ann"]
    assert [json.loads(asked.raw) for asked in server.requests] == [BODY, {**BODY, "n": 2}]


async def test_a_reply_may_wait_for_the_test() -> None:
    go = asyncio.Event()

    async def reply(asked: Asked) -> Served:
        await go.wait()
        return Served("5")

    async with LoopbackServer(reply) as server, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        call = group.create_task(post(session, server))
        done, _ = await asyncio.wait([call], timeout=0.05)
        assert not done
        go.set()
    assert call.result()[0] == 200


@pytest.mark.parametrize(
    ("max_tokens", "content", "reasoning", "finish", "used"),
    [
        (9, "5 it is", "2 and 3", "stop", 6),
        (4, "5", "2 and 3", "length", 4),
        (2, "", "2 and", "length", 2),
    ],
)
async def test_max_tokens_cuts(max_tokens: int, content: str, reasoning: str, finish: str, used: int) -> None:
    async with LoopbackServer(lambda asked: Served("5 it is", "2 and 3")) as server, aiohttp.ClientSession() as session:
        reply = json.loads((await post(session, server, max_tokens=max_tokens))[1])
    [choice] = reply["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == (content, reasoning)
    assert (choice["finish_reason"], reply["usage"]["completion_tokens"]) == (finish, used)
    assert server.totals == {"ok": Totals(1, 7, used)}


async def test_models_are_listed() -> None:
    async with (
        LoopbackServer() as server,
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/models") as response,
    ):
        assert [model["id"] for model in (await response.json())["data"]] == ["loopback"]


@pytest.mark.parametrize(
    ("fault", "status", "said", "totals"),
    [
        ("rate_limit", 429, "Rate limit", Totals(1, 0, 0)),
        ("server", 500, "Internal", Totals(1, 0, 0)),
        ("html", 200, "<html>", Totals(1, 0, 0)),
        ("truncated", 200, '"chat.completion"', Totals(1, 7, 5)),
        ("empty", 200, '"content":""', Totals(1, 7, 0)),
        ("content_filter", 200, '"finish_reason":"content_filter"', Totals(1, 7, 5)),
        ("drip", 200, json.dumps(USED).replace(" ", ""), Totals(1, 7, 5)),
    ],
)
async def test_a_fault_that_answers(fault: Fault, status: int, said: str, totals: Totals) -> None:
    async with LoopbackServer(faults=[fault]) as server, aiohttp.ClientSession() as session:
        got, body = await post(session, server)
        after, _ = await post(session, server)
    assert got == status
    assert said in body
    assert after == 200
    assert server.totals == {fault: totals, "ok": Totals(1, 7, 5)}


@pytest.mark.parametrize(
    ("fault", "raised", "stream", "totals"),
    [
        ("timeout", TimeoutError, False, Totals(1, 0, 0)),
        ("stall", TimeoutError, False, Totals(1, 7, 5)),
        ("stall", TimeoutError, True, Totals(1, 7, 3)),
        ("reset", aiohttp.ClientOSError, False, Totals(1, 0, 0)),
    ],
)
async def test_a_fault_that_does_not(fault: Fault, raised: type[Exception], stream: bool, totals: Totals) -> None:
    timeout = aiohttp.ClientTimeout(total=0.1)
    async with LoopbackServer(faults=[fault]) as server, aiohttp.ClientSession(timeout=timeout) as session:
        with pytest.raises(raised):
            await post(session, server, stream=stream)
    assert server.totals == {fault: totals}


async def test_a_truncated_stream_ends_as_if_it_were_whole() -> None:
    async with LoopbackServer(faults=["truncated"]) as server, aiohttp.ClientSession() as session:
        _, body = await post(session, server, stream=True)
    assert "You" in body
    assert "[DONE]" not in body


async def test_a_client_that_leaves_is_counted_with_what_was_sent() -> None:
    async with (
        LoopbackServer(lambda asked: "x " * 999, faults=["drip"]) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json={**BODY, "stream": True}) as response,
    ):
        while b'content":"x"' not in await response.content.readline():
            pass
    assert list(server.totals) == ["left"]
    assert server.totals["left"].tokens_in == 7
    assert 1 <= server.totals["left"].tokens_out < 99


@pytest.mark.parametrize("retry_after_s", [None, 0.5])
async def test_a_rate_limit_says_when_if_it_is_told_to(retry_after_s: float | None) -> None:
    async with (
        LoopbackServer(faults=["rate_limit"], retry_after_s=retry_after_s) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/chat/completions", json=BODY) as response,
    ):
        assert response.headers.get("Retry-After") == (None if retry_after_s is None else "0.5")


async def test_chance_is_seeded_and_keeps_its_shares() -> None:
    async def outcomes(seed: int) -> list[str]:
        shares: dict[Fault, float] = {"rate_limit": 0.2, "server": 0.1}
        async with LoopbackServer(fault_shares=shares, seed=seed) as server, aiohttp.ClientSession() as session:
            return [str((await post(session, server))[0]) for _ in range(200)]

    first, again, other = [await outcomes(seed) for seed in (1, 1, 2)]
    assert first == again != other
    count = Counter(first)
    assert 20 <= count["429"] <= 60
    assert 8 <= count["500"] <= 35


async def test_usage_is_told_or_not() -> None:
    for usage in (True, False):
        async with LoopbackServer(usage=usage) as server, aiohttp.ClientSession() as session:
            _, whole = await post(session, server)
            options = {"include_usage": True, "continuous_usage_stats": True}
            _, stream = await post(session, server, stream=True, stream_options=options)
        assert ("usage" in json.loads(whole)) is usage
        assert stream.count('"usage"') == (8 if usage else 0)
        assert server.total == Totals(2, 14, 10)
