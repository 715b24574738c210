"""Streams: equal nodes are independent within a run and shared across configurations, in every schedule."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, Document, ScriptedModel
from archloom.nodes import Completion, Critic, Fuser, Generator, Node, Ranker, Task, Verifier, Vote
from archloom.orchestrator import ModelPool, RunResult, Workflow
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Client, MemoryStore
from archloom.testing._graphs import configurations
from archloom.testing._replies import Call, FunctionClient, ShuffledClient

MODELS = {"m": ScriptedModel(model="m", retries=0), "o": ScriptedModel(model="o", retries=0)}
TASK = Task.ask("What is 1 + 1?")


async def told(call: Call) -> Completion:
    """Every address has its own seed, so equal texts are the same sample. Lengths and times differ."""
    length = call.seed % 7
    return Completion(f"sample {call.seed} Verdict: correct", "stop", 9, length, latency_s=length / 10)


def workflow(nodes: Mapping[str, Node], output: str | None = None) -> Configuration:
    return Configuration("w", MODELS, nodes, output or list(nodes)[-1])


async def run(configuration: Configuration, pool: ModelPool, *, task: Task = TASK, replicate: int = 0) -> RunResult:
    return await Workflow(configuration, pool=pool).arun(task, replicate=replicate)


def pool_of(store: MemoryStore | None = None, schedule: int | None = None) -> ModelPool:
    rng = random.Random(schedule)

    def client(spec: object) -> Client:
        assert isinstance(spec, ScriptedModel)
        plain = FunctionClient(told, identity=f"function/{spec.model}")
        return plain if schedule is None else ShuffledClient(plain, rng)

    return ModelPool(store or MemoryStore(), client=client)


async def answers(configuration: Configuration, schedule: int | None = None, task: Task = TASK) -> RunResult:
    async with pool_of(schedule=schedule) as pool:
        return await run(configuration, pool, task=task)


def drawn(result: RunResult, *nodes: str) -> list[str]:
    """Texts of what these nodes gave, in order."""
    given = {outcome.node: [candidate.text for candidate in outcome.candidates] for outcome in result.nodes}
    return [text for node in nodes for text in given[node]]


def equal_generators(count: int, **fields: object) -> dict[str, Node]:
    return {f"g{i}": Generator.model_validate({"model": "m", "samples": 3} | fields) for i in range(count)}


@settings(max_examples=30, deadline=None)
@given(configuration=configurations(MODELS, types=(Generator, Fuser), max_nodes=7), schedule=st.integers())
def test_no_two_nodes_ever_get_the_same_sample(configuration: Configuration, schedule: int) -> None:
    result = asyncio.run(answers(configuration, schedule))
    texts = drawn(result, *configuration.order)
    assert len(texts) == sum(
        node.samples for node in configuration.nodes.values() if isinstance(node, Generator | Fuser)
    )
    assert len(set(texts)) == len(texts)


@settings(max_examples=15, deadline=None)
@given(count=st.integers(2, 5), schedule=st.integers(), depth=st.integers(0, 2), data=st.data())
def test_equal_generators_are_independent_in_every_schedule(
    count: int, schedule: int, depth: int, data: st.DataObject
) -> None:
    nodes = equal_generators(count)
    for layer in range(depth):
        parents = [name for name in nodes if name.endswith(str(layer - 1)) or layer == 0]
        after = tuple(data.draw(st.permutations(parents)))
        nodes |= {f"l{i}_{layer}": Generator(model="m", samples=2, after=after) for i in range(2)}
    configuration = workflow({**nodes, "out": Vote(after=tuple(nodes))})
    result = asyncio.run(answers(configuration, schedule))
    texts = drawn(result, *nodes)
    assert len(set(texts)) == len(texts) == 3 * count + 4 * depth


@pytest.mark.parametrize(
    "judge",
    [Critic(model="m", after=("g0",)), Verifier(model="m", after=("g0",)), Ranker(model="m", after=("g0",), reasks=0)],
    ids=["critic", "verifier", "ranker"],
)
async def test_equal_judges_ask_for_opinions_of_their_own(judge: Node) -> None:
    draft = equal_generators(1)
    async with pool_of() as pool:
        await run(workflow(draft), pool)
        drafted = pool.charged.settled.calls
        await run(workflow({**draft, "a": judge}), pool)
        alone = pool.charged.settled.calls - drafted
        await run(workflow({**draft, "a": judge, "b": judge, "out": Vote(after=("a", "b"))}), pool)
        assert pool.charged.settled.calls - drafted == 2 * alone > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{{ question }} Think.", "{{question}} Think.  "),
        ("{{ question }} Think.", "{# be brief #}{{ question }} Think."),
        ("{{ question }}", "{{ question | upper | lower | title | trim }}"),
        ("{{ question }}", None),
    ],
    ids=["white space", "a comment", "filters that change letters", "the task as it is"],
)
async def test_prompts_that_may_render_alike_get_streams_of_their_own(one: str, other: str | None) -> None:
    nodes = {
        "a": Generator(model="m", samples=3, prompt=one),
        "b": Generator(model="m", samples=3, prompt=other),
    }
    configuration = workflow({**nodes, "out": Vote(after=("a", "b"))})
    result = await answers(configuration, task=Task.ask("1 + 1"))
    assert len(set(drawn(result, "a", "b"))) == 6


async def test_prompts_that_render_alike_only_without_annotations_get_streams_of_their_own() -> None:
    shown = "{{ question }} {% for c in candidates %}{{ c.text }}{% endfor %}"
    scored = shown.replace("{{ c.text }}", "{{ c.text }}{% if c.score is not none %} ({{ c.score }}){% endif %}")
    nodes = {
        **equal_generators(1),
        "a": Fuser(model="m", samples=2, prompt=shown, after=("g0",)),
        "b": Fuser(model="m", samples=2, prompt=scored, after=("g0",)),
    }
    result = await answers(workflow({**nodes, "out": Vote(after=("a", "b"))}))
    assert len(set(drawn(result, "a", "b"))) == 4


async def test_a_generator_that_lost_its_predecessors_takes_no_sample_of_another() -> None:
    async def reply(call: Call) -> Completion:
        if call.sampling.temperature == 1.5:
            raise ModelCallError("down", failure="bad_request")
        return await told(call)

    nodes = {
        "plain": Generator(model="m", samples=3),
        "lost": Generator(model="m", temperature=1.5, on_error="drop"),
        "late": Generator(model="m", samples=3, after=("lost",)),
        "out": Vote(after=("plain", "late")),
    }
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        result = await run(workflow(nodes), pool)
    assert result.error is None
    assert len(set(drawn(result, "plain", "late"))) == 6


async def test_a_prompt_for_more_candidates_than_a_probe_has_is_no_error() -> None:
    nodes = {
        **equal_generators(3),
        "out": Fuser(model="m", prompt="{{ candidates[8].text }} {{ candidates[7].text }}", after=("g0", "g1", "g2")),
    }
    assert (await answers(workflow(nodes))).error is None


def single(samples: int = 3, **fields: object) -> dict[str, Node]:
    return {"solo": Generator.model_validate({"model": "m", "samples": samples} | fields)}


@pytest.mark.parametrize(
    ("first", "second", "charged"),
    [
        (single(), single(), 0),
        (single(), {**single(), "v": Vote(after=("solo",))}, 0),
        (single(3), single(5), 2),
        (single(5), single(3), 0),
        (single(), {**equal_generators(2), "v": Vote(after=("g0", "g1"))}, 3),
        (single(), single(budget={"calls": 9}, on_error="drop", min_success=2), 0),
        (single(), single(temperature=0.8), 3),
        (single(), single(max_tokens=99), 3),
        (single(), single(model="o"), 3),
    ],
    ids=[
        "the same", "with a vote after it", "more samples", "fewer samples", "one of two", "other policies",
        "another temperature", "another limit", "another model",
    ],
)  # fmt: skip
async def test_a_generator_in_two_configurations_pays_once(
    first: Mapping[str, Node], second: Mapping[str, Node], charged: int
) -> None:
    async with pool_of() as pool:
        await run(workflow(first), pool)
        before = pool.charged.settled.calls
        result = await run(workflow(second), pool)
        assert pool.charged.settled.calls - before == charged
    alone = await answers(workflow(second))
    assert result == alone, "what was in the store has changed the result"


async def test_a_ranker_is_shared_by_configurations_that_differ_elsewhere() -> None:
    nodes: dict[str, Node] = {**single(), "rank": Ranker(model="m", after=("solo",), reasks=0)}
    more: dict[str, Node] = {
        **nodes,
        "other": Generator(model="m", temperature=0.1),
        "out": Vote(after=("rank", "other")),
    }
    async with pool_of() as pool:
        await run(workflow(nodes), pool)
        before = pool.charged.settled
        await run(workflow(more), pool)
        assert pool.charged.settled.calls - before.calls == 1


async def test_two_configurations_at_once_share_one_request() -> None:
    async with pool_of(schedule=3) as pool:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(run(workflow(single()), pool)) for _ in range(4)]
        assert pool.charged.settled.calls == 3
    assert len({run.result().text for run in runs}) == 1


def document(order: Sequence[str], names: Mapping[str, str]) -> Document:
    """A graph with equal generators, and unequal ones; written in this order and with these names."""
    lines = {
        "a": "{type: generator, model: m, samples: 2}",
        "b": "{type: generator, model: m, samples: 2}",
        "c": "{type: generator, model: m, samples: 2, temperature: 0.1}",
        "join": "{type: fuser, model: m, samples: 2, after: [A, B]}",
        "twin": "{type: fuser, model: m, samples: 2, after: [A, B]}",
        "out": "{type: fuser, model: m, after: [JOIN, TWIN, C]}",
    }
    for old, new in names.items():
        lines = {key: line.replace(old.upper(), new) for key, line in lines.items()}
    nodes = "\n".join(f"  {names[key]}: {lines[key]}" for key in order)
    models = "  m: {provider: scripted, model: m}"
    return Document.parse(f"archloom: 1\nmodels:\n{models}\nnodes:\n{nodes}\noutput: {names['out']}\n")


KEYS = ["a", "b", "c", "join", "twin", "out"]
NAMES = st.lists(st.from_regex("n_[a-z0-9]{1,6}", fullmatch=True), min_size=6, max_size=6, unique=True)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(KEYS), names=NAMES)
def test_names_and_order_of_writing_change_nothing(order: list[str], names: list[str]) -> None:
    plain = document(KEYS, dict(zip(KEYS, KEYS, strict=True))).configure()
    other = document(order, dict(zip(KEYS, names, strict=True))).configure()
    assert other.id == plain.id
    one, two = asyncio.run(answers(plain)), asyncio.run(answers(other))
    assert (one.text, one.usage, one.latency_s) == (two.text, two.usage, two.latency_s)
    assert Counter(drawn(one, *plain.order)) == Counter(drawn(two, *other.order))


@settings(max_examples=10, deadline=None)
@given(configuration=configurations(MODELS, types=(Generator, Fuser, Vote), max_nodes=5))
def test_a_replicate_uses_fresh_samples(configuration: Configuration) -> None:
    async def both() -> None:
        async with pool_of() as pool:
            results = [await run(configuration, pool, replicate=number) for number in (0, 1, 2)]
            paid = pool.charged.settled
            assert await run(configuration, pool, replicate=1) == results[1]
            assert pool.charged.settled == paid, "a replicate that is run again is read from the store"
        made = [
            {c.text for outcome in result.nodes for c in outcome.candidates if c.id.startswith(f"{outcome.node}#")}
            for result in results
        ]
        assert len(set.union(*made)) == sum(map(len, made))

    asyncio.run(both())


async def test_a_node_that_asks_the_same_twice_pays_once() -> None:
    """Two candidates with the same text are one question."""

    async def reply(call: Call) -> str:
        return "the same" if "strengths" not in call.text else "a critique"

    nodes = {"draft": Generator(model="m", samples=4), "review": Critic(model="m", after=("draft",))}
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        result = await run(workflow(nodes), pool)
        assert pool.charged.settled.calls == result.usage.calls == 5
    assert [candidate.critiques for candidate in result.nodes[-1].candidates] == [("a critique",)] * 4
