"""Several samples of one conversation in one request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import OpenAIModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import OpenAIClient, Progress
from archloom.orchestrator.models.openai._batching import Batches, Outcome, Watchers
from archloom.testing import Asked, LoopbackServer, Served

ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
OTHER: Messages = ({"role": "user", "content": "What is 3+3?"},)


def client_of(server: LoopbackServer, **spec: object) -> OpenAIClient:
    return OpenAIClient(OpenAIModel.model_validate({"model": "m", "base_url": server.url, **spec}), environ={})


async def all_of(client: OpenAIClient, questions: Sequence[tuple[Messages, Sampling]]) -> list[Completion]:
    """Completions of calls that are made at once."""
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(client.complete(messages, sampling, seed=seed))
            for seed, (messages, sampling) in enumerate(questions)
        ]
    return [call.result() for call in calls]


async def failures_of(client: OpenAIClient, count: int) -> list[Completion | ModelCallError]:
    """What as many calls come to."""

    async def one() -> Completion | ModelCallError:
        try:
            return await client.complete(ASK, Sampling(), seed=1)
        except ModelCallError as exc:
            return exc

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(one()) for _ in range(count)]
    return [call.result() for call in calls]


async def test_calls_that_ask_the_same_share_requests_of_at_most_n() -> None:
    async with LoopbackServer(lambda asked: f"choice {asked.choice}") as server, client_of(server, n=3) as client:
        got = await all_of(client, [(ASK, Sampling())] * 7)
    assert [asked.body.get("n", 1) for asked in server.requests] == [3, 3, 1]
    assert [completion.text for completion in got] == [f"choice {i}" for i in (0, 1, 2, 0, 1, 2, 0)]


async def test_calls_that_differ_do_not() -> None:
    questions = [
        (ASK, Sampling()), (OTHER, Sampling()), (ASK, Sampling(temperature=0.1)), (ASK, Sampling()),
        (ASK, Sampling(stop=("x",))), (({**ASK[0]},), Sampling()),
    ]  # fmt: skip
    async with LoopbackServer() as server, client_of(server, n=9) as client:
        got = await all_of(client, questions)
    assert [asked.body.get("n", 1) for asked in server.requests] == [3, 1, 1, 1]
    assert got[1].text == "You said: What is 3+3?"


async def test_calls_of_different_moments_do_not() -> None:
    async with LoopbackServer() as server, client_of(server, n=9) as client:
        for _ in range(2):
            await client.complete(ASK, Sampling(), seed=1)
    assert [asked.body.get("n", 1) for asked in server.requests] == [1, 1]


async def test_the_prompt_is_booked_once_and_tokens_sum_to_the_servers_count() -> None:
    texts = ["5", "it is five I think", "a b c d e f g h i j k"]
    async with LoopbackServer(lambda asked: texts[asked.choice]) as server, client_of(server, n=3) as client:
        got = await all_of(client, [(ASK, Sampling())] * 3)
    assert [completion.tokens_in for completion in got] == [7, 0, 0]
    assert server.total == (1, 7, sum(completion.tokens_out for completion in got))
    assert all(completion.estimated for completion in got)


async def test_logprobs_tell_whose_each_token_is() -> None:
    texts = ["5", "it is five I think", "abcdefghijklmnopqrstuvwxyz"]
    async with LoopbackServer(lambda asked: texts[asked.choice]) as server, client_of(server, n=3) as client:
        got = await all_of(client, [(ASK, Sampling(logprobs=0))] * 3)
    assert [(completion.tokens_out, completion.estimated) for completion in got] == [(1, False), (5, False), (1, False)]


async def test_a_single_call_is_counted_exactly() -> None:
    async with LoopbackServer() as server, client_of(server, n=3) as client:
        got = await client.complete(ASK, Sampling(), seed=1)
    assert (got.tokens_in, got.tokens_out, got.estimated) == (7, 5, False)


async def test_without_usage_each_is_estimated_by_itself() -> None:
    texts = ["x" * 40, "x" * 400]
    async with LoopbackServer(lambda a: texts[a.choice], usage=False) as server, client_of(server, n=2) as client:
        got = await all_of(client, [(ASK, Sampling())] * 2)
    assert [(completion.tokens_in, completion.tokens_out) for completion in got] == [(3, 10), (0, 100)]
    assert all(completion.estimated for completion in got)


async def test_one_who_leaves_takes_nobody_along() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def reply(request: Asked) -> str:
        asked.set()
        await go.wait()
        return f"choice {request.choice}"

    async with LoopbackServer(reply) as server, client_of(server, n=3) as client:
        calls = [asyncio.ensure_future(client.complete(ASK, Sampling(), seed=1)) for _ in range(3)]
        await asked.wait()
        calls[0].cancel()
        go.set()
        got = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert [one.text for one in got[1:] if isinstance(one, Completion)] == ["choice 1", "choice 2"]


async def test_one_who_leaves_before_it_is_sent_is_not_asked_for() -> None:
    async with LoopbackServer() as server, client_of(server, n=3) as client:
        calls = [asyncio.ensure_future(client.complete(ASK, Sampling(), seed=1)) for _ in range(3)]
        asyncio.get_running_loop().call_soon(calls[1].cancel)  # once it has joined
        got = await asyncio.gather(*calls, return_exceptions=True)
    assert [asked.body.get("n") for asked in server.requests] == [2]
    assert isinstance(got[1], asyncio.CancelledError)


async def test_when_all_leave_the_request_ends() -> None:
    asked, for_ever = asyncio.Event(), asyncio.Event()

    async def reply(request: Asked) -> str:
        asked.set()
        await for_ever.wait()
        return ""

    async with LoopbackServer(reply) as server, client_of(server, n=2) as client:
        calls = [asyncio.ensure_future(client.complete(ASK, Sampling(), seed=1)) for _ in range(2)]
        await asked.wait()
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        server.script.append("server")  # the client is as usable as before
        with pytest.raises(ModelCallError, match="HTTP 500"):
            await client.complete(ASK, Sampling(), seed=1)
    assert server.totals["left"].calls == 1


async def test_a_failure_goes_to_each_and_is_each_ones_own() -> None:
    async with (
        LoopbackServer(faults=["rate_limit"], retry_after_s=7) as server,
        client_of(server, n=3) as client,
    ):
        errors = await failures_of(client, 3)
    assert len(server.requests) == 1
    assert len({id(error) for error in errors}) == 3
    assert [(e.failure, e.retry_after_s) for e in errors if isinstance(e, ModelCallError)] == [("rate_limit", 7)] * 3


async def test_what_a_request_used_that_failed_is_booked_on_the_first() -> None:
    async def ask(messages: Messages, sampling: Sampling, seed: int, watchers: Watchers) -> Sequence[Outcome]:
        raise ModelCallError("no", failure="stall", used=(9, 4), hint="wait")

    batches = Batches(ask, most=3, key=lambda messages, sampling: 0)
    got = await asyncio.gather(*(batches.complete(ASK, Sampling(), 1, None) for _ in range(3)))
    assert [(e.used, e.failure, e.hint) for e in got if isinstance(e, ModelCallError)] == [
        ((9, 4), "stall", "wait"),
        ((0, 0), "stall", "wait"),
        ((0, 0), "stall", "wait"),
    ]


async def test_what_choices_used_that_failed_is_booked_once() -> None:
    async with LoopbackServer(faults=["empty", "content_filter"]) as server, client_of(server, n=3) as client:
        errors = [await failures_of(client, 3) for _ in range(2)]
    for failed, outcome in zip(errors, ("empty", "content_filter"), strict=True):
        used = [error.used for error in failed if isinstance(error, ModelCallError) and error.used]
        assert (sum(tokens[0] for tokens in used), sum(tokens[1] for tokens in used)) == server.totals[outcome][1:]


async def test_a_choice_that_failed_fails_alone() -> None:
    def reply(asked: Asked) -> Served:
        return Served("5 it is", finish="content_filter" if asked.choice == 1 else None)

    async with LoopbackServer(reply) as server, client_of(server, n=3) as client:
        got = await failures_of(client, 3)
    assert [one.failure if isinstance(one, ModelCallError) else one.text for one in got] == [
        "5 it is",
        "content_filter",
        "5 it is",
    ]
    assert isinstance(got[1], ModelCallError)
    assert got[1].used == (0, 3)


async def test_an_empty_choice_beside_others_is_the_models_word() -> None:
    async with (
        LoopbackServer(lambda asked: "" if asked.choice else "5 it is") as server,
        client_of(server, n=2) as client,
    ):
        got = await all_of(client, [(ASK, Sampling())] * 2)
    assert [(one.finish, one.tokens_out) for one in got] == [("stop", 3), ("empty", 0)]


@pytest.mark.parametrize("stream", [False, True])
async def test_choices_that_a_server_does_not_give_are_malformed(stream: bool) -> None:
    async with LoopbackServer(most_choices=1) as server, client_of(server, n=3, stream=stream) as client:
        first, *others = await failures_of(client, 3)
    assert isinstance(first, Completion)
    assert (first.tokens_in, first.tokens_out) == (7, 5)
    assert [(e.failure, e.used) for e in others if isinstance(e, ModelCallError)] == [("malformed", (0, 0))] * 2


@pytest.mark.parametrize("n", [1, 2])
async def test_leaving_the_client_ends_what_is_under_way(n: int) -> None:
    asked = asyncio.Event()

    async def reply(request: Asked) -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    async with LoopbackServer(reply) as server, asyncio.TaskGroup() as group:
        async with client_of(server, n=n) as client:
            failed = group.create_task(failures_of(client, 2))
            await asked.wait()
        errors = await failed
    assert [error.failure for error in errors if isinstance(error, ModelCallError)] == ["connection"] * 2


async def test_what_nobody_foresaw_reaches_each_caller() -> None:
    async def ask(messages: Messages, sampling: Sampling, seed: int, watchers: Watchers) -> Sequence[Outcome]:
        raise ZeroDivisionError

    batches = Batches(ask, most=2, key=lambda messages, sampling: 0)
    calls = [batches.complete(ASK, Sampling(), 1, None) for _ in range(2)]
    assert [type(end) for end in await asyncio.gather(*calls, return_exceptions=True)] == [ZeroDivisionError] * 2


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["stays", "leaves early", "leaves late"])), max_size=12),
    st.integers(2, 4),
)
def test_every_caller_who_stays_gets_an_outcome_of_its_own(callers: list[tuple[int, str]], most: int) -> None:
    sent: list[tuple[int, int]] = []

    async def run() -> list[object]:
        go = asyncio.Event()

        async def ask(messages: Messages, sampling: Sampling, seed: int, watchers: Watchers) -> Sequence[Outcome]:
            sent.append((sampling.max_tokens, len(watchers)))
            await go.wait()
            return [Completion(f"{seed}/{place}", "stop", 1, 1, 0.0) for place in range(len(watchers))]

        batches = Batches(ask, most=most, key=lambda messages, sampling: sampling)
        calls = [
            asyncio.ensure_future(batches.complete(ASK, Sampling(max_tokens=kind), seed, Progress()))
            for seed, (kind, _) in enumerate(callers)
        ]
        for when, turns in (("leaves early", 1), ("leaves late", 3)):
            for _ in range(turns):
                await asyncio.sleep(0)
            for call, (_, way) in zip(calls, callers, strict=True):
                if way == when:
                    call.cancel()
        go.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    got = asyncio.run(run())
    stayed = [end for end, (_, way) in zip(got, callers, strict=True) if way == "stays"]
    assert all(isinstance(end, Completion) for end in stayed)
    assert len({end.text for end in stayed if isinstance(end, Completion)}) == len(stayed)
    assert all(size <= most for _, size in sent)
    assert sum(size for _, size in sent) == sum(way != "leaves early" for _, way in callers)
