"""The OpenAI-compatible client, against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from archloom.graphs import OpenAIModel
from archloom.nodes import Messages, Sampling
from archloom.orchestrator.errors import RETRYABLE, ModelCallError
from archloom.orchestrator.models import Client
from archloom.orchestrator.models.openai._client import OpenAIClient
from archloom.testing._clients import ClientConformance
from archloom.tools.errors import UsageError

KEY = "sk-proj-Zx81-VERY-secret"
ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def completion(content: object = "2 + 3 = 5", finish: object = "stop", **fields: object) -> dict[str, object]:
    """What llama.cpp, vLLM and OpenAI answer."""
    return {
        "id": "chatcmpl-9M2G117eoVnDBIwC66n9IN4a5tee1MK0",
        "object": "chat.completion",
        "created": 1795368749,
        "model": "some-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 37, "completion_tokens": 8, "total_tokens": 45},
        "system_fingerprint": "fp_44709d6fcb",
        **fields,
    }


@asynccontextmanager
async def serving(handler: Handler, **spec: object) -> AsyncIterator[OpenAIClient]:
    """An open client of a server that answers with this handler."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    async with TestServer(app) as server:
        fields = {
            "model": "some-model",
            "base_url": str(server.make_url("/v1")),
            "api_key": "${THE_KEY}",
            **spec,
        }
        async with OpenAIClient(OpenAIModel.model_validate(fields), environ={"THE_KEY": KEY}) as client:
            yield client


def answering(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=data, status=status, headers=headers, content_type="application/json")

    return handle


async def failure(handler: Handler, **spec: object) -> ModelCallError:
    async with serving(handler, **spec) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    return caught.value


class TestConformance(ClientConformance):
    secret = KEY

    @pytest.fixture
    async def client(self) -> AsyncIterator[Client]:
        async def handle(request: web.Request) -> web.Response:
            asked = await request.json()
            words = f"{asked['seed']} the fox went down to the river and came back".split()[: asked["max_tokens"]]
            prompt = sum(len(str(message["content"]).encode()) for message in asked["messages"])
            usage = {"prompt_tokens": prompt + 90, "completion_tokens": len(words)}
            return web.json_response(completion(" ".join(words), usage=usage))

        app = web.Application()
        app.router.add_post("/v1/chat/completions", handle)
        async with TestServer(app) as server:
            spec = OpenAIModel(model="some-model", base_url=str(server.make_url("/v1")), api_key=KEY)
            yield OpenAIClient(spec, environ={})


async def test_the_request_holds_the_conversation_untouched() -> None:
    seen: list[dict[str, object]] = []
    headers: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(await request.json())
        headers.append(request.headers["Authorization"])
        return web.json_response(completion())

    messages: Messages = (
        {"role": "system", "content": "Answer.  "},
        {"role": "user", "name": "ann", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "User: 5"},
    )
    async with serving(handle) as client:
        await client.complete(messages, Sampling(0.25, 99), seed=(5 << 31) + 7)
        await client.complete(ASK, Sampling(0, 1, top_p=0.9, stop=("\n\n", "END")), seed=0)
    assert seen[0] == {
        "model": "some-model",
        "messages": list(messages),
        "temperature": 0.25,
        "max_tokens": 99,
        "seed": 7,
    }
    assert seen[1]["top_p"] == 0.9
    assert seen[1]["stop"] == ["\n\n", "END"]
    assert headers == [f"Bearer {KEY}"] * 2


async def test_a_keyless_model_sends_no_key() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.json_response(completion())

    async with serving(handle, api_key=None) as client:
        assert (await client.complete(ASK, Sampling(), seed=1)).text == "2 + 3 = 5"


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        pytest.param(completion(), "2 + 3 = 5", "stop", id="plain"),
        pytest.param(completion("2 + 3", "length"), "2 + 3", "length", id="cut"),
        pytest.param(completion(None, "tool_calls"), "", "tool_calls", id="tool call without content"),
        pytest.param(completion("x", "eos"), "x", "stop", id="a server's own word for stop"),
        pytest.param(completion("x", "max_tokens"), "x", "length", id="a server's own word for length"),
        pytest.param(completion("x", None), "x", "stop", id="no reason, room left"),
        pytest.param(
            completion("x", None, usage={"prompt_tokens": 1, "completion_tokens": 512}), "x", "length",
            id="no reason, no room left",
        ),
        pytest.param(
            completion([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "5"}]), "5", "stop",
            id="parts, reasoning apart",
        ),
    ],
)  # fmt: skip
async def test_a_reply_is_read(body: dict[str, object], text: str, finish: str) -> None:
    async with serving(answering(body)) as client:
        got = await client.complete(ASK, Sampling(), seed=1)
    assert (got.text, got.finish) == (text, finish)


async def test_usage_is_the_servers_count() -> None:
    async with serving(answering(completion())) as client:
        got = await client.complete(ASK, Sampling(), seed=1)
    assert (got.tokens_in, got.tokens_out, got.estimated) == (37, 8, False)
    assert got.latency_s > 0


@pytest.mark.parametrize(
    ("usage", "tokens_in", "tokens_out"),
    [
        pytest.param(None, 3, 50, id="none"),
        pytest.param({}, 3, 50, id="empty"),
        pytest.param({"prompt_tokens": None, "completion_tokens": 8}, 3, 8, id="half"),
        pytest.param({"prompt_tokens": 37}, 37, 50, id="the other half"),
    ],
)
async def test_only_missing_usage_is_estimated_and_says_so(usage: object, tokens_in: int, tokens_out: int) -> None:
    async with serving(answering(completion("é" * 100, usage=usage))) as client:
        got = await client.complete(ASK, Sampling(), seed=1)
    assert (got.tokens_in, got.tokens_out, got.estimated) == (tokens_in, tokens_out, True)


GATEWAY = {"error": {"message": "Provider returned error", "code": 429}}
VLLM_TOO_LONG = {
    "object": "error",
    "message": "This model's maximum context length is 2048 tokens. However, you requested 2510 tokens.",
    "type": "BadRequestError",
    "code": 400,
}
LLAMACPP_TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (9031 tokens) exceeds the available context size (2048 tokens)",
        "type": "exceed_context_size_error",
    }
}
AZURE_FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt triggering content management policy.",
        "code": "content_filter",
        "status": 400,
    }
}
NO_CREDIT = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
RATE = {"error": {"message": "Rate limit reached for gpt-4o", "type": "tokens", "code": "rate_limit_exceeded"}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(401, {"error": {"message": "Invalid API Key"}}, "auth", id="401"),
        pytest.param(403, {"detail": "Forbidden"}, "auth", id="403"),
        pytest.param(402, {"error": "Payment required"}, "auth", id="402"),
        pytest.param(429, NO_CREDIT, "auth", id="429 without credit: waiting does not help"),
        pytest.param(404, {"error": {"message": "The model `x` does not exist"}}, "bad_request", id="404"),
        pytest.param(400, {"error": {"message": "temperature: must be <= 2"}}, "bad_request", id="400"),
        pytest.param(400, VLLM_TOO_LONG, "context_length", id="vLLM too long"),
        pytest.param(400, LLAMACPP_TOO_LONG, "context_length", id="llama.cpp too long"),
        pytest.param(
            400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, "context_length",
            id="OpenAI too long",
        ),
        pytest.param(400, AZURE_FILTER, "content_filter", id="Azure filter"),
        pytest.param(408, b"", "timeout", id="408"),
        pytest.param(429, RATE, "rate_limit", id="429"),
        pytest.param(500, b"<html>Internal Server Error</html>", "server", id="500 html"),
        pytest.param(503, {"error": {"message": "Loading model"}}, "server", id="503"),
        pytest.param(504, b"upstream timed out", "timeout", id="504"),
        pytest.param(529, {"error": {"type": "overloaded_error"}}, "server", id="529"),
        pytest.param(302, b"", "bad_request", id="redirect"),
        pytest.param(200, GATEWAY, "rate_limit", id="200 that holds a 429"),
        pytest.param(200, {"error": "overloaded"}, "server", id="200 with an error"),
        pytest.param(200, completion("", "content_filter"), "content_filter", id="filtered completion"),
        pytest.param(200, b"<html>Welcome to nginx!</html>", "malformed", id="html"),
        pytest.param(200, b"", "malformed", id="empty"),
        pytest.param(200, {"object": "list", "data": []}, "malformed", id="no choices"),
        pytest.param(200, {"choices": []}, "malformed", id="empty choices"),
        pytest.param(200, {"choices": [{"text": "old API"}]}, "malformed", id="no message"),
        pytest.param(200, b'"choices"', "malformed", id="a string"),
        pytest.param(200, json.dumps(completion()).encode()[:150], "malformed", id="cut JSON"),
        pytest.param(200, completion(finish="reticulated"), "malformed", id="unknown finish_reason"),
        pytest.param(200, completion(usage={"prompt_tokens": -1}), "malformed", id="negative usage"),
        pytest.param(200, completion(usage={"prompt_tokens": True}), "malformed", id="usage is no number"),
        pytest.param(200, completion(usage=[]), "malformed", id="usage is a list"),
        pytest.param(200, completion(5), "malformed", id="content is a number"),
        pytest.param(200, {"choices": {"0": {}}}, "malformed", id="choices are an object"),
        pytest.param(200, {"choices": [completion()]}, "malformed", id="a choice is something else"),
        pytest.param(200, completion("half", "error"), "server", id="broken off"),
        pytest.param(200, completion("half", "abort"), "server", id="aborted by vLLM"),
    ],
)  # fmt: skip
async def test_a_refusal_has_its_class_of_failure(status: int, body: object, expected: str) -> None:
    error = await failure(answering(body, status))
    assert error.failure == expected
    assert "some-model at 127.0.0.1" in str(error)
    assert error.hint


async def test_a_redirect_is_not_followed() -> None:
    error = await failure(answering(b"", 307, {"Location": "/v1/chat/completions"}))
    assert (error.failure, error.message) == ("bad_request", "some-model at 127.0.0.1: HTTP 307.")


async def test_what_the_server_said_is_told() -> None:
    error = await failure(answering(VLLM_TOO_LONG, 400))
    assert "HTTP 400: This model's maximum context length is 2048 tokens." in error.message


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        (format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 80_000, 86_400),
        (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 0, 0),
    ],
    ids=["seconds", "fraction", "negative", "date", "past date"],
)
async def test_retry_after_is_read(header: str, low: float, high: float) -> None:
    error = await failure(answering(RATE, 429, {"Retry-After": header}))
    assert error.retry_after_s is not None
    assert low <= error.retry_after_s <= high


@pytest.mark.parametrize("header", ["soon", "inf", "nan", "Sun, 99 Foo 2020"])
async def test_an_unreadable_retry_after_is_none(header: str) -> None:
    assert (await failure(answering(RATE, 429, {"Retry-After": header}))).retry_after_s is None


@asynccontextmanager
async def raw_server(*answer: bytes, hang: bool = False) -> AsyncIterator[OpenAIClient]:
    """An open client of a server that writes these bytes, and then resets the connection or falls silent."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in answer:
            writer.write(part)
            await writer.drain()
        if hang:
            await done.wait()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        spec = OpenAIModel(model="m", base_url=f"http://127.0.0.1:{port}/v1", timeout_s=0.2)
        async with OpenAIClient(spec, environ={}) as client:
            yield client
        done.set()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH, CHUNKED = HEAD + b"Content-Length: 5000\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "hang", "expected"),
    [
        pytest.param([], False, "connection", id="hangs up"),
        pytest.param([], True, "timeout", id="silent"),
        pytest.param([LENGTH, b'{"choices": ['], False, "malformed", id="cut body"),
        pytest.param([LENGTH, b'{"choices": ['], True, "timeout", id="slow body"),
        pytest.param([CHUNKED, b"4\r\nabcd\r\n"], False, "malformed", id="cut chunks"),
        pytest.param([b"SSH-2.0-OpenSSH_9.6\r\n\r\n"], False, "malformed", id="not HTTP"),
    ],
)  # fmt: skip
async def test_a_broken_transport_has_its_class_of_failure(answer: list[bytes], hang: bool, expected: str) -> None:
    async with raw_server(*answer, hang=hang) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == expected
    assert expected in RETRYABLE


async def test_a_closed_port_is_a_connection_failure(unused_tcp_port: int) -> None:
    spec = OpenAIModel(model="m", base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    async with OpenAIClient(spec, environ={}) as client:
        with pytest.raises(ModelCallError, match=r"127\.0\.0\.1") as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "connection"
    assert "base_url" in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "status", "wait_s"),
    [
        pytest.param({"retry-after-ms": "250", "Retry-After": "1"}, 429, 0.25, id="milliseconds are more exact"),
        pytest.param({"x-ratelimit-reset-requests": "1m0.5s"}, 429, 60.5, id="OpenAI"),
        pytest.param({"x-ratelimit-reset-tokens": "17ms"}, 429, 0.017, id="OpenAI, soon"),
        pytest.param({"x-ratelimit-reset-requests": "20"}, 429, 20, id="Azure"),
        pytest.param(
            {
                "x-ratelimit-reset-requests": "1h", "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-tokens": "7.66s", "x-ratelimit-remaining-tokens": "0",
            }, 429, 7.66, id="only the limit that is used up",
        ),
        pytest.param({"x-ratelimit-reset-requests": "6m"}, 500, None, id="not why it failed"),
        pytest.param({"Retry-After": "3"}, 503, 3, id="a busy server"),
        pytest.param({"x-ratelimit-reset-requests": "1.2.3s"}, 429, None, id="no number"),
        pytest.param({"x-ratelimit-reset-requests": "tomorrow"}, 429, None, id="no duration"),
        pytest.param({"retry-after-ms": "soon"}, 429, None, id="no milliseconds"),
    ],
)  # fmt: skip
async def test_the_wait_is_what_the_server_asks_for(headers: dict[str, str], status: int, wait_s: float | None) -> None:
    assert (await failure(answering(RATE, status, headers))).retry_after_s == wait_s


@pytest.mark.parametrize("padding", [0, 245, 250, 255, 270])
async def test_a_key_that_the_server_echoes_is_cut_out(padding: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"{'x' * padding} Incorrect API key provided: {KEY}."}}
    for status, body in [(401, echo), (200, echo), (200, {"strange": KEY}), (200, completion(finish=KEY))]:
        error = await failure(answering(body, status))
        shown = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
        assert KEY[:12] not in shown


async def test_an_open_client_does_not_show_its_key() -> None:
    async with serving(answering(completion())) as client:
        assert KEY not in f"{client!r}{client.identity}"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"api_key": "${NO_SUCH_KEY}"},
            "api_key of model 'm': the environment variable 'NO_SUCH_KEY' is not set",
        ),
        ({"base_url": "http://${HOST_NAME}/v1"}, "'HOST_NAME'"),
        ({"base_url": "api.example.org/v1"}, "not an http address"),
        ({"base_url": "ftp://example.org"}, "not an http address"),
        ({"base_url": "http://[::1/v1"}, "not an http address"),
    ],
    ids=["no key", "no host", "no scheme", "other scheme", "not an address"],
)
def test_a_model_that_cannot_be_used_says_why(fields: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("[", r"\[")):
        OpenAIClient(OpenAIModel.model_validate({"model": "m", **fields}), environ={})


@pytest.mark.parametrize(
    ("base_url", "local"),
    [
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.7/v1", True),
        ("http://[::1]:8000/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.5:8000/v1", False),
    ],
)
def test_local_is_the_loopback_interface(base_url: str, local: bool) -> None:
    assert OpenAIClient(OpenAIModel(model="m", base_url=base_url), environ={}).local is local


def test_an_image_counts_at_its_constant_and_not_by_its_bytes() -> None:
    client = OpenAIClient(OpenAIModel(model="m"), environ={})
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    bound = client.prompt_tokens_bound(({"role": "user", "content": [{"type": "text", "text": "?"}, picture]},))
    assert 16_384 < bound < 17_000


async def test_a_client_that_is_not_open_says_so() -> None:
    client = OpenAIClient(OpenAIModel(model="m"), environ={})
    with pytest.raises(RuntimeError, match="async with"):
        await client.complete(ASK, Sampling(), seed=1)
    async with client:
        with pytest.raises(RuntimeError, match="already open"):
            await client.__aenter__()
