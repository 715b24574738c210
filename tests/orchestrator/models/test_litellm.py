"""The litellm client against servers on the loopback interface that speak OpenAI's and Anthropic's formats."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from archloom.graphs import LiteLLMModel
from archloom.nodes import OutputFormat, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import LiteLLMClient, open_client
from archloom.orchestrator.models.litellm._client import import_litellm
from archloom.orchestrator.models.litellm._errors import FAILURES
from archloom.testing import ClientConformance
from archloom.tools.errors import UsageError

# litellm is an extra. The development environment has it, so CI skips none of these.
pytestmark = pytest.mark.skipif(
    find_spec("litellm") is None, reason='the provider litellm needs: pip install "archloom[litellm]"'
)

KEY = "sk-loopback-0123456789"
ASK = ({"role": "user", "content": "What is 7 times 8?"},)
TOOL = {
    "type": "function",
    "function": {"name": "multiply", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """A server with both formats; ``answer`` overrides what it says."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer | None = None
        self.waiting = asyncio.Event()
        self.server = TestServer(web.Application())
        self.server.app.router.add_post("/v1/chat/completions", self._openai)
        self.server.app.router.add_post("/v1/messages", self._anthropic)

    def model(self, model: str = "openai/toy", **fields: Any) -> LiteLLMModel:
        base_url = str(self.server.make_url("/")).rstrip("/")
        base_url += "" if model.startswith("anthropic/") else "/v1"
        return LiteLLMModel.model_validate({"model": model, "base_url": base_url, "api_key": "${MY_KEY}"} | fields)

    def client(self, model: str = "openai/toy", **fields: Any) -> LiteLLMClient:
        return LiteLLMClient(self.model(model, **fields), environ={"MY_KEY": KEY})

    def says(self, body: object, status: int = 200, **headers: str) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            text = body if isinstance(body, str) else json.dumps(body)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(text=text, status=status, content_type="application/json", headers=named)

        self.answer = answer

    async def waits(self, request: web.Request) -> web.StreamResponse:
        self.waiting.set()
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits that long")

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        body = await self._heard(request)
        return await self.answer(request) if self.answer else web.json_response(openai_reply(body))

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        body = await self._heard(request)
        return await self.answer(request) if self.answer else web.json_response(anthropic_reply(body))

    async def _heard(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        return body


def openai_reply(body: dict[str, Any], **message: Any) -> dict[str, Any]:
    """As many words as it may write, which the seed decides."""
    words = [f"w{body.get('seed', 0) % 97}"] * min(6, body["max_tokens"])
    choice = {"index": 0, "message": {"role": "assistant", "content": " ".join(words)} | message}
    tokens_in = sum(len(str(each["content"]).split()) for each in body["messages"])
    usage = {"prompt_tokens": tokens_in, "completion_tokens": len(words), "total_tokens": tokens_in + len(words)}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "toy", "usage": usage} | {
        "choices": [choice | {"finish_reason": "length" if len(words) == body["max_tokens"] else "stop"}]
    }


def anthropic_reply(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    words = ["word"] * min(6, body["max_tokens"])
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "toy",
        "content": [{"type": "text", "text": " ".join(words)}],
        "stop_reason": "max_tokens" if len(words) == body["max_tokens"] else "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": len(words)},
    } | fields


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    await provider.server.start_server()
    yield provider
    await provider.server.close()


class TestOpenAIFormat(ClientConformance):
    secret = KEY

    @pytest.fixture
    def client(self, provider: Provider) -> LiteLLMClient:
        return provider.client()


class TestAnthropicFormat(ClientConformance):
    deterministic: ClassVar[bool] = False
    secret = KEY

    @pytest.fixture
    def client(self, provider: Provider) -> LiteLLMClient:
        return provider.client("anthropic/claude-sonnet-4-5")


# --- what is sent


async def test_the_request_says_what_the_node_asks_and_nothing_else(provider: Provider) -> None:
    async with provider.client() as client:
        await client.complete(ASK, Sampling(temperature=0.25, max_tokens=9, top_p=0.5, stop=("END",)), seed=5)
    assert provider.asked == [
        {
            "model": "toy",
            "messages": list(ASK),
            "temperature": 0.25,
            "max_tokens": 9,
            "top_p": 0.5,
            "stop": ["END"],
            "seed": 5,
        }
    ]
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_the_seed_stays_here_where_the_provider_takes_none(provider: Provider) -> None:
    async with provider.client("anthropic/claude-sonnet-4-5") as client:
        await client.complete(ASK, Sampling(max_tokens=9), seed=5)
    assert "seed" not in provider.asked[0]
    assert provider.headers[0]["x-api-key"] == KEY


async def test_what_the_provider_cannot_do_is_refused_rather_than_dropped(provider: Provider) -> None:
    async with provider.client("anthropic/claude-sonnet-4-5") as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(logprobs=1), seed=1)
    assert caught.value.failure == "bad_request"
    assert "logprobs" in caught.value.message
    assert provider.asked == []


async def test_extra_is_sent_and_is_part_of_the_identity(provider: Provider) -> None:
    plain, extra = provider.client(), provider.client(extra={"frequency_penalty": 0.5})
    async with extra as client:
        await client.complete(ASK, Sampling(), seed=1)
    assert provider.asked[0]["frequency_penalty"] == 0.5
    assert plain.identity == "litellm/openai/toy"
    assert extra.identity.startswith("litellm/openai/toy+")
    assert extra.identity != provider.client(extra={"frequency_penalty": 0.25}).identity


@pytest.mark.parametrize("name", ["model", "n", "stream", "num_retries", "api_key", "fallbacks"])
def test_extra_may_not_set_what_archloom_sets(provider: Provider, name: str) -> None:
    with pytest.raises(UsageError, match=f"must not set '{name}'"):
        provider.client(extra={name: 1})


async def test_a_schema_is_asked_for(provider: Provider) -> None:
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}}'
    async with provider.client() as client:
        await client.complete(ASK, Sampling(output=OutputFormat("json_schema", schema)), seed=1)
        with pytest.raises(UsageError, match="'regex'"):
            await client.complete(ASK, Sampling(output=OutputFormat("regex", "[0-9]+")), seed=1)
    assert provider.asked[0]["response_format"]["json_schema"]["schema"] == json.loads(schema)
    assert len(provider.asked) == 1


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat"])
async def test_an_assistants_message_is_continued(provider: Provider, model: str) -> None:
    opened = (*ASK, {"role": "assistant", "content": "It is"})
    base_url = provider.model(model).base_url
    async with provider.client(model, base_url=base_url) as client:
        reply = await client.complete(opened, Sampling(max_tokens=9), seed=1)
    last = provider.asked[0]["messages"][-1]
    assert last["role"] == "assistant"
    assert "It is" in json.dumps(last)
    assert last.get("prefix", False) == model.startswith("deepseek/")
    assert not reply.text.startswith("It is")


async def test_a_model_that_would_answer_itself_is_not_asked(provider: Provider) -> None:
    async with provider.client() as client:
        with pytest.raises(ModelCallError, match="not known to continue") as caught:
            await client.complete((*ASK, {"role": "assistant", "content": "It is"}), Sampling(), seed=1)
    assert caught.value.failure == "bad_request"
    assert "vllm" in str(caught.value)
    assert provider.asked == []


async def test_nobody_is_told_at_which_string_a_reply_ended(provider: Provider) -> None:
    async with provider.client() as client:
        with pytest.raises(UsageError, match="cannot pause at 'Wait'"):
            await client.complete(ASK, Sampling(pause=("Wait",)), seed=1)
    assert provider.asked == []


# --- what comes back


async def test_a_reply_with_reasoning_and_log_probabilities(provider: Provider) -> None:
    reply = openai_reply({"messages": ASK, "max_tokens": 2}, reasoning_content="7 · 8")
    reply["choices"][0]["logprobs"] = {
        "content": [
            {"token": "w0", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "x", "logprob": -1.0, "bytes": None}]},
            {"token": " w0", "logprob": -1.5, "bytes": None, "top_logprobs": []},
        ]
    }  # fmt: skip
    provider.says(reply)
    async with provider.client() as client:
        completion = await client.complete(ASK, Sampling(logprobs=1), seed=1)
    assert (provider.asked[0]["logprobs"], provider.asked[0]["top_logprobs"]) == (True, 1)
    assert (completion.text, completion.reasoning) == ("w0 w0", "7 · 8")
    assert [(token.text, token.logprob) for token in completion.tokens] == [("w0", -0.5), (" w0", -1.5)]
    assert completion.tokens[0].top == (("x", -1.0),)
    assert completion.logprob == -1.0


@pytest.mark.parametrize("model", ["openai/toy", "anthropic/claude-sonnet-4-5"])
async def test_a_tool_call(provider: Provider, model: str) -> None:
    if model.startswith("openai/"):
        function = {"name": "multiply", "arguments": '{"a": 7}'}
        calls = [{"id": "t1", "type": "function", "function": function}]
        provider.says(openai_reply({"messages": ASK, "max_tokens": 9}, content=None, tool_calls=calls))
    else:
        used = {"type": "tool_use", "id": "t1", "name": "multiply", "input": {"a": 7}}
        provider.says(anthropic_reply({"max_tokens": 9}, content=[used], stop_reason="tool_use"))
    async with provider.client(model) as client:
        completion = await client.complete(ASK, Sampling(tools=(TOOL,), tool_choice="auto"), seed=1)
    [call] = completion.tool_calls
    assert (call["id"], call["function"]["name"]) == ("t1", "multiply")
    assert json.loads(call["function"]["arguments"]) == {"a": 7}
    assert (completion.finish, completion.text) == ("tool_calls", "")
    assert "multiply" in json.dumps(provider.asked[0]["tools"])


async def test_tokens_are_estimated_where_the_server_counts_none(provider: Provider) -> None:
    reply = openai_reply({"messages": ASK, "max_tokens": 9})
    del reply["usage"]
    provider.says(reply)
    async with provider.client() as client:
        completion = await client.complete(ASK, Sampling(), seed=1)
    assert completion.estimated
    assert completion.tokens_in > 0
    assert completion.tokens_out > 0


async def test_thinking_alone_is_the_models_own_word(provider: Provider) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    provider.says(anthropic_reply({"max_tokens": 9}, content=[thought]))
    async with provider.client("anthropic/claude-sonnet-4-5") as client:
        completion = await client.complete(ASK, Sampling(), seed=1)
    assert (completion.text, completion.reasoning, completion.finish) == ("", "Hm.", "empty")


# --- what goes wrong


def refusal(message: str, **more: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "refused", "message": f"{message} ({KEY})", **more}}


@pytest.mark.parametrize("model", ["openai/toy", "anthropic/claude-sonnet-4-5"])
@pytest.mark.parametrize(
    ("status", "message", "failure"),
    [
        pytest.param(429, "slow down", "rate_limit", id="429"),
        pytest.param(401, "no such key", "auth", id="401"),
        pytest.param(403, "not yours", "auth", id="403"),
        pytest.param(404, "no such model", "bad_request", id="404"),
        pytest.param(400, "what is this", "bad_request", id="400"),
        pytest.param(400, "prompt is too long: 9 tokens > 8 maximum", "context_length", id="context length"),
        pytest.param(400, "refused by our content management policy", "content_filter", id="content filter"),
        pytest.param(500, "oops", "server", id="500"),
        pytest.param(503, "oops", "server", id="503"),
        pytest.param(529, "overloaded", "server", id="529"),
    ],
)
async def test_a_refusal(provider: Provider, model: str, status: int, message: str, failure: str) -> None:
    provider.says(refusal(message), status, Retry_After="7")
    async with provider.client(model) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == failure
    assert message.split(":")[0] in caught.value.message
    assert KEY not in _all_that_shows(caught.value)
    assert len(provider.asked) == 1, "litellm must not try again by itself"
    if status in {429, 503}:
        assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        pytest.param('{"choices": [{"mess', "malformed", id="cut JSON"),
        pytest.param("<html>hello</html>", "malformed", id="no JSON"),
        pytest.param({"id": "c", "choices": []}, "malformed", id="no choice"),
        pytest.param({"error": {"message": "later", "code": 429}}, "rate_limit", id="an error with status 200"),
    ],
)
async def test_a_reply_that_is_none(provider: Provider, body: object, failure: str) -> None:
    provider.says(body)
    async with provider.client() as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == failure


@pytest.mark.parametrize("model", ["openai/toy", "anthropic/claude-sonnet-4-5"])
async def test_a_body_that_is_cut(provider: Provider, model: str) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "999", "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        assert request.transport is not None
        request.transport.close()
        return response

    provider.answer = cut
    async with provider.client(model) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure in {"malformed", "connection"}  # the OpenAI SDK does not say which


@pytest.mark.parametrize("model", ["openai/toy", "anthropic/claude-sonnet-4-5"])
async def test_nothing_answers(provider: Provider, model: str) -> None:
    client = provider.client(model)
    await provider.server.close()
    async with client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "connection"


@pytest.mark.parametrize("model", ["openai/toy", "anthropic/claude-sonnet-4-5"])
async def test_a_withheld_completion_is_a_failure_that_says_what_it_used(provider: Provider, model: str) -> None:
    if model.startswith("openai/"):
        reply = openai_reply({"messages": ASK, "max_tokens": 2}, content="")
        reply["choices"][0]["finish_reason"] = "content_filter"
    else:
        reply = anthropic_reply({"max_tokens": 2}, content=[], stop_reason="refusal")
    provider.says(reply)
    async with provider.client(model) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "content_filter"
    assert caught.value.used is not None
    assert caught.value.used[1] == 2


async def test_an_empty_reply_without_tokens_is_a_fault(provider: Provider) -> None:
    reply = openai_reply({"messages": ASK, "max_tokens": 9}, content="")
    reply["usage"] |= {"completion_tokens": 0}
    provider.says(reply)
    async with provider.client() as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "empty"


@pytest.mark.parametrize("model", ["openai/toy", "anthropic/claude-sonnet-4-5"])
async def test_a_server_that_takes_too_long(provider: Provider, model: str) -> None:
    provider.answer = provider.waits
    async with provider.client(model, timeout_s=0.3) as client:
        with pytest.raises(ModelCallError, match=r"0\.3 s") as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "timeout"


async def test_a_cancelled_call_is_given_up_at_the_server(provider: Provider) -> None:
    gone = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        try:
            return await provider.waits(request)
        finally:
            gone.set()

    provider.answer = wait
    async with provider.client() as client:
        call = asyncio.ensure_future(client.complete(ASK, Sampling(), seed=1))
        await provider.waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await provider.server.close()
    assert gone.is_set()


async def test_nothing_stays_behind(provider: Provider) -> None:
    tasks = asyncio.all_tasks()
    for model in ("openai/toy", "anthropic/claude-sonnet-4-5"):
        async with provider.client(model) as client:
            await client.complete(ASK, Sampling(), seed=1)
    assert not [key for key in import_litellm().in_memory_llm_clients_cache.cache_dict if KEY in key]
    gc.collect()  # an open socket would warn, and warnings are errors

    def left() -> set[asyncio.Task[object]]:
        served = {task for task in asyncio.all_tasks() if "aiohttp" in repr(task.get_coro())}
        return asyncio.all_tasks() - tasks - served

    if waiting := left():
        await asyncio.wait(waiting, timeout=10)
    assert left() == set()


async def test_a_client_that_leaves_does_not_disturb_the_calls_of_others(provider: Provider) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        provider.waiting.set()
        await go_on.wait()
        return web.json_response(openai_reply(provider.asked[-1]))

    provider.answer = answer
    async with provider.client() as first:
        call = asyncio.ensure_future(first.complete(ASK, Sampling(), seed=1))
        await provider.waiting.wait()
        async with provider.client("anthropic/claude-sonnet-4-5"):
            pass
        go_on.set()
        assert (await call).finish == "stop"


async def test_an_unknown_provider_is_a_bad_request(provider: Provider) -> None:
    async with provider.client("nobody-sells/this", base_url=None) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "bad_request"


def test_every_exception_of_litellm_has_its_class_of_failure() -> None:
    public = {
        name
        for name, value in vars(import_litellm().exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception) and not name.startswith("_")
    }
    assert public - FAILURES.keys() == set()


# --- keys, packages, imports


def test_an_unset_variable_is_reported() -> None:
    with pytest.raises(UsageError, match="'NO_SUCH_KEY' is not set"):
        open_client(LiteLLMModel(model="openai/toy", api_key="${NO_SUCH_KEY}"), environ={})


async def test_keys_of_the_environment_do_not_show_either(provider: Provider) -> None:
    provider.says(refusal("bad key sk-from-the-environment"), 401)
    client = LiteLLMClient(
        provider.model(), environ={"MY_KEY": KEY, "TOY_API_KEY": "sk-from-the-environment", "SHELL": "bad"}
    )
    async with client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert "sk-from-the-environment" not in _all_that_shows(caught.value)
    assert "bad key ***" in caught.value.message


@pytest.mark.parametrize(
    ("base_url", "local"),
    [(None, False), ("https://api.example.com", False), ("http://127.0.0.1:1/v1", True), ("http://localhost", True)],
)
def test_what_is_local_and_what_shares_a_limit(base_url: str | None, local: bool) -> None:
    client = LiteLLMClient(LiteLLMModel(model="openai/toy", base_url=base_url, api_key=KEY), environ={})
    assert client.local is local
    assert client.endpoint == f"{base_url or 'litellm'}|openai/toy"
    assert KEY not in client.endpoint


def test_without_the_package_the_error_says_how_to_get_it() -> None:
    program = """
import asyncio, sys
sys.modules["litellm"] = None
from archloom.graphs import LiteLLMModel
from archloom.orchestrator.errors import ModelUnavailableError
from archloom.orchestrator.models import LiteLLMClient
try:
    asyncio.run(LiteLLMClient(LiteLLMModel(model="openai/toy"), environ={}).__aenter__())
except ModelUnavailableError as exc:
    print(exc.hint)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert 'pip install "archloom[litellm]"' in done.stdout


DOCUMENT = """\
archloom: 1
models:
  big: {provider: litellm, model: openai/gpt-4o-mini}
nodes:
  draft: {type: generator, model: big, samples: 3}
  answer: {type: vote, after: draft}
output: answer
"""


@pytest.mark.parametrize("command", [None, "validate", "plan"])
def test_looking_at_a_document_does_not_import_litellm(tmp_path: Path, command: str | None) -> None:
    (tmp_path / "w.yaml").write_text(DOCUMENT)
    arguments = [] if command is None else [command, str(tmp_path / "w.yaml")]
    program = f"""
import sys
import archloom.cli
if {arguments!r}:
    sys.argv = ["archloom", *{arguments!r}]
    try:
        archloom.cli.main()
    except SystemExit as exc:
        assert not exc.code, exc.code
assert "litellm" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def _all_that_shows(error: BaseException) -> str:
    """The error and what a traceback prints with it."""
    shown = ""
    at: BaseException | None = error
    while at is not None:
        shown += f"{at!r} {at} {getattr(at, 'message', '')} {getattr(at, 'hint', '')}"
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return shown
