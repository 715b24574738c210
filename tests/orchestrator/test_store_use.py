"""Replay, record, fallback, deadline: what becomes of a draw that is not plain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from archloom.graphs import Document, Price, ScriptedModel
from archloom.nodes import Budget, Completion, FailedSample, Message, OutputFormat, Sample, Sampling, Task
from archloom.orchestrator import Ledger, ModelPool, Usage, Workflow, worst_case
from archloom.orchestrator.errors import FailureClass, ModelCallError, ModelUnavailableError, ReplayMissError
from archloom.orchestrator.models import (
    Address,
    Client,
    MemoryStore,
    Progress,
    Question,
    Sampler,
    SampleStore,
    StoreUse,
    Surroundings,
)
from archloom.testing._replies import Call, FunctionClient
from archloom.tools.errors import UsageError

ASKED: tuple[Message, ...] = ({"role": "user", "content": "what is it"},)
SAMPLING = Sampling(max_tokens=10)


async def no_wait(seconds: float) -> None:
    """Time does not pass."""


class Numbered:
    """Says how many times it was asked."""

    def __init__(self, name: str = "m", *, fails: FailureClass | None = None, unavailable: bool = False) -> None:
        self.fails, self.unavailable = fails, unavailable
        self.client = FunctionClient(self._reply, identity=name)

    async def _reply(self, call: Call) -> str:
        if self.unavailable:
            raise ModelUnavailableError(f"{self.client.identity} is down")
        if self.fails:
            raise ModelCallError(f"{self.client.identity}: {self.fails}", failure=self.fails)
        return f"{self.client.identity} {len(self.client.calls)}"


def sampler(
    client: Client,
    store: SampleStore,
    *,
    use: StoreUse = "reuse",
    charged: Ledger | None = None,
    fallbacks: Sequence[Sampler] = (),
    price: Price | None = None,
    **spec: object,
) -> Sampler:
    around = Surroundings(store, charged or Ledger(Budget()), use, no_wait)
    return Sampler(
        ScriptedModel.model_validate({"retries": 0, "price": price, **spec}), client, around, fallbacks=fallbacks
    )


async def draw(on: Sampler, *indices: int) -> list[Sample | FailedSample]:
    question = on.question(ASKED, SAMPLING)
    wanted = {Address(question.key, 0, index): question for index in indices}
    drawn = await on.draw(wanted)
    return [drawn[address] for address in wanted]


def texts(drawn: list[Sample | FailedSample]) -> list[str]:
    return [each.text if isinstance(each, Sample) else each.error for each in drawn]


class TestReplay:
    async def test_gives_what_the_run_gave_and_opens_no_model(self) -> None:
        store, model = MemoryStore(), Numbered()
        first = await draw(sampler(model.client, store), 0, 1)
        other = Numbered()
        assert await draw(sampler(other.client, store, use="replay"), 0, 1) == first
        assert other.client.entered == 0

    async def test_refuses_a_miss_and_says_which(self) -> None:
        store, model = MemoryStore(), Numbered()
        await draw(sampler(model.client, store), 0)
        replaying = sampler(Numbered().client, store, use="replay")
        with pytest.raises(ReplayMissError, match=r"sample 1 \(stream 0\) of m for 'what is it'.*[0-9a-f]{12}/0/1"):
            await draw(replaying, 0, 1)

    @pytest.mark.parametrize("kind", ["auth", "server"])
    async def test_a_call_that_failed_fails_again(self, kind: FailureClass) -> None:
        store = MemoryStore()
        first = await draw(sampler(Numbered(fails=kind).client, store), 0)
        assert texts(first) == [kind]
        assert await draw(sampler(Numbered().client, store, use="replay"), 0) == first

    async def test_a_failure_is_tried_again_in_the_next_run_and_then_forgotten(self) -> None:
        store = MemoryStore()
        await draw(sampler(Numbered(fails="server").client, store), 0)
        assert texts(await draw(sampler(Numbered().client, store), 0)) == ["m 1"]
        assert texts(await draw(sampler(Numbered().client, store, use="replay"), 0)) == ["m 1"]


class TestRecord:
    async def test_draws_everything_once_more_and_keeps_the_new(self) -> None:
        store, model = MemoryStore(), Numbered()
        await draw(sampler(model.client, store), 0, 1)
        recording = sampler(model.client, store, use="record")
        assert texts(await draw(recording, 0, 1)) == ["m 3", "m 4"]
        assert texts(await draw(recording, 0, 1)) == ["m 3", "m 4"]
        assert texts(await draw(sampler(model.client, store), 0, 1)) == ["m 3", "m 4"]


class TestFallback:
    @pytest.mark.parametrize("fault", [{"fails": "auth"}, {"fails": "server"}, {"unavailable": True}], ids=str)
    async def test_stands_in_for_a_model_that_failed_for_good(self, fault: dict[str, object]) -> None:
        store, charged = MemoryStore(), Ledger(Budget())
        second = sampler(Numbered("second").client, store, charged=charged, price=Price(output=1.0))
        on = sampler(Numbered("first", **fault).client, store, charged=charged, fallbacks=[second])  # type: ignore[arg-type]
        [drawn] = await draw(on, 4)
        assert isinstance(drawn, Sample)
        assert (drawn.text, drawn.index, drawn.model) == ("second 1", 4, "second")
        assert on.cost(drawn) == Usage(2, 3, 2, 2e-6)
        assert on.cost(drawn).fits(Budget(calls=on.need(ASKED, SAMPLING).calls))

    async def test_its_sample_is_its_own_and_not_that_of_the_other(self) -> None:
        store = MemoryStore()
        second = sampler(Numbered("second").client, store)
        on = sampler(Numbered("first", fails="auth").client, store, fallbacks=[second])
        await draw(on, 0)
        assert store.get(Address(on.question(ASKED, SAMPLING).key, 0, 0)) is None
        assert texts(await draw(second, 0)) == ["second 1"]

    async def test_comes_in_turn_and_the_last_failure_counts(self) -> None:
        store = MemoryStore()
        others = [sampler(Numbered(f"{i}", fails="server").client, store) for i in range(2)]
        on = sampler(Numbered("first", fails="auth").client, store, fallbacks=others)
        [drawn] = await draw(on, 0)
        assert drawn == FailedSample("server", "1: server")

    async def test_is_replayed(self) -> None:
        store = MemoryStore()

        def chain(use: StoreUse) -> Sampler:
            second = sampler(Numbered("second").client, store, use=use)
            return sampler(Numbered("first", unavailable=True).client, store, use=use, fallbacks=[second])

        assert await draw(chain("reuse"), 0, 1) == await draw(chain("replay"), 0, 1)

    async def test_two_nodes_never_share_its_samples(self) -> None:
        text = """
        archloom: 1
        models:
          first: {provider: scripted, model: first, fallback: second, retries: 0}
          second: {provider: scripted, model: second}
        nodes:
          a: {type: generator, model: first}
          b: {type: generator, model: second}
          out: {type: vote, after: [a, b]}
        output: out
        """
        first, second = Numbered("first", fails="auth"), Numbered("second")
        configuration = Document.parse(text).configure()
        clients = {"first": first.client, "second": second.client}
        async with ModelPool(MemoryStore(), client=lambda spec: clients[spec.model]) as pool:
            result = await Workflow(configuration, pool=pool).arun("what is it")
            assert result.usage.fits(Budget(calls=worst_case(configuration, pool.peek(configuration), _task()).calls))
        assert {c.text for node in result.nodes[:2] for c in node.candidates} == {"second 1", "second 2"}
        assert result.endings == {"stop": 2}


def _task() -> Task:
    return Task.ask("what is it")


async def test_a_sample_that_takes_longer_than_its_deadline_has_failed() -> None:
    async def hang(call: Call) -> str:
        await asyncio.Event().wait()
        return ""

    charged = Ledger(Budget())
    on = sampler(FunctionClient(hang), MemoryStore(), charged=charged, deadline_s=0.01)
    [drawn] = await draw(on, 0)
    assert isinstance(drawn, FailedSample)
    assert (drawn.error, charged.settled) == ("timeout", Usage(1, 3, 10, tokens_estimated=13))


class Streaming(FunctionClient):
    """Tells what it has used so far, and then ends in some way."""

    def __init__(self, end: BaseException | None) -> None:
        super().__init__(self._never)
        self.end = end
        self.told = asyncio.Event()

    async def _never(self, call: Call) -> str:
        raise AssertionError

    async def complete(self, messages, sampling, *, seed, progress=None):  # type: ignore[no-untyped-def]
        assert isinstance(progress, Progress)
        progress.tokens_in, progress.tokens_out = 3, 4
        self.told.set()
        if self.end is not None:
            raise self.end
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("failed", "used"),
    [
        (ModelCallError("x", failure="stall"), Usage(1, 3, 4, tokens_estimated=7)),
        (ModelCallError("x", failure="malformed"), Usage(1, 3, 4, tokens_estimated=7)),
        (ModelCallError("x", failure="empty", used=(3, 0)), Usage(1, 3, 0)),
        (ModelCallError("x", failure="connection", used=(0, 0)), Usage(1, 0, 0)),
        (ModelCallError("x", failure="rate_limit"), Usage(1)),
    ],
    ids=["stall", "cut", "empty", "refused", "rate_limit"],
)
async def test_a_failed_call_is_charged_with_what_it_used(failed: ModelCallError, used: Usage) -> None:
    charged = Ledger(Budget())
    await draw(sampler(Streaming(failed), MemoryStore(), charged=charged), 0)
    assert charged.settled == used


async def test_a_cancelled_call_is_charged_with_what_its_stream_had_told() -> None:
    charged, client = Ledger(Budget()), Streaming(None)
    drawing = asyncio.ensure_future(draw(sampler(client, MemoryStore(), charged=charged), 0))
    await client.told.wait()
    drawing.cancel()
    await asyncio.wait([drawing])
    await asyncio.sleep(0)
    assert charged.settled == Usage(1, 3, 4, tokens_estimated=7)


async def test_tools_need_a_model_that_can_use_them() -> None:
    with pytest.raises(UsageError, match="tools"):
        sampler(Numbered().client, MemoryStore()).question(ASKED, Sampling(tools=({"type": "function"},)))


def test_tools_and_schemas_are_part_of_the_prompt() -> None:
    class WithTools(ScriptedModel):
        capabilities = frozenset({"tools"})

    on = Sampler(WithTools(), Numbered().client, Surroundings(MemoryStore(), Ledger(Budget())))
    plain = on.need(ASKED, SAMPLING).tokens_in
    tools = ({"type": "function", "function": {"name": "f" * 100}},)
    assert on.need(ASKED, Sampling(tools=tools)).tokens_in >= plain + 100
    assert on.need(ASKED, Sampling(output=OutputFormat("regex", '"' + "a" * 100 + '"'))).tokens_in >= plain + 100


def test_a_question_is_the_same_whatever_the_order_of_its_keys() -> None:
    one = Question.of("m", ({"role": "user", "content": "x"},), SAMPLING)
    other = Question.of("m", ({"content": "x", "role": "user"},), SAMPLING)
    assert one.key == other.key
    for different in (
        Sampling(max_tokens=10, logprobs=0),
        Sampling(max_tokens=10, tools=({"type": "f"},)),
        Sampling(max_tokens=10, output=OutputFormat("choice", '["a", "b"]')),
        Sampling(max_tokens=10, pause=("Wait",)),
    ):
        assert Question.of("m", one.messages, different).key != one.key


def test_the_beginning_of_a_reply_is_part_of_the_question_to_the_last_blank() -> None:
    asked = {"role": "user", "content": "x"}
    begun = [({"role": "assistant", "content": text},) for text in ("so", "so ", "so it", "")]
    assert len({Question.of("m", (asked, *reply), SAMPLING).key for reply in ((), *begun)}) == 5


def test_addresses_of_the_first_release_are_still_found() -> None:
    question = Question.of("openai/m", ({"role": "user", "content": "What is 7 times 8?"},), Sampling(stop=("\n",)))
    assert question.key == "88c681e33b19aec07de80681f839ba058c5a470a35e99ea0e9d148abfb870ac4"


async def test_completions_keep_all_that_they_hold() -> None:
    full = Completion("x", "stop", 1, 1, 0.5, -0.5, True, "thought", ({"id": "1"},))

    async def reply(call: Call) -> Completion:
        return full

    [drawn] = await draw(sampler(FunctionClient(reply), MemoryStore()), 2)
    assert drawn == Sample(**vars(full), index=2)
