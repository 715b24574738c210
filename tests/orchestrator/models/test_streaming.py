"""Replies that are read as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import OpenAIModel
from archloom.nodes import Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import OpenAIClient, Progress
from archloom.orchestrator.models.openai._replies import MalformedReplyError
from archloom.orchestrator.models.openai._streaming import EventReader, ReplyAssembly, ServerErrorEvent
from archloom.testing import LoopbackServer, Served

ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}


def client_of(server: LoopbackServer, **spec: object) -> OpenAIClient:
    return OpenAIClient(OpenAIModel.model_validate({"model": "m", "base_url": server.url, **spec}), environ={})


ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
DATA = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",)), min_size=1)


@given(st.lists(DATA, min_size=1, max_size=6), ENDS, st.booleans(), st.data())
def test_events_do_not_depend_on_where_the_bytes_are_cut(
    events: list[str], end: bytes, space: bool, data: st.DataObject
) -> None:
    head = b"data: " if space else b"data:"
    sent = b"".join(
        b": keep-alive" + end + b"event: message" + end + head + event.encode() + end + end for event in events
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    reader, got = EventReader(), []
    for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        got += reader.feed(sent[start:stop])
    got += reader.feed(b"\n")  # a carriage return at the very end may still become a line's end of two bytes
    assert got == [event.removeprefix(" ").encode() if not space else event.encode() for event in events]


def test_data_of_several_lines_is_one_event() -> None:
    assert list(EventReader().feed(b"data: a\nid: 5\ndata: b\n\n\n\ndata: c\n\n")) == [b"a\nb", b"c"]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("logprobs", [None, 2])
async def test_a_stream_gives_the_same_completions_as_one_piece(n: int, logprobs: int | None) -> None:
    def answer(asked: object) -> Served:
        return Served("5, in naïve 東京 words", reasoning="2 and 3", tool_calls=(CALL, {**CALL, "id": "call_2"}))

    got = []
    async with LoopbackServer(answer) as server:
        for stream in (False, True):
            async with client_of(server, stream=stream, n=n) as client, asyncio.TaskGroup() as group:
                calls = [group.create_task(client.complete(ASK, Sampling(logprobs=logprobs), seed=1)) for _ in range(n)]
            got.append([{**vars(call.result()), "latency_s": 0} for call in calls])
    assert got[0] == got[1]
    assert [asked.body.get("n", 1) for asked in server.requests] == [n, n]
    assert [asked.body.get("stream", False) for asked in server.requests] == [False, True]
    assert server.requests[1].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_watches_sees_the_text_as_it_comes(stream: bool) -> None:
    pieces: list[str] = []
    progress = Progress(on_text=pieces.append)
    async with LoopbackServer(lambda asked: "5 it is") as server, client_of(server, stream=stream) as client:
        await client.complete(ASK, Sampling(), seed=1, progress=progress)
    assert pieces == ["5", " it", " is"]
    assert (progress.tokens_in, progress.tokens_out) == (7, 3)


async def test_those_who_watch_one_request_each_see_their_own_text() -> None:
    seen: list[list[str]] = [[], [], []]
    async with (
        LoopbackServer(lambda asked: f"this is {asked.choice}") as server,
        client_of(server, n=3) as client,
        asyncio.TaskGroup() as group,
    ):
        calls = [
            group.create_task(client.complete(ASK, Sampling(), seed=1, progress=Progress(on_text=text.append)))
            for text in seen
        ]
    assert (
        ["".join(text) for text in seen] == [call.result().text for call in calls] == [f"this is {i}" for i in range(3)]
    )
    assert len(server.requests) == 1


async def test_a_reply_that_did_not_stream_is_shown_at_once() -> None:
    async def whole(request: web.Request) -> web.Response:
        return web.json_response({"choices": [{"message": {"content": "5 it is"}, "finish_reason": "stop"}]})

    seen: list[str] = []
    async with answering(whole) as client:
        got = await client.complete(ASK, Sampling(), seed=1, progress=Progress(on_text=seen.append))
    assert seen == [got.text] == ["5 it is"]


@asynccontextmanager
async def answering(handler: object) -> AsyncIterator[OpenAIClient]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)  # type: ignore[arg-type]
    async with TestServer(app) as server:
        of_server = OpenAIModel(model="m", base_url=str(server.make_url("/v1")), stream=True, timeout_s=5)
        async with OpenAIClient(of_server, environ={}) as client:
            yield client


def delta(finish: str | None = None, index: int = 0, **fields: object) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


async def streamed(*events: object, rest: bytes = b"data: [DONE]\n\n") -> ModelCallError | str:
    """What becomes of a stream of these events."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for event in events:
            data = event if isinstance(event, bytes) else json.dumps(event).encode()
            await response.write(b"data: " + data + b"\r\n\r\n")
        await response.write(rest)
        return response

    async with answering(handle) as client:
        try:
            return (await client.complete(ASK, Sampling(), seed=1)).text
        except ModelCallError as exc:
            return exc


USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}


@pytest.mark.parametrize(
    ("events", "failure", "used"),
    [
        pytest.param([delta(content="5")], "malformed", None, id="no finish_reason"),
        pytest.param([delta(content="5"), USAGE], "malformed", (9, 4), id="no finish_reason, but usage"),
        pytest.param([], "malformed", None, id="nothing"),
        pytest.param([b'{"choices": ['], "malformed", None, id="no JSON"),
        pytest.param([[1]], "malformed", None, id="no object"),
        pytest.param([{"choices": {"a": 1}}], "malformed", None, id="choices are an object"),
        pytest.param([{"choices": ["a"]}], "malformed", None, id="a choice is a text"),
        pytest.param([delta(index=-1, content="5")], "malformed", None, id="a negative place"),
        pytest.param([{"choices": [{"index": 0, "delta": "5"}]}], "malformed", None, id="delta is a text"),
        pytest.param([delta(tool_calls=["x"])], "malformed", None, id="a call is a text"),
        pytest.param([delta(tool_calls=5)], "malformed", None, id="calls are a number"),
        pytest.param([delta(tool_calls=[{"index": 0, "function": {"arguments": 5}}])], "malformed", None, id="arguments are a number"),
        pytest.param([delta(tool_calls=[{"index": [0]}])], "malformed", None, id="a call's place is a list"),
        pytest.param([{"usage": {"prompt_tokens": "9"}}], "malformed", None, id="usage is a text"),
        pytest.param([delta("reticulated")], "malformed", None, id="unknown finish_reason"),
        pytest.param([delta("content_filter"), USAGE], "content_filter", (9, 4), id="filtered"),
        pytest.param([delta(content="5"), {"error": {"message": "overloaded", "code": 503}}], "server", None, id="error"),
        pytest.param([USAGE, {"error": {"message": "slow down", "code": 429}}], "rate_limit", (9, 4), id="rate limit"),
        pytest.param([{"object": "error", "message": "maximum context length is 5", "code": 400}], "context_length", None, id="vLLM"),
        pytest.param([{"error": "lost"}], "server", None, id="an error is a text"),
    ],
)  # fmt: skip
async def test_a_broken_stream_has_its_class_of_failure(
    events: Sequence[object], failure: str, used: tuple[int, int] | None
) -> None:
    error = await streamed(*events)
    assert isinstance(error, ModelCallError)
    assert (error.failure, error.used) == (failure, used)


async def test_a_stream_may_end_without_its_last_event() -> None:
    assert await streamed(delta(content="5"), delta("stop"), rest=b"") == "5"


async def test_what_follows_the_last_event_is_not_read() -> None:
    assert await streamed(delta(content="5"), delta("stop"), rest=b"data: [DONE]\n\ndata: {\n\n") == "5"


async def test_silence_inside_a_stream_is_a_stall_and_tells_what_was_used() -> None:
    async with (
        LoopbackServer(lambda asked: "5 it is", faults=["stall"]) as server,
        client_of(server, stream=True, stall_s=0.05) as client,
    ):
        with pytest.raises(ModelCallError, match=r"no more of the reply for 0\.05 s") as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "stall"
    assert caught.value.hint
    assert server.totals["stall"].calls == 1


async def test_silence_before_a_stream_is_not_a_stall() -> None:
    async with (
        LoopbackServer(lambda asked: "5", latency_s=0.2) as server,
        client_of(server, stream=True, stall_s=0.05) as client,
    ):
        assert (await client.complete(ASK, Sampling(), seed=1)).text == "5"


async def test_a_stream_that_drips_is_no_stall_but_has_its_time() -> None:
    async with (
        LoopbackServer(lambda asked: "5 " * 500, faults=["drip"]) as server,
        client_of(server, stream=True, stall_s=0.2, timeout_s=0.4) as client,
    ):
        with pytest.raises(ModelCallError) as caught:
            await client.complete(ASK, Sampling(), seed=1)
    assert caught.value.failure == "timeout"


async def test_a_call_that_is_cancelled_ends_at_the_server_too() -> None:
    begun = asyncio.Event()
    progress = Progress(on_text=lambda text: begun.set())
    async with LoopbackServer(lambda asked: "5 " * 500, faults=["drip"]) as server, client_of(server) as client:
        call = asyncio.ensure_future(client.complete(ASK, Sampling(), seed=1, progress=progress))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    [(outcome, totals)] = server.totals.items()
    assert (outcome, totals.calls, totals.tokens_in) == ("left", 1, 7)
    assert 1 <= totals.tokens_out < 50


async def test_a_connection_is_used_again_after_a_stream() -> None:
    ports: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: " + json.dumps(delta("stop", content="5")).encode() + b"\n\ndata: [DONE]\n\n")
        await asyncio.sleep(0)
        return response

    async with answering(handle) as client:
        for _ in range(3):
            await client.complete(ASK, Sampling(), seed=1)
    assert len(set(ports)) == 1


def assembled(*chunks: dict[str, object]) -> list[object]:
    assembly = ReplyAssembly((None,))
    for chunk in (*chunks, delta("tool_calls")):
        assembly.add(json.dumps(chunk).encode())
    [choice] = assembly.reply()["choices"]  # type: ignore[misc]
    return choice["message"]["tool_calls"]  # type: ignore[no-any-return]


def call_part(**piece: object) -> dict[str, object]:
    return delta(tool_calls=[piece])


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                call_part(index=0, id="call_1", type="function", function={"name": "add", "arguments": ""}),
                call_part(index=0, function={"arguments": '{"a": 2,'}),
                call_part(index=0, function={"arguments": ' "b": 3}'}),
            ],
            id="OpenAI",
        ),
        pytest.param(
            [
                call_part(index=0, id="call_1", type="function", function={"name": "add", "arguments": '{"a": 2,'}),
                call_part(index=0, id="call_1", type="function", function={"name": "add", "arguments": ' "b": 3}'}),
            ],
            id="says all again",
        ),
        pytest.param(
            [
                call_part(index=0, id="call_1", type="function", function={"name": "add", "arguments": None}),
                call_part(index=0, id=None, type=None, function={"name": None, "arguments": '{"a": 2, "b": 3}'}),
            ],
            id="nulls",
        ),
        pytest.param([call_part(**CALL)], id="Gemini: whole, without an index"),
    ],
)
def test_a_tool_call_is_put_together(chunks: list[dict[str, object]]) -> None:
    assert assembled(*chunks) == [CALL]


def test_two_tool_calls_stay_apart() -> None:
    other = {**CALL, "id": "call_2"}
    assert assembled(call_part(**CALL), call_part(**other)) == [CALL, other]
    assert assembled(delta(tool_calls=[{"index": 0, **CALL}, {"index": 1, **other}])) == [CALL, other]


def test_a_refusal_comes_in_pieces() -> None:
    assembly = ReplyAssembly((None,))
    for chunk in (delta(refusal="I "), delta("stop", refusal="won't.")):
        assembly.add(json.dumps(chunk).encode())
    [choice] = assembly.reply()["choices"]  # type: ignore[misc]
    assert choice["message"]["refusal"] == "I won't."


def test_usage_of_each_piece_goes_to_its_own_watcher() -> None:
    watchers = (Progress(), Progress(), None)
    assembly = ReplyAssembly(watchers)
    for index, used in [(0, 5), (1, 7), (2, 1), (0, 6)]:
        usage = {"prompt_tokens": 9, "completion_tokens": used}
        assembly.add(json.dumps({**delta(index=index, content="x"), "usage": usage}).encode())
    assert watchers[:2] == (Progress(9, 6), Progress(0, 7))
    assert assembly.used == (9, 6 + 7 + 1)
    assembly.add(json.dumps(USAGE).encode())
    assert assembly.used == (9, 4)  # its last word


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["delta", "content", "tool_calls", "function", "arguments", "index", "id", "logprobs", "usage"]
            )
            | st.sampled_from(["finish_reason", "reasoning", "refusal", "prompt_tokens", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3), JSON)
def test_any_json_is_a_piece_or_malformed(choices: list[object], usage: object) -> None:
    assembly = ReplyAssembly((Progress(), None))
    for choice in (*choices, {"delta": choices[0] if choices else None, "logprobs": usage}):
        try:
            assembly.add(json.dumps({"choices": [choice], "usage": usage}).encode())
        except MalformedReplyError:
            continue
    assert len(assembly.reply()["choices"]) == 2  # type: ignore[arg-type]


def test_an_error_event_keeps_what_the_server_gave() -> None:
    with pytest.raises(ServerErrorEvent) as caught:
        ReplyAssembly((None,)).add(b'{"error": {"code": 503}}')
    assert caught.value.error == {"code": 503}
    with pytest.raises(MalformedReplyError):
        ReplyAssembly((None,)).add(b"503")
