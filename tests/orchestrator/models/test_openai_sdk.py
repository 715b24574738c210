"""The official SDK as the oracle of what goes over the wire."""

from __future__ import annotations

import orjson
import pytest

from archloom.graphs import OpenAIModel
from archloom.nodes import Messages, OutputFormat, Sampling
from archloom.orchestrator.models import OpenAIClient
from archloom.testing import Asked, LoopbackServer, Served

openai = pytest.importorskip("openai", reason="the official SDK is the oracle; pip install openai")

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2,\n "b": 3}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Façade of a sum.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
    },
}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}


def typed_messages() -> Messages:
    """A conversation of all kinds of messages, written with the SDK's types."""
    chat = openai.types.chat
    return (
        chat.ChatCompletionDeveloperMessageParam(role="developer", content="Be brief.  \n"),
        chat.ChatCompletionSystemMessageParam(role="system", content=[{"type": "text", "text": "Use the tool."}]),
        chat.ChatCompletionUserMessageParam(
            role="user", name="ann", content=[{"type": "text", "text": "User: 2+3? 東京 \u2028 😀"}, PICTURE]
        ),
        chat.ChatCompletionAssistantMessageParam(role="assistant", content=None, tool_calls=[CALL]),
        chat.ChatCompletionToolMessageParam(role="tool", tool_call_id="call_1", content='{"sum": 5}'),
        chat.ChatCompletionAssistantMessageParam(role="assistant", content="5", refusal=None),
        chat.ChatCompletionUserMessageParam(role="user", content=""),
    )


def canonical(asked: Asked, *, without: tuple[str, ...] = ()) -> bytes:
    """The body as JSON, whatever the order of its keys."""
    body = {name: value for name, value in asked.body.items() if name not in without}
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("stream", [False, True])
async def test_requests_are_those_of_the_sdk(stream: bool) -> None:
    messages = typed_messages()
    schema = '{"type": "object", "properties": {"sum": {"type": "number"}}}'
    async with LoopbackServer() as server:
        sampling = Sampling(
            temperature=0.25, max_tokens=99, top_p=0.9, stop=("\n\n", "END"), logprobs=3, tools=(TOOL,),
            tool_choice={"type": "function", "function": {"name": "add"}},
            output=OutputFormat("json_schema", schema),
        )  # fmt: skip
        spec = OpenAIModel(model="m", base_url=server.url, api_key="k" * 8, stream=stream, extra={"top_k": 5})
        async with OpenAIClient(spec, environ={}) as client:
            await client.complete(messages, sampling, seed=7)
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k" * 8, max_retries=0) as sdk:
            reply = await sdk.chat.completions.create(
                model="m", messages=messages, temperature=0.25, max_tokens=99, top_p=0.9, stop=["\n\n", "END"],
                seed=7, logprobs=True, top_logprobs=3, tools=[TOOL], stream=stream,
                tool_choice={"type": "function", "function": {"name": "add"}},
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "reply", "schema": orjson.loads(schema), "strict": True},
                },
                extra_body={"top_k": 5},
                **({"stream_options": {"include_usage": True}} if stream else {}),
            )  # fmt: skip
            if stream:
                await reply.close()
    ours, theirs = server.requests
    assert canonical(ours) == canonical(theirs, without=() if stream else ("stream",))
    assert orjson.dumps(ours.body["messages"]) == orjson.dumps(theirs.body["messages"])
    for name in ("authorization", "content-type"):
        assert ours.headers[name] == theirs.headers[name]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_exchange_with_tools_goes_on_with_what_came_back(stream: bool) -> None:
    """Tool calls that the client gives are, as messages, those that the SDK gives."""
    served = Served("", tool_calls=(CALL, {**CALL, "id": "call_2"}))
    ask: Messages = ({"role": "user", "content": "2+3?"},)
    async with LoopbackServer(lambda asked: served) as server:
        spec = OpenAIModel(model="m", base_url=server.url, stream=stream)
        async with OpenAIClient(spec, environ={}) as client:
            got = await client.complete(ask, Sampling(tools=(TOOL,)), seed=1)
            again = (*ask, {"role": "assistant", "content": None, "tool_calls": got.tool_calls})
            await client.complete(again, Sampling(tools=(TOOL,)), seed=1)
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as sdk:
            reply = await sdk.chat.completions.create(model="m", messages=ask, tools=[TOOL])
            message = reply.choices[0].message.model_dump(include={"role", "content", "tool_calls"})
            await sdk.chat.completions.create(model="m", messages=[*ask, message], tools=[TOOL])
    assert server.requests[1].messages == server.requests[3].messages


async def test_the_sdk_reads_what_the_loopback_server_writes() -> None:
    """The oracle of the server that all other tests trust."""
    served = Served("5 it is", tool_calls=(CALL,))
    given = {"model": "m", "messages": [{"role": "user", "content": "2+3?"}], "n": 2, "logprobs": True}
    async with (
        LoopbackServer(lambda asked: served) as server,
        openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as sdk,
    ):
        whole = await sdk.chat.completions.create(**given)
        async with sdk.chat.completions.stream(**given, stream_options={"include_usage": True}) as stream:
            streamed = await stream.get_final_completion()
    for one, other in zip(whole.choices, streamed.choices, strict=True):
        assert one.finish_reason == other.finish_reason == "tool_calls"
        assert one.message.content == other.message.content == "5 it is"
        assert one.message.tool_calls[0].function.arguments == CALL["function"]["arguments"]
        assert other.message.tool_calls[0].function.arguments == CALL["function"]["arguments"]
        assert one.logprobs == other.logprobs
    assert whole.usage == streamed.usage
    assert server.totals["ok"] == (2, 2 * whole.usage.prompt_tokens, 2 * whole.usage.completion_tokens)
