"""The plan: its bounds hold for what then happens, and what it says about the store is exact."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, ModelSpec, Price, ScriptedModel, SimulatedModel
from archloom.nodes import Critic, Fuser, Generator, Node, Ranker, Task, Verifier, Vote
from archloom.orchestrator import ModelPool, PlannedNode, RunResult, Usage, Workflow, estimate, plan, worst_case
from archloom.orchestrator.models import MemoryStore
from archloom.testing._graphs import configurations
from archloom.testing._replies import Call, FunctionClient

SIMULATED: Mapping[str, ModelSpec] = {
    "m": SimulatedModel(model="m", tokens=60, price=Price(input=1.0, output=4.0)),
    "judge": SimulatedModel(model="judge", tokens=20),
}
TASK = Task.ask("Simulated task plan/0/3: find its number.")


def at_most(less: Usage, more: Usage) -> bool:
    return (
        less.calls <= more.calls
        and less.tokens_in <= more.tokens_in
        and less.tokens_out <= more.tokens_out
        and less.cost_usd <= more.cost_usd + 1e-12
    )


@settings(max_examples=40, deadline=None)
@given(configuration=configurations(SIMULATED, max_nodes=7))
def test_what_each_node_uses_is_within_its_bounds(configuration: Configuration) -> None:
    async def run() -> None:
        async with ModelPool(MemoryStore()) as pool:
            samplers = pool.peek(configuration)
            bounds = estimate(configuration, samplers, TASK)
            result = await Workflow(configuration, pool=pool).arun(TASK)
            assert at_most(result.usage, worst_case(configuration, samplers, TASK))
        assert tuple(bounds) == configuration.order
        for outcome in result.nodes:
            assert at_most(bounds[outcome.node].least, outcome.usage), outcome.node
            assert at_most(outcome.usage, bounds[outcome.node].most), outcome.node

    asyncio.run(run())


async def longest_reply(call: Call) -> str:
    """As long as it may be, and no ranking and no verdict, so that everything is asked as often as it may be."""
    return "longest " * call.sampling.max_tokens


@settings(max_examples=30, deadline=None)
@given(configuration=configurations({"m": ScriptedModel()}, max_nodes=7))
def test_bounds_hold_when_every_reply_is_as_long_as_it_may_be(configuration: Configuration) -> None:
    async def run() -> None:
        async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(longest_reply)) as pool:
            bounds = estimate(configuration, pool.peek(configuration), TASK)
            result = await Workflow(configuration, pool=pool).arun(TASK)
        for outcome in result.nodes:
            assert at_most(outcome.usage, bounds[outcome.node].most), outcome.node

    asyncio.run(run())


def workflow(**nodes: Node) -> Configuration:
    return Configuration("w", {"m": ScriptedModel(price=Price(input=1.0))}, nodes, list(nodes)[-1])


DRAFT = Generator(model="m", samples=3, max_tokens=10)


@pytest.mark.parametrize(
    ("judge", "calls"),
    [
        (Critic(model="m", after=("draft",)), (1, 6)),
        (Verifier(model="m", after=("draft",), votes=4), (4, 24)),
        (Ranker(model="m", after=("draft",), reasks=2), (0, 3)),
        (Fuser(model="m", after=("draft",), samples=2), (2, 2)),
        (Fuser(model="m", after=("draft",), prompt="{{ question }} {{ candidates[2].text }}"), (0, 1)),
        (Vote(after=("draft",)), (0, 0)),
    ],
    ids=["critic", "verifier", "ranker", "fuser", "a prompt for three candidates", "vote"],
)
def test_calls_of_a_node(judge: Node, calls: tuple[int, int]) -> None:
    configuration = workflow(draft=DRAFT, judge=judge)
    bounds = estimate(configuration, ModelPool(MemoryStore()).peek(configuration), Task.ask("one two three"))
    assert (bounds["judge"].least.calls, bounds["judge"].most.calls) == calls
    assert bounds["draft"].most == Usage(3, 9, 30, pytest.approx(9e-6))
    assert (bounds["draft"].least.calls, bounds["draft"].least.tokens_out) == (3, 0)


async def words(call: Call) -> str:
    return f"words {call.seed}"


def tasks(*numbers: int) -> Sequence[Task]:
    return [Task.ask(f"Question {number}?", id=f"t{number}") for number in numbers]


def row(rows: Sequence[PlannedNode], node: str) -> tuple[int | None, int | None]:
    return next((row.stored, row.missing) for row in rows if row.node == node)


@settings(max_examples=25, deadline=None)
@given(
    configuration=configurations({"m": ScriptedModel()}, types=(Generator, Vote), max_nodes=6),
    earlier=configurations({"m": ScriptedModel()}, types=(Generator, Vote), max_nodes=4),
    done=st.sets(st.integers(0, 3)),
    planned=st.sets(st.integers(0, 3), min_size=1),
)
def test_what_is_stored_and_what_is_missing_is_exact(
    configuration: Configuration, earlier: Configuration, done: set[int], planned: set[int]
) -> None:
    async def run() -> None:
        store = MemoryStore()
        async with ModelPool(store, client=lambda spec: FunctionClient(words)) as pool:
            for task in tasks(*done):
                await Workflow(earlier, pool=pool).arun(task)
        client = FunctionClient(words)
        async with ModelPool(store, client=lambda spec: client) as pool:
            rows = plan(configuration, pool.peek(configuration), tasks(*planned), store)
            assert client.entered == 0
            results = [await Workflow(configuration, pool=pool).arun(task) for task in tasks(*planned)]
        assert [each.node for each in rows] == list(configuration.order)
        missing = 0
        for each in rows:
            node = configuration.nodes[each.node]
            if node.after:
                assert (each.stored, each.missing) == (None, None)
                continue
            assert each.stored is not None
            assert each.missing is not None
            assert each.stored + each.missing == sum(_calls(result, each.node) for result in results)
            missing += each.missing
        first = [call for call in client.calls if "Other attempts" not in call.text]
        assert len(first) == missing

    asyncio.run(run())


def _calls(result: RunResult, node: str) -> int:
    return next(outcome.usage.calls for outcome in result.nodes if outcome.node == node)


async def test_what_is_stored_counts_for_the_first_of_equal_nodes() -> None:
    one, two = workflow(draft=DRAFT), workflow(a=DRAFT, b=DRAFT, vote=Vote(after=("a", "b")))
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(words)) as pool:
        await Workflow(one, pool=pool).arun(tasks(1)[0])
        rows = plan(two, pool.peek(two), tasks(1, 2), pool.store)
    assert [(each.stored, each.missing) for each in rows] == [(3, 3), (0, 6), (None, None)]


async def test_tasks_that_ask_the_same_are_paid_once() -> None:
    configuration = workflow(draft=DRAFT)
    twins = [Task.ask("The same?", id="a"), Task.ask("The same?", id="b")]
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(words)) as pool:
        rows = plan(configuration, pool.peek(configuration), twins, pool.store)
        for task in twins:
            await Workflow(configuration, pool=pool).arun(task)
        assert row(rows, "draft") == (0, 3)
        assert pool.charged.settled.calls == 3
        assert row(plan(configuration, pool.peek(configuration), twins, pool.store), "draft") == (3, 0)


def test_a_plan_adds_up_over_tasks() -> None:
    configuration = workflow(draft=DRAFT, vote=Vote(after=("draft",)))
    store = MemoryStore()
    [draft, vote] = plan(configuration, ModelPool(store).peek(configuration), tasks(1, 2, 3), store)
    assert (draft.node, draft.type, draft.least.calls) == ("draft", "generator", 9)
    assert draft.most == Usage(9, 18, 90, pytest.approx(18e-6))
    assert vote == PlannedNode("vote", "vote", Usage(), Usage(), None, None)


def test_no_tasks_cost_nothing() -> None:
    configuration = workflow(draft=DRAFT)
    [draft] = plan(configuration, ModelPool(MemoryStore()).peek(configuration), [], MemoryStore())
    assert (draft.least, draft.most, draft.stored, draft.missing) == (Usage(), Usage(), 0, 0)
