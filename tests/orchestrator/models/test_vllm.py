"""The client of a vLLM server that runs: what it sends and reads beyond the OpenAI format."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from archloom.graphs import VLLMModel
from archloom.nodes import Messages, OutputFormat, Sampling, TokenLogprob
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Client, Progress, open_client
from archloom.orchestrator.models.vllm._client import VLLMClient
from archloom.testing._clients import ClientConformance

KEY = "token-abc123-VERY-secret"
ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
HALF: Messages = (*ASK, {"role": "assistant", "content": "2+3 is"})

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
"""


@dataclass
class Server:
    """What vLLM 0.32 answers, and what it was asked."""

    reply: dict[str, object] = field(default_factory=dict)
    metrics: str = METRICS
    metrics_status: int = 200
    asked: list[dict[str, object]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        self.keys.append(request.headers.get("Authorization"))
        words = f"{asked['seed']} the fox went down to the river".split()[: asked["max_tokens"]]
        prompt = sum(len(str(message["content"]).encode()) for message in asked["messages"]) + 90
        if asked.get("stream"):
            return await self.stream(request, words, prompt)
        choice = {"index": 0, "message": {"role": "assistant", "content": " ".join(words)}, "finish_reason": "stop"}
        usage = {"prompt_tokens": prompt, "completion_tokens": len(words)}
        return web.json_response({"choices": [choice], "usage": usage, "prompt_logprobs": None, **self.reply})

    async def stream(self, request: web.Request, words: list[str], prompt: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for place, word in enumerate(words, 1):
            choice = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
            if place == len(words):
                choice["finish_reason"] = "stop"
            usage = {"prompt_tokens": prompt, "completion_tokens": place}
            await response.write(b"data: " + json.dumps({"choices": [choice], "usage": usage}).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    async def told(self, request: web.Request) -> web.Response:
        return web.Response(text=self.metrics, status=self.metrics_status)


@asynccontextmanager
async def serving(server: Server, **fields: object) -> AsyncIterator[VLLMClient]:
    """A client of this server that is not open yet."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.complete)
    app.router.add_get("/metrics", server.told)
    async with TestServer(app) as running:
        address = str(running.make_url("/v1"))
        spec = VLLMModel.model_validate({"model": "m", "base_url": address, "api_key": KEY, **fields})
        client = open_client(spec, environ={})
        assert isinstance(client, VLLMClient)
        yield client


async def sent(messages: Messages, sampling: Sampling, **fields: object) -> dict[str, object]:
    """The body of a request."""
    server = Server()
    async with serving(server, **fields) as client, client:
        await client.complete(messages, sampling, seed=1)
    [body] = server.asked
    return body


class TestConformance(ClientConformance):
    secret = KEY

    @pytest.fixture(params=[False, True], ids=["whole", "streamed"])
    async def client(self, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
        async with serving(Server(), stream=request.param) as client:
            yield client


async def test_a_plain_request_has_nothing_that_others_do_not_know() -> None:
    body = await sent(ASK, Sampling(0.5, 9))
    assert body == {"model": "m", "messages": list(ASK), "temperature": 0.5, "max_tokens": 9, "seed": 1}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (OutputFormat("regex", '"[0-9]+"'), {"structured_outputs": {"regex": "[0-9]+"}}),
        (OutputFormat("choice", '["yes", "no"]'), {"structured_outputs": {"choice": ["yes", "no"]}}),
    ],
    ids=["regex", "choice"],
)
async def test_an_output_is_asked_for_in_the_words_of_vllm(output: OutputFormat, expected: dict[str, object]) -> None:
    body = await sent(ASK, Sampling(output=output))
    assert {name: body[name] for name in expected} == expected


async def test_a_schema_goes_as_with_all_others() -> None:
    body = await sent(ASK, Sampling(output=OutputFormat("json_schema", '{"type": "object"}')))
    assert "structured_outputs" not in body
    assert isinstance(body["response_format"], dict)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("messages", "continued"),
    [
        (ASK, False),
        (HALF, True),
        ((*HALF, *ASK), False),
        ((*ASK, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}), False),
    ],
    ids=["question", "half an answer", "answered before", "tool call"],
)
async def test_half_an_answer_is_continued(messages: Messages, continued: bool) -> None:
    body = await sent(messages, Sampling())
    asked = {"add_generation_prompt": False, "continue_final_message": True} if continued else {}
    assert {name: body[name] for name in ("add_generation_prompt", "continue_final_message") if name in body} == asked


async def test_a_string_to_pause_at_stays_in_the_text() -> None:
    body = await sent(HALF, Sampling(pause=("Wait", "Hmm")))
    assert (body["stop"], body["include_stop_str_in_output"]) == (["Wait", "Hmm"], True)
    plain = await sent(HALF, Sampling(stop=("Wait",)))
    assert (plain["stop"], "include_stop_str_in_output" in plain) == (["Wait"], False)


PROMPT = [
    None,
    {"9690": {"logprob": -7.8, "rank": 146, "decoded_token": "sys"}, "29": {"logprob": -0.9, "decoded_token": "-"}},
    {"198": {"logprob": -1.0, "rank": 1, "decoded_token": "\n"}, "30": {"logprob": -2.0, "decoded_token": "."}},
]


@pytest.mark.parametrize(
    ("text", "first"), [("<|start|>sys\n", "<|start|>"), (None, ""), ("else", "")], ids=["told", "not told", "other"]
)
async def test_the_prompt_comes_with_its_log_probabilities(text: str | None, first: str) -> None:
    server = Server(reply={"prompt_logprobs": PROMPT, "prompt_text": text})
    async with serving(server, stream=True) as client, client:
        got = await client.complete(ASK, Sampling(prompt_logprobs=True, logprobs=1), seed=1)
        plain = await client.complete(ASK, Sampling(prompt_logprobs=True), seed=1)
    assert got.prompt_tokens == (
        TokenLogprob(first, 0.0),
        TokenLogprob("sys", -7.8, (("-", -0.9), ("sys", -7.8))),
        TokenLogprob("\n", -1.0, (("\n", -1.0), (".", -2.0))),
    )
    assert plain.prompt_tokens == got.prompt_tokens
    assert [body["prompt_logprobs"] for body in server.asked] == [1, 0]
    assert not any("stream" in body for body in server.asked), "vLLM gives none in a stream"


async def test_nothing_is_read_that_was_not_asked_for() -> None:
    async with serving(Server()) as client, client:
        assert (await client.complete(ASK, Sampling(), seed=1)).prompt_tokens == ()


@pytest.mark.parametrize(
    "told",
    [
        "x",
        [None, "x"],
        [None, {}],
        [None, {"1": {"logprob": "x", "decoded_token": "a"}}],
        [None, {"1": {"logprob": 1}}],
    ],
    ids=["no list", "no entry", "empty entry", "no number", "no text"],
)
async def test_log_probabilities_that_are_none_are_malformed(told: object) -> None:
    async with serving(Server(reply={"prompt_logprobs": told})) as client, client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(prompt_logprobs=True), seed=1)
    assert caught.value.failure == "malformed"


async def test_a_stream_counts_its_tokens_all_the_time() -> None:
    server, counts = Server(), []
    progress = Progress(on_text=lambda text: counts.append(progress.tokens_out))
    async with serving(server, stream=True) as client, client:
        await client.complete(ASK, Sampling(max_tokens=4), seed=1, progress=progress)
    assert counts == [None, 1, 2, 3], "what was counted before each piece"
    assert progress.tokens_out == 4
    assert server.asked[0]["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


async def test_the_identity_is_that_of_the_model_wherever_it_runs() -> None:
    async with serving(Server()) as one, serving(Server()) as other, serving(Server(), extra={"top_k": 3}) as third:
        assert one.identity == other.identity == "vllm/m"
        assert third.identity.startswith("vllm/m+")
        assert one.endpoint != other.endpoint
        assert one.local


async def test_metrics_are_read_beside_the_api() -> None:
    async with serving(Server()) as client, client:
        got = await client.metrics()
    assert (got.running, got.waiting) == (5, 7)


@pytest.mark.parametrize(
    ("server", "told"),
    [(Server(metrics_status=404), "HTTP 404"), (Server(metrics="vllm:num_requests_running x"), "no metrics")],
    ids=["none", "no numbers"],
)
async def test_a_server_without_metrics_says_so(server: Server, told: str) -> None:
    async with serving(server) as client, client:
        with pytest.raises(ModelCallError, match=told):
            await client.metrics()


async def test_a_watch_survives_a_server_that_is_gone() -> None:
    async with serving(Server()) as client:
        spec = VLLMModel(model="m", base_url=client.endpoint.partition("/chat")[0])
    async with VLLMClient(spec, environ={}) as gone, gone.watch(every_s=0.001) as watch:
        await asyncio.sleep(0)
    assert watch.load.readings == 0
    assert watch.load.prefix_hit_rate is None
