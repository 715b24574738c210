"""The engine: any workflow ends, loses nothing, keeps its budget, and does in a replay what it did in the run."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Literal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, ModelSpec, Price, ScriptedModel, SimulatedModel
from archloom.nodes import (
    Budget,
    Candidates,
    Check,
    Completion,
    Context,
    Critic,
    Fuser,
    Generator,
    Node,
    Ranker,
    Sample,
    Task,
    Verifier,
    Vote,
)
from archloom.orchestrator import Cell, ModelPool, NodeOutcome, RunResult, Usage, Workflow, worst_case
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError, SearchBudgetError, StoreError
from archloom.orchestrator.models import Address, Client, MemoryStore, SimulatedClient
from archloom.tasks import simulated_truth
from archloom.testing._graphs import configurations
from archloom.testing._replies import Call, FunctionClient, ShuffledClient
from archloom.tools.errors import ArchloomError

PRICE = Price(input=1.0, output=4.0)
SIMULATED: Mapping[str, ModelSpec] = {
    "m": SimulatedModel(model="m", tokens=25, retries=0, price=PRICE),
    "judge": SimulatedModel(model="judge", tokens=15, tokens_per_s=37, retries=0),
}
UNRELIABLE: Mapping[str, ModelSpec] = {
    name: SimulatedModel.model_validate({**spec.model_dump(), "fail": 0.25}) for name, spec in SIMULATED.items()
}
MARKER = "Simulated task engine/0/7: find its number."
SIMULATED_TASK = Task(
    "simulated",
    ({"role": "system", "content": MARKER}, {"role": "user", "content": f"What is {simulated_truth(MARKER)} + 0?"}),
)
"""Some candidates pass the calculator and some do not."""
TASK = Task.ask("Now tell me: what is 2 + 3?")
SCHEDULES = st.integers(0, 2**32)
BUDGETS = st.builds(
    Budget,
    calls=st.none() | st.integers(1, 20),
    tokens=st.none() | st.integers(20, 3000),
    cost_usd=st.none() | st.floats(1e-5, 5e-3),
    time_s=st.none() | st.floats(0.05, 4.0),
)
NODE_BUDGETS = st.none() | st.builds(
    Budget,
    calls=st.none() | st.integers(1, 4),
    tokens=st.none() | st.integers(50, 900),
    time_s=st.none() | st.just(0.6),
)


def simulated_pool(store: MemoryStore | None = None, schedule: int | None = None) -> ModelPool:
    rng = random.Random(schedule)

    def client(spec: ModelSpec) -> Client:
        assert isinstance(spec, SimulatedModel)
        plain = SimulatedClient(spec)
        return plain if schedule is None else ShuffledClient(plain, rng)

    return ModelPool(store or MemoryStore(), client=client)


async def run(
    configuration: Configuration, *, store: MemoryStore | None = None, schedule: int | None = None
) -> RunResult:
    async with asyncio.timeout(20), simulated_pool(store, schedule) as pool:
        return await Workflow(configuration, pool=pool).arun(SIMULATED_TASK)


def log(result: RunResult) -> bytes:
    """All that a run log would say of it."""
    return b"\n".join(orjson.dumps(outcome.to_json()) for outcome in result.nodes)


def by_name(result: RunResult) -> dict[str, NodeOutcome]:
    return {outcome.node: outcome for outcome in result.nodes}


def ids(candidates: Candidates) -> list[str]:
    return [candidate.id for candidate in candidates]


def given_to(node: Node, outcomes: Mapping[str, NodeOutcome]) -> list[str]:
    return list(dict.fromkeys(id for parent in node.after for id in ids(outcomes[parent].candidates)))


# Any workflow


@settings(max_examples=40, deadline=None)
@given(configuration=configurations(SIMULATED), schedule=SCHEDULES)
def test_any_workflow_ends_and_loses_nothing(configuration: Configuration, schedule: int) -> None:
    result = asyncio.run(run(configuration, schedule=schedule))
    outcomes = by_name(result)
    assert tuple(outcomes) == configuration.order
    assert result.error is None
    assert not result.truncated
    for name, outcome in outcomes.items():
        node, given = configuration.nodes[name], given_to(configuration.nodes[name], outcomes)
        got = ids(outcome.candidates)
        assert outcome.error is None
        assert got
        assert len(set(got)) == len(got)
        if isinstance(node, Generator | Fuser):
            assert got == [f"{name}#{index}" for index in range(node.samples)]
            assert all(list(candidate.parents) == given for candidate in outcome.candidates)
        elif isinstance(node, Critic):
            assert got == given
            assert all(candidate.critiques for candidate in outcome.candidates)
        else:
            assert set(got) <= set(given)
    assert result.candidate == outcomes[configuration.output].candidates[0]
    assert result.usage.calls == sum(outcome.usage.calls for outcome in result.nodes)


@settings(max_examples=20, deadline=None)
@given(configuration=configurations(SIMULATED), schedule=SCHEDULES)
def test_a_run_through_langgraph_is_the_same_run(configuration: Configuration, schedule: int) -> None:
    async def streamed() -> RunResult:
        async with asyncio.timeout(20), simulated_pool(schedule=schedule + 1) as pool:
            *outcomes, result = [event async for event in Workflow(configuration, pool=pool).stream(SIMULATED_TASK)]
            assert {outcome.node for outcome in outcomes if isinstance(outcome, NodeOutcome)} == set(
                configuration.nodes
            )
            assert isinstance(result, RunResult)
            return result

    assert asyncio.run(run(configuration, schedule=schedule)) == asyncio.run(streamed())


@settings(max_examples=20, deadline=None)
@given(configuration=configurations(SIMULATED, max_nodes=7))
def test_a_node_starts_when_its_inputs_are_ready(configuration: Configuration) -> None:
    outcomes = by_name(asyncio.run(run(configuration)))
    for name, outcome in outcomes.items():
        ready = max((outcomes[parent].finish_s for parent in configuration.nodes[name].after), default=0.0)
        assert outcome.start_s == ready
        assert (outcome.finish_s > outcome.start_s) == (outcome.usage.calls > 0)


@settings(max_examples=30, deadline=None)
@given(
    configuration=configurations(UNRELIABLE, policies=True, budgets=BUDGETS, node_budgets=NODE_BUDGETS),
    schedules=st.tuples(SCHEDULES, SCHEDULES),
)
def test_a_replay_is_byte_equal_in_any_schedule(configuration: Configuration, schedules: tuple[int, int]) -> None:
    store = MemoryStore()
    first = asyncio.run(run(configuration, store=store, schedule=schedules[0]))
    replay = asyncio.run(run(configuration, store=store))
    elsewhere = asyncio.run(run(configuration, schedule=schedules[1]))
    assert log(first) == log(replay) == log(elsewhere)
    assert first == replay == elsewhere


@settings(max_examples=20, deadline=None)
@given(configuration=configurations(SIMULATED))
def test_a_replay_pays_nothing(configuration: Configuration) -> None:
    async def twice() -> None:
        store = MemoryStore()
        first = await run(configuration, store=store)
        async with simulated_pool(store) as pool:
            assert await Workflow(configuration, pool=pool).arun(SIMULATED_TASK) == first
            assert pool.charged.settled == Usage()

    asyncio.run(twice())


# Budgets


def within(usage: Usage, budget: Budget | None) -> bool:
    return budget is None or (
        (budget.calls is None or usage.calls <= budget.calls)
        and (budget.tokens is None or usage.tokens <= budget.tokens)
        and (budget.cost_usd is None or usage.cost_usd <= budget.cost_usd + 1e-12)
    )


@settings(max_examples=40, deadline=None)
@given(
    configuration=configurations(SIMULATED, budgets=BUDGETS, node_budgets=NODE_BUDGETS),
    schedule=SCHEDULES,
)
def test_no_budget_is_ever_exceeded_and_the_best_so_far_is_returned(
    configuration: Configuration, schedule: int
) -> None:
    result = asyncio.run(run(configuration, schedule=schedule))
    assert within(result.usage, configuration.budget)
    assert result.latency_s <= (configuration.budget.time_s or float("inf")) + 1e-6
    for outcome in result.nodes:
        own = configuration.nodes[outcome.node].budget
        assert within(outcome.usage, own)
        limit_s = own.time_s if own and own.time_s else float("inf")
        assert outcome.finish_s - outcome.start_s <= limit_s + 2e-6
    assert result.error in (None, "E410")
    assert (result.error is None) == any(outcome.candidates for outcome in result.nodes)
    assert (result.candidate is None) == (result.error is not None)
    assert result.truncated or result.error is None


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_budget_that_does_not_end_changes_nothing(data: st.DataObject) -> None:
    limited = data.draw(configurations(SIMULATED, budgets=BUDGETS))
    free = Configuration(limited.name, limited.models, limited.nodes, limited.output, answer=limited.answer)
    with_budget, without = asyncio.run(run(limited)), asyncio.run(run(free))
    if not with_budget.truncated:
        assert log(with_budget) == log(without)
    assert within(without.usage, worst_case_budget(limited))


def worst_case_budget(configuration: Configuration) -> Budget:
    async def most() -> Usage:
        async with simulated_pool() as pool:
            return worst_case(configuration, pool.peek(configuration), SIMULATED_TASK)

    usage = asyncio.run(most())
    return Budget(calls=usage.calls, tokens=usage.tokens)


def graph(nodes: Mapping[str, Node], *, budget: Budget | None = None) -> Configuration:
    models = {"m": ScriptedModel(model="m", retries=0), "slow": ScriptedModel(model="slow", retries=0)}
    return Configuration("w", models, nodes, list(nodes)[-1], budget or Budget(), answer="number")


async def ask(
    configuration: Configuration, client: Client, *, store: MemoryStore | None = None, task: Task = TASK
) -> RunResult:
    async with asyncio.timeout(10), ModelPool(store or MemoryStore(), client=lambda spec: client) as pool:
        return await Workflow(configuration, pool=pool).arun(task)


async def numbered(call: Call) -> Completion:
    """One second a call; the answer is the temperature."""
    return Completion(f"The answer is {call.sampling.temperature}", "stop", 5, 5, latency_s=1.0)


def draft(temperature: float = 0.5, **fields: object) -> Generator:
    return Generator.model_validate({"model": "m", "temperature": temperature, "max_tokens": 20} | fields)


@pytest.mark.parametrize(
    ("budget", "calls", "drafts"),
    [
        (Budget(calls=3), 3, 3),
        (Budget(tokens=100), 3, 3),
        (Budget(time_s=0.9), 5, 0),
        (Budget(time_s=1.0), 5, 5),
    ],
    ids=["calls", "tokens", "too short", "just long enough"],
)
async def test_a_node_does_what_its_budget_allows(budget: Budget, calls: int, drafts: int) -> None:
    """A call has 8 tokens in and at most 20 out."""
    result = await ask(graph({"draft": draft(samples=5)}, budget=budget), FunctionClient(numbered))
    assert (result.usage.calls, len(result.nodes[0].candidates)) == (calls, drafts)
    assert result.truncated == (drafts < 5)


async def test_what_a_node_did_not_use_is_there_for_the_next() -> None:
    """A call is bounded at 28 tokens and uses 10, so three fit into 48 one after the other, and one at once."""
    drafts = {f"d{i}": draft(0.1 * i) for i in range(5)}
    nodes = {**drafts, "vote": Vote(after=tuple(drafts))}
    in_turn = await ask(graph(nodes, budget=Budget(tokens=48)), FunctionClient(numbered))
    at_once = await ask(graph({"draft": draft(samples=5)}, budget=Budget(tokens=48)), FunctionClient(numbered))
    assert (in_turn.usage.calls, at_once.usage.calls) == (3, 1)


async def test_a_budget_that_ends_in_one_branch_leaves_the_candidates_of_the_other() -> None:
    nodes = {"a": draft(0.1), "b": draft(0.2), "c": draft(0.3), "vote": Vote(after=("a", "b", "c"))}
    result = await ask(graph(nodes, budget=Budget(calls=2)), FunctionClient(numbered))
    assert result.error is None
    assert result.truncated
    assert sorted(outcome.error or "" for outcome in result.nodes) == ["", "", "", "E410"]


async def test_a_judge_without_budget_passes_on_what_it_was_given() -> None:
    nodes = {"draft": draft(samples=3), "best": Ranker(model="m", after=("draft",), on_unparsed="fail")}
    result = await ask(graph(nodes, budget=Budget(calls=3)), FunctionClient(numbered))
    assert result.truncated
    assert ids(result.nodes[-1].candidates) == ["draft#0", "draft#1", "draft#2"]


async def test_a_policy_about_replies_does_not_fail_a_node_whose_calls_were_never_made() -> None:
    nodes = {"draft": draft(samples=3), "review": Critic(model="m", after=("draft",), on_unparsed="fail")}
    result = await ask(graph(nodes, budget=Budget(calls=5)), FunctionClient(_unique))
    assert (result.error, result.truncated, result.usage.calls) == (None, True, 5)


async def test_a_budget_without_room_for_one_call_is_an_error_of_its_own() -> None:
    result = await ask(graph({"draft": draft()}, budget=Budget(tokens=9)), FunctionClient(numbered))
    assert (result.error, result.truncated, result.candidate) == ("E410", True, None)
    assert "nodes.draft" in result.message
    assert result.usage == Usage()


async def test_time_of_branches_is_not_added_up() -> None:
    nodes = {
        "a": draft(0.1),
        "b": draft(0.2),
        "c": Critic(model="m", after=("a",)),
        "d": Critic(model="m", after=("b",), temperature=0.1),
        "vote": Vote(after=("c", "d")),
    }
    result = await ask(graph(nodes, budget=Budget(time_s=2.0)), FunctionClient(numbered))
    assert (result.latency_s, result.truncated) == (2.0, False)


async def test_a_late_reply_ends_the_node_at_its_deadline_and_is_booked_in_full() -> None:
    async def reply(call: Call) -> Completion:
        latency_s = 5.0 if call.seed % 2 else 1.0
        return Completion("The answer is 7", "stop", 5, 5, latency_s)

    nodes = {"draft": draft(samples=8), "review": Critic(model="m", after=("draft",))}
    store = MemoryStore()
    configuration = graph(nodes, budget=Budget(time_s=3.0))
    result = await ask(configuration, FunctionClient(reply), store=store)
    drafted = result.nodes[0]
    in_time = len(drafted.candidates)
    assert 0 < in_time < 8
    assert (drafted.finish_s, result.latency_s, result.truncated) == (3.0, 3.0, True)
    assert drafted.usage == Usage(8, 8 * 5 + (8 - in_time) * 3, 5 * in_time + 20 * (8 - in_time))
    assert log(await ask(configuration, FunctionClient(reply), store=store)) == log(result)


async def test_a_model_that_does_not_answer_is_given_up_in_time() -> None:
    never = asyncio.Event()

    async def reply(call: Call) -> str:
        if call.sampling.temperature > 1:
            await never.wait()
        return "The answer is 7"

    nodes = {"fast": draft(0.1), "hung": draft(1.5), "vote": Vote(after=("fast", "hung"))}
    result = await ask(graph(nodes, budget=Budget(time_s=0.05)), FunctionClient(reply))
    assert (result.answer, result.error, result.truncated) == ("7", None, True)
    assert result.latency_s <= 0.05


# Dataflow


async def test_a_slow_sibling_holds_back_no_other_branch() -> None:
    """The slow node is let go only when the other branch has finished; were it waited for, nothing would end."""
    branch_done = asyncio.Event()

    async def reply(call: Call) -> Completion:
        if call.sampling.temperature == 1.5:
            await branch_done.wait()
        return await numbered(call)

    nodes: dict[str, Node] = {
        "slow": draft(1.5),
        "quick": draft(0.1),
        "review": Critic(model="m", after=("quick",)),
        "again": draft(0.2, after="review"),
        "out": Vote(after=("slow", "again")),
    }
    seen: list[str] = []
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        async for event in Workflow(graph(nodes), pool=pool).stream(TASK):
            if isinstance(event, NodeOutcome):
                seen.append(event.node)
                if event.node == "again":
                    branch_done.set()
    assert seen == ["quick", "review", "again", "slow", "out"]


async def test_equal_branches_run_side_by_side() -> None:
    arrived = asyncio.Semaphore(0)
    gate = asyncio.Event()

    async def reply(call: Call) -> Completion:
        arrived.release()
        await gate.wait()
        return await numbered(call)

    async def open_when_all_are_there() -> None:
        for _ in range(12):
            await arrived.acquire()
        gate.set()

    nodes = {f"d{i}": draft(samples=3) for i in range(4)} | {"vote": Vote(after=tuple(f"d{i}" for i in range(4)))}
    async with asyncio.TaskGroup() as group:
        group.create_task(open_when_all_are_there())
        result = await ask(graph(nodes), FunctionClient(reply))
    assert result.usage.calls == 12


async def test_a_candidate_that_comes_by_two_ways_is_one_with_all_that_was_said() -> None:
    async def reply(call: Call) -> str:
        return f"remark {call.sampling.temperature}" if "strengths" in call.text else "The answer is 7"

    nodes = {
        "draft": draft(samples=2),
        "one": Critic(model="m", after=("draft",), temperature=0.1),
        "two": Critic(model="m", after=("draft",), temperature=0.2),
        "check": Check(tool="calculator", after=("draft",), keep="all"),
        "fuse": Fuser(model="m", after=("one", "draft", "two", "check")),
    }
    client = FunctionClient(reply)
    result = await ask(graph(nodes), client)
    assert result.nodes[-1].candidates[0].parents == ("draft#0", "draft#1")
    shown = client.calls[-1].text
    assert [shown.count(text) for text in ("### Response", "remark 0.1", "remark 0.2")] == [2, 2, 2]


# Failures


async def failing(call: Call) -> Completion:
    """Fails above temperature 1."""
    if call.sampling.temperature > 1:
        raise ModelCallError("the server is down", failure="server")
    return await numbered(call)


OnError = Literal["fail", "drop"]


@pytest.mark.parametrize(
    ("on_error", "error", "answer"),
    [("fail", "E401", None), ("drop", None, "0.5")],
)
async def test_a_failed_node_sinks_the_run_or_is_dropped(
    on_error: OnError, error: str | None, answer: str | None
) -> None:
    nodes = {"good": draft(), "bad": draft(1.5, on_error=on_error), "vote": Vote(after=("bad", "good"))}
    result = await ask(graph(nodes), FunctionClient(failing))
    assert (result.error, result.answer) == (error, answer)
    assert not result.truncated
    bad = by_name(result)["bad"]
    assert bad.error == "E401"
    assert bad.usage == Usage(calls=1)
    assert [note.what for note in bad.notes] == ["failed_call"]
    cell = Cell.of(result, None if error else 1.0)
    assert (cell.error, cell.failed, cell.calls) == (error, error is not None, 2)


async def test_a_failure_goes_down_to_the_output_and_nothing_runs_on_the_way() -> None:
    nodes: dict[str, Node] = {
        "bad": draft(1.5),
        "review": Critic(model="m", after=("bad",)),
        "again": draft(0.1, after="review"),
    }
    client = FunctionClient(failing)
    result = await ask(graph(nodes), client)
    assert [outcome.error for outcome in result.nodes] == ["E401"] * 3
    assert "the server is down" in result.message
    assert len(client.calls) == 1


async def test_when_all_predecessors_were_dropped_there_is_no_candidate() -> None:
    nodes = {"bad": draft(1.5, on_error="drop"), "vote": Vote(after=("bad",))}
    result = await ask(graph(nodes), FunctionClient(failing))
    assert (result.error, result.message) == ("E402", "nodes.vote: no candidate reached it.")


@pytest.mark.parametrize(("min_success", "error"), [(1, None), (2, None), (3, "E401")])
async def test_a_node_goes_on_with_the_calls_that_came_back(min_success: int, error: str | None) -> None:
    seen: list[int] = []

    async def reply(call: Call) -> Completion:
        seen.append(call.seed)
        if len(seen) > 2:
            raise ModelCallError("refused", failure="content_filter")
        return await numbered(call)

    result = await ask(graph({"draft": draft(samples=4, min_success=min_success)}), FunctionClient(reply))
    assert result.error == error
    assert result.usage == Usage(4, 10, 10)
    if error is None:
        assert ids(result.nodes[0].candidates) == ["draft#0", "draft#1"]


async def test_notes_come_in_the_order_of_the_calls_whatever_failed_first() -> None:
    async def reply(call: Call) -> Completion:
        raise ModelCallError("refused", failure="content_filter")

    client = ShuffledClient(FunctionClient(reply), random.Random(1))
    result = await ask(graph({"draft": draft(samples=6)}), client)
    assert [note.fields["index"] for note in result.nodes[0].notes] == list(range(6))


async def test_a_policy_of_a_node_is_a_failure_with_its_code() -> None:
    nodes = {"draft": draft(), "check": Check(tool="calculator", after=("draft",), on_none="fail")}
    result = await ask(graph(nodes), FunctionClient(numbered))
    assert (result.error, by_name(result)["check"].error) == ("E400", "E400")


class Mistaken(Node):
    """A node type with a mistake in it."""

    needs_input = False
    type: Literal["mistaken"] = "mistaken"
    how: Literal["raises", "gives nothing"]
    """What it does."""

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        if self.how == "raises":
            raise ZeroDivisionError("float division")
        return ()


async def test_a_mistake_in_a_node_type_sinks_its_cell_and_not_the_evaluation(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="archloom"):
        result = await ask(graph({"odd": Mistaken(how="raises")}), FunctionClient(numbered))
    assert (result.error, result.message) == ("E400", "nodes.odd: ZeroDivisionError: float division")
    assert caplog.records[0].exc_info is not None


async def test_a_node_that_gives_nothing_has_failed() -> None:
    result = await ask(graph({"odd": Mistaken(how="gives nothing")}), FunctionClient(numbered))
    assert result.error == "E402"


class _Full(MemoryStore):
    async def put(
        self, address: Address, model: str, sample: Sample, *, question: bytes | None = None, replace: bool = False
    ) -> Sample:
        raise StoreError("the disk is full")


async def unusable(call: Call) -> str:
    raise ModelUnavailableError("no weights")


@pytest.mark.parametrize(
    ("reply", "store", "budget", "error"),
    [
        (unusable, MemoryStore, None, ModelUnavailableError),
        (numbered, _Full, None, StoreError),
        (numbered, MemoryStore, Budget(calls=3), SearchBudgetError),
    ],
    ids=["model", "store", "search budget"],
)
@pytest.mark.parametrize("limits", [Budget(), Budget(calls=4)], ids=["at once", "in turn"])
async def test_what_no_node_can_help_ends_the_run_as_itself(
    reply: object, store: type[MemoryStore], budget: Budget | None, error: type[ArchloomError], limits: Budget
) -> None:
    nodes: dict[str, Node] = {
        "a": draft(samples=4),
        "b": draft(0.1, samples=4, on_error="drop"),
        "c": Verifier(model="m", after=("a",), votes=2),
        "out": Vote(after=("b", "c")),
    }
    client = FunctionClient(reply)  # type: ignore[arg-type]  # one of the functions above
    with pytest.raises(error):
        async with asyncio.timeout(10), ModelPool(store(), budget=budget, client=lambda spec: client) as pool:
            await Workflow(graph(nodes, budget=limits), pool=pool).arun(TASK)


async def test_an_error_that_ends_the_run_cancels_the_requests_of_other_nodes() -> None:
    cancelled: list[float] = []
    under_way = asyncio.Event()

    async def reply(call: Call) -> Completion:
        if call.sampling.temperature > 1:
            await under_way.wait()
            raise ModelUnavailableError("no weights")
        under_way.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(call.sampling.temperature)
            raise
        return await numbered(call)

    nodes = {"hangs": draft(), "dies": draft(1.5), "out": Vote(after=("hangs", "dies"))}
    with pytest.raises(ModelUnavailableError):
        await ask(graph(nodes), FunctionClient(reply))
    assert cancelled == [0.5]


# Cancellation


class Hanging:
    """A model that never answers, and says when it has this many requests and when they were all cancelled."""

    def __init__(self, count: int) -> None:
        self.all_there = asyncio.Event()
        self.all_gone = asyncio.Event()
        self._count, self._there, self._gone = count, 0, 0

    async def reply(self, call: Call) -> str:
        self._there += 1
        if self._there == self._count:
            self.all_there.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._gone += 1
            if self._gone == self._count:
                self.all_gone.set()
            raise
        return "never"


async def test_cancelling_a_run_cancels_its_requests_and_they_are_charged() -> None:
    model = Hanging(5)
    nodes = {"a": draft(samples=3), "b": draft(0.1, samples=2), "out": Vote(after=("a", "b"))}
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: FunctionClient(model.reply)) as pool:
        running = asyncio.ensure_future(Workflow(graph(nodes), pool=pool).arun(TASK))
        await model.all_there.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await model.all_gone.wait()
    assert pool.charged.settled == Usage(5, 5 * 8, 5 * 20, tokens_estimated=5 * 28)
    assert pool.charged.reserved == Usage()


async def test_a_run_that_is_cancelled_takes_no_request_from_another() -> None:
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def reply(call: Call) -> Completion:
        arrived.set()
        await gate.wait()
        return await numbered(call)

    workflow_of = graph({"draft": draft()})
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        leaving = asyncio.ensure_future(Workflow(workflow_of, pool=pool).arun(TASK))
        await arrived.wait()
        staying = asyncio.ensure_future(Workflow(workflow_of, pool=pool).arun(TASK))
        for _ in range(50):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        gate.set()
        assert (await staying).answer == "0.5"
        assert pool.charged.settled.calls == 1


async def test_leaving_a_stream_early_cancels_what_still_runs() -> None:
    model = Hanging(1)

    async def reply(call: Call) -> Completion | str:
        return await (model.reply if call.sampling.temperature > 1 else numbered)(call)

    nodes = {"quick": draft(), "hangs": draft(1.5), "out": Vote(after=("quick", "hangs"))}
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        stream = Workflow(graph(nodes), pool=pool).stream(TASK)
        first = await anext(stream)
        await model.all_there.wait()
        await stream.aclose()
        await model.all_gone.wait()
    assert isinstance(first, NodeOutcome)


def test_numbers_of_nodes_are_their_own_and_the_same_in_every_configuration() -> None:
    """Equal rankers see their candidates in different orders; another node elsewhere changes none."""
    seen = [asyncio.run(_shown(extra)) for extra in (False, True)]
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[0][1]


async def _shown(extra: bool) -> Sequence[str]:
    client = FunctionClient(_unique)
    rank = Ranker(model="m", after=("draft",), reasks=0)
    nodes: dict[str, Node] = {"draft": draft(samples=7), "r1": rank, "r2": rank}
    if extra:
        nodes["other"] = draft(0.9)
        nodes["review"] = Critic(model="m", after=("other",))
    nodes["out"] = Vote(after=tuple(name for name in nodes if name in {"r1", "r2", "review"}))
    await ask(graph(nodes), client)
    return sorted(call.text for call in client.calls if "Ranking:" in call.text)


async def _unique(call: Call) -> str:
    return f"The answer is {call.seed}"
