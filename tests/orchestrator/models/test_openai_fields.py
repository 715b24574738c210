"""What a document adds to requests: headers, fields, an address; and that secrets stay secret."""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import JsonValue

from archloom.graphs import OpenAIModel, ServedModel
from archloom.nodes import Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import OpenAIClient
from archloom.testing import LoopbackServer
from archloom.tools.errors import UsageError

ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
ENVIRON = {"THE_KEY": "sk-proj-Zx81-9Qw7e", "TEAM": "team-77aa88", "PASS": 'pa"ss\\wö/rd-99'}
HEADERS = {"X-Team": "${TEAM}", "X-Login": "Login ${TEAM}:${PASS}", "X-Literal": "literal-hidden-5Kq3", "X-Short": "1"}
SECRETS = [*ENVIRON.values(), "literal-hidden-5Kq3"]


async def test_headers_are_sent_and_win_over_ours() -> None:
    headers = {**HEADERS, "authorization": "Basic abc"}
    async with LoopbackServer() as server:
        spec = OpenAIModel(model="m", base_url=server.url, api_key="${THE_KEY}", headers=headers)
        async with OpenAIClient(spec, environ=ENVIRON) as client:
            await client.complete(ASK, Sampling(), seed=1)
    sent = server.requests[0].headers
    assert (sent["x-team"], sent["x-short"], sent["authorization"]) == ("team-77aa88", "1", "Basic abc")


async def test_extra_fields_are_sent() -> None:
    extra: dict[str, JsonValue] = {"top_k": 5, "reasoning_effort": "low", "nested": {"a": [1]}, "temperature": 1}
    async with (
        LoopbackServer() as server,
        OpenAIClient(OpenAIModel(model="m", base_url=server.url, extra=extra), environ={}) as client,
    ):
        await client.complete(ASK, Sampling(), seed=1)
    assert extra.items() <= server.requests[0].body.items()


def test_extra_fields_are_part_of_the_identity() -> None:
    def identity(**extra: JsonValue) -> str:
        return OpenAIClient(OpenAIModel(model="m", extra=extra), environ={}).identity

    assert identity() == "openai/m"
    assert identity(a=1, b=2) == identity(b=2, a=1)
    assert len({identity(), identity(a=1), identity(a=2), identity(b=1)}) == 4
    assert re.fullmatch(r"openai/m\+[0-9a-f]{12}", identity(a=1))


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n", "seed", "max_tokens", "max_completion_tokens"])
def test_extra_fields_cannot_set_what_archloom_sets(name: str) -> None:
    with pytest.raises(UsageError, match=f"extra of model 'm' must not set '{name}'"):
        OpenAIClient(OpenAIModel(model="m", extra={"top_k": 5, name: 1}), environ={})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"headers": {"X-Team": "${NO_SUCH}"}}, "header 'X-Team' of model 'm': the environment variable 'NO_SUCH'"),
        ({"headers": {"X-Team": "a\r\nX-Evil: b"}}, "header 'X-Team' of model 'm': the value holds a line break"),
        ({"api_key": "${LINES}"}, "api_key of model 'm': the value holds a line break"),
    ],
    ids=["unset", "two lines", "key of two lines"],
)
def test_a_header_that_cannot_be_sent_says_why_and_not_what(spec: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        OpenAIClient(OpenAIModel.model_validate({"model": "m", **spec}), environ={"LINES": "se\ncret"})
    assert "evil" not in str(caught.value).lower()
    assert "cret" not in str(caught.value)


def test_any_served_model_can_be_given_an_address() -> None:
    client = OpenAIClient(ServedModel(model="m"), environ={}, base_url="http://127.0.0.1:9/v1")
    assert (client.endpoint, client.local) == ("http://127.0.0.1:9/v1/chat/completions|m", True)
    with pytest.raises(UsageError, match="not an http address"):
        OpenAIClient(ServedModel(model="m"), environ={})


async def test_the_query_of_an_address_is_sent_and_is_no_part_of_the_endpoint() -> None:
    async with LoopbackServer() as server:
        spec = OpenAIModel(model="m", base_url=f"{server.url}?api-version=2024-10-21&code=${{TEAM}}")
        async with OpenAIClient(spec, environ=ENVIRON) as client:
            assert (await client.complete(ASK, Sampling(), seed=1)).text == "You said: What is 2+3?"
    assert client.endpoint == f"{server.url}/chat/completions|m"


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://me.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://example.org/v1", "max_tokens"),
    ],
)
def test_the_limit_has_the_servers_name(base_url: str, field: str) -> None:
    client = OpenAIClient(OpenAIModel(model="m", base_url=base_url), environ={})
    assert client._body(ASK, Sampling(max_tokens=9), 1)[field] == 9


async def test_a_picture_of_megabytes_is_sent_whole() -> None:
    url = "data:image/png;base64," + base64.b64encode(bytes(3 << 20)).decode()
    picture: Messages = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},)
    async with (
        LoopbackServer() as server,
        OpenAIClient(OpenAIModel(model="m", base_url=server.url), environ={}) as client,
    ):
        await client.complete(picture, Sampling(), seed=1)
    assert server.requests[0].messages == list(picture)
    assert server.requests[0].headers["content-type"] == "application/json"


@asynccontextmanager
async def echoing(kind: str) -> AsyncIterator[str]:
    """Address of a server that answers with all headers of the request, padded so that a cut may fall in them."""

    async def handle(request: web.Request) -> web.StreamResponse:
        told = "x" * int(request.query["padding"]) + " ".join([*request.headers.values(), *SECRETS])
        if kind == "stream":
            event = web.json_response({"error": {"message": told}}).body
            assert isinstance(event, bytes)
            return web.Response(body=b"data: " + event + b"\n\n", content_type="text/event-stream")
        if kind == "html":
            return web.Response(text=f"<p>{told}</p>", content_type="text/html")
        if kind == "cut":
            return web.Response(body=json.dumps({"told": told}).replace("/", "\\/").encode()[:-2])
        if kind == "strange":
            return web.json_response({"what": {"is": told}})
        finish = {"message": {"content": told}, "finish_reason": told}
        return web.json_response(
            {"choices": [finish]} if kind == "finish" else {"error": {"message": told}},
            status=400 if kind == "refused" else 200,
        )

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


@pytest.mark.parametrize("padding", [0, 150, 200, 250, 290])
@pytest.mark.parametrize("kind", ["refused", "error", "html", "finish", "strange", "cut", "stream"])
async def test_secrets_show_nowhere(kind: str, padding: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with echoing(kind) as url:
        spec = OpenAIModel(
            model="m",
            base_url=f"{url}?padding={padding}",
            api_key="${THE_KEY}",
            headers=HEADERS,
            stream=kind == "stream",
        )
        async with OpenAIClient(spec, environ=ENVIRON) as client:
            with pytest.raises(ModelCallError) as caught:
                await client.complete(ASK, Sampling(), seed=1)
            shown = f"{client!r} {client.identity} {client.endpoint} {vars(client)['_wire']!r}"
    shown += "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    for secret in SECRETS:
        assert secret not in shown
        assert secret[: len(secret) // 2 + 1] not in shown
        assert secret[-5:] not in shown  # however the rest of it was escaped


async def test_a_secret_in_what_the_transport_raised_is_not_chained() -> None:
    key = ENVIRON["THE_KEY"]

    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        told = "" if request.query else key  # else the exception quotes the address
        request.transport.write(f"HTTP/1.1 {told}\r\n\r\n".encode())
        request.transport.close()
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    async with TestServer(app) as server:
        address = str(server.make_url("/v1"))
        for base_url in (address, f"{address}?code=${{PASS}}"):
            spec = OpenAIModel(model="m", base_url=base_url, api_key="${THE_KEY}")
            async with OpenAIClient(spec, environ=ENVIRON) as client:
                with pytest.raises(ModelCallError) as caught:
                    await client.complete(ASK, Sampling(), seed=1)
            assert caught.value.failure == "malformed"
            shown = "".join(traceback.format_exception(caught.value))
            assert key not in shown
            assert "pa%22ss" not in shown
