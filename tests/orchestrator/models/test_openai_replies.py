"""What the client reads from replies beyond their text, and what it books."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import OpenAIModel
from archloom.nodes import Completion, Messages, OutputFormat, Sampling, TokenLogprob
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import OpenAIClient
from archloom.orchestrator.models.openai._outcomes import Failed, outcomes_of
from archloom.orchestrator.models.openai._replies import MalformedReplyError, shares
from archloom.testing import Asked, Fault, LoopbackServer, Served
from archloom.tools.errors import UsageError

ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}, "more": [1]}
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def asked_for(server: LoopbackServer, sampling: Sampling, **spec: object) -> Completion:
    """One completion of this server."""
    fields = {"model": "m", "base_url": server.url, **spec}
    async with OpenAIClient(OpenAIModel.model_validate(fields), environ={}) as client:
        return await client.complete(ASK, sampling, seed=1)


@BOTH
async def test_tool_calls_come_back_untouched(stream: bool) -> None:
    tools = ({"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}},)
    choice = {"type": "function", "function": {"name": "add"}}
    async with LoopbackServer(lambda asked: Served("", tool_calls=(CALL, {**CALL, "id": "call_2"}))) as server:
        got = await asked_for(server, Sampling(tools=tools, tool_choice=choice), stream=stream)
    assert (got.tool_calls, got.finish, got.text) == ((CALL, {**CALL, "id": "call_2"}), "tool_calls", "")
    assert server.requests[0].body["tools"] == list(tools)
    assert server.requests[0].body["tool_choice"] == choice


@BOTH
async def test_reasoning_is_kept_apart_and_thinking_tags_are_text(stream: bool) -> None:
    async with LoopbackServer(lambda asked: Served("<think>hm</think> 5", reasoning="2 and 3 are 5")) as server:
        got = await asked_for(server, Sampling(), stream=stream)
    assert (got.text, got.reasoning, got.tokens_out) == ("<think>hm</think> 5", "2 and 3 are 5", 7)


@BOTH
async def test_logprobs_are_read_and_their_mean_taken(stream: bool) -> None:
    async with LoopbackServer(lambda asked: "5 is it") as server:
        got = await asked_for(server, Sampling(logprobs=1), stream=stream)
        none = await asked_for(server, Sampling(), stream=stream)
    assert got.tokens == (
        TokenLogprob("5", -0.25, (("50", -0.125),)),
        TokenLogprob(" is", -0.125, ((" is0", -0.125),)),
        TokenLogprob(" it", -0.125, ((" it0", -0.125),)),
    )
    assert got.logprob == pytest.approx(-0.5 / 3)
    assert (none.tokens, none.logprob) == ((), None)
    assert server.requests[0].body["top_logprobs"] == 1
    assert "logprobs" not in server.requests[1].body


async def test_a_json_schema_is_asked_for_strictly_and_what_a_server_cannot_do_is_refused() -> None:
    async with LoopbackServer(lambda asked: "{}") as server:
        await asked_for(server, Sampling(output=OutputFormat("json_schema", '{"type": "object"}')))
        for kind in ("regex", "choice"):
            with pytest.raises(UsageError, match="vllm"):
                await asked_for(server, Sampling(output=OutputFormat(kind, '"x"')))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="cannot pause at 'Wait'"):
            await asked_for(server, Sampling(pause=("Wait",)))
    schema = {"name": "reply", "schema": {"type": "object"}, "strict": True}
    assert [asked.body["response_format"] for asked in server.requests] == [
        {"type": "json_schema", "json_schema": schema}
    ]


@BOTH
@pytest.mark.parametrize(
    ("served", "finish"),
    [
        pytest.param(Served("", reasoning="nothing to say"), "empty", id="thought, then silent"),
        pytest.param(Served("", tool_calls=(CALL,)), "tool_calls", id="a call"),
        pytest.param(Served("", reasoning="long " * 600), "length", id="cut while it thought"),
    ],
)
async def test_an_empty_reply_that_used_tokens_is_the_models_word(served: Served, finish: str, stream: bool) -> None:
    async with LoopbackServer(lambda asked: served) as server:
        assert (await asked_for(server, Sampling(), stream=stream)).finish == finish


@BOTH
@pytest.mark.parametrize(
    ("fault", "failure", "used"),
    [
        pytest.param("empty", "empty", (7, 0), id="empty"),
        pytest.param("content_filter", "content_filter", (7, 4), id="filtered"),
        pytest.param("rate_limit", "rate_limit", None, id="refused"),
        pytest.param("truncated", "malformed", None, id="cut before it told"),
    ],
)
async def test_a_failure_tells_what_it_used(
    fault: Fault, failure: str, used: tuple[int, int] | None, stream: bool
) -> None:
    async with LoopbackServer(lambda asked: "2+3 is 5 .", faults=[fault]) as server:
        with pytest.raises(ModelCallError) as caught:
            await asked_for(server, Sampling(), stream=stream)
    assert (caught.value.failure, caught.value.used) == (failure, used)


async def test_an_empty_reply_without_usage_is_a_fault() -> None:
    async with LoopbackServer(lambda asked: "", usage=False) as server:
        with pytest.raises(ModelCallError) as caught:
            await asked_for(server, Sampling())
    assert (caught.value.failure, caught.value.used) == ("empty", None)


def reply(*choices: object, **fields: object) -> dict[str, object]:
    return {"choices": list(choices), "usage": {"prompt_tokens": 9, "completion_tokens": 4}, **fields}


def choice(finish: object = "stop", logprobs: object = None, **message: object) -> dict[str, object]:
    return {"message": {"content": "x", **message}, "finish_reason": finish, "logprobs": logprobs}


def read(told: dict[str, object], asked: int = 1, sampling: Sampling | None = None) -> list[Completion | Failed]:
    return outcomes_of(told, asked, ASK, sampling or Sampling(), 0.1, lambda reply, choice, completion: completion)


@pytest.mark.parametrize(
    ("given", "finish", "text"),
    [
        pytest.param(choice("stop", content=None, tool_calls=[CALL]), "tool_calls", "", id="a forced call says stop"),
        pytest.param(choice("length", content=None, tool_calls=[CALL]), "length", "", id="a call is cut"),
        pytest.param(choice("stop", content=None, refusal="I won't."), "stop", "I won't.", id="a refusal is words"),
        pytest.param(choice("stop_sequence"), "stop", "x", id="a word of Anthropic"),
        pytest.param(choice("tool_use", tool_calls=[CALL]), "tool_calls", "x", id="another"),
        pytest.param(choice("model_length"), "length", "x", id="a word of Mistral"),
        pytest.param(choice("stop", content=""), "empty", "", id="its end was its only token"),
    ],
)
def test_servers_words_have_our_meaning(given: object, finish: str, text: str) -> None:
    [got] = read(reply(given))
    assert isinstance(got, Completion)
    assert (got.finish, got.text) == (finish, text)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(choice(tool_calls=["x"]), id="calls are texts"),
        pytest.param(choice(tool_calls={"a": 1}), id="calls are an object"),
        pytest.param(choice(finish=5), id="finish is a number"),
        pytest.param(choice(finish=["stop"]), id="finish is a list"),
        pytest.param(choice(logprobs={"content": [{"token": "x"}]}), id="no logprob"),
        pytest.param(choice(logprobs={"content": [{"token": 5, "logprob": -1}]}), id="token is a number"),
        pytest.param(choice(logprobs={"content": ["x"]}), id="logprobs are texts"),
        pytest.param(choice(logprobs={"content": 5}), id="logprobs are a number"),
        pytest.param(
            choice(logprobs={"content": [{"token": "x", "logprob": -1, "top_logprobs": 5}]}), id="top is none"
        ),
        pytest.param({"message": "x"}, id="message is a text"),
        pytest.param("x", id="choice is a text"),
    ],
)
def test_a_malformed_choice_is_one_failure_and_keeps_the_others(given: object) -> None:
    first, second = read(reply(given, choice()), 2, Sampling(logprobs=2))
    assert isinstance(first, Failed)
    assert (first.failure, first.used) == ("malformed", (9, 0))
    assert isinstance(second, Completion)
    assert second.tokens_out == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | st.sampled_from(["", "x", "stop"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "content", "tool_calls", "logprobs", "finish_reason", "reasoning", "refusal"])
            | st.sampled_from(
                ["token", "logprob", "top_logprobs", "prompt_tokens", "completion_tokens", "type", "text"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON | st.fixed_dictionaries({"message": JSON, "logprobs": JSON}), min_size=1, max_size=3), JSON)
def test_any_json_is_completions_failures_or_malformed(choices: list[object], usage: object) -> None:
    try:
        got = read({"choices": choices, "usage": usage}, 2, Sampling(logprobs=1))
    except MalformedReplyError:
        return
    assert [type(one) in {Completion, Failed} for one in got] == [True, True]
    if isinstance(usage, dict) and isinstance(total := usage.get("completion_tokens"), int):
        told = [one.used[1] if isinstance(one, Failed) and one.used else getattr(one, "tokens_out", 0) for one in got]
        assert sum(told) == total


def test_likeliest_tokens_come_first_whoever_was_drawn() -> None:
    top = [{"token": "drawn", "logprob": -3}, {"token": "best", "logprob": -0.5}]
    entry = {"token": "drawn", "logprob": -3, "top_logprobs": top}
    [got] = read(reply(choice(logprobs={"content": [entry]})), 1, Sampling(logprobs=2))
    assert isinstance(got, Completion)
    assert got.tokens == (TokenLogprob("drawn", -3, (("best", -0.5), ("drawn", -3))),)


def test_logprobs_tell_whose_each_token_is() -> None:
    one, three = ([{"token": "ab", "logprob": -1.0}] * count for count in (1, 3))
    given = reply(choice(logprobs={"content": one}, content="a" * 99), choice(logprobs={"content": three}))
    got = read(given, 2, Sampling(logprobs=0))
    assert [(c.tokens_in, c.tokens_out, c.estimated) for c in got if isinstance(c, Completion)] == [
        (9, 1, False),
        (0, 3, False),
    ]


@pytest.mark.parametrize(
    "stranger", [{"choices": []}, {"error": {"message": "lost"}}, {"choices": 5}, {"choices": "x"}]
)
async def test_what_is_no_completion_still_tells_what_it_used(stranger: dict[str, object]) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response({**stranger, "usage": {"prompt_tokens": 9, "completion_tokens": 4}})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    async with TestServer(app) as server:
        spec = OpenAIModel(model="m", base_url=str(server.make_url("/v1")))
        async with OpenAIClient(spec, environ={}) as client:
            with pytest.raises(ModelCallError) as caught:
                await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.used == (9, 4)


def test_a_derived_client_may_find_a_reply_malformed() -> None:
    def refuse(reply: object, choice: object, completion: Completion) -> Completion:
        raise MalformedReplyError("prompt_logprobs")

    [got] = outcomes_of(reply(choice()), 1, ASK, Sampling(), 0.1, refuse)
    assert got == Failed("malformed", "the reply is not a chat completion: prompt_logprobs", (9, 4))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**5), min_size=1, max_size=9))
def test_shares_sum_to_the_total_and_are_less_than_one_from_proportion(total: int, weights: list[int]) -> None:
    parts = shares(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        fair = total * weight / whole if whole else total / len(weights)
        assert abs(part - fair) < 1


@BOTH
async def test_with_usage_or_without_a_stream_and_a_reply_in_one_piece_are_the_same(stream: bool) -> None:
    def answer(asked: Asked) -> Served:
        return Served("naïve 東京 answer", reasoning="hm hm", tool_calls=(CALL,))

    async with LoopbackServer(answer, usage=False) as server:
        got = await asked_for(server, Sampling(), stream=stream)
    assert (got.tokens_in, got.estimated) == (3, True)
    assert got.tokens_out > 20  # text, reasoning and call
