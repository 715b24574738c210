"""Composite nodes: bodies run like graphs of their own, within every budget, with samples of their own."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, ModelSpec, ScriptedModel, SimulatedModel, check_construction
from archloom.nodes import (
    Body,
    BodyFailedError,
    BodyRun,
    Budget,
    Candidate,
    Candidates,
    Completion,
    Executed,
    Fuser,
    Generator,
    Node,
    Part,
    Ranker,
    Repeat,
    Route,
    Task,
    Verifier,
    Vote,
)
from archloom.orchestrator import (
    Explanation,
    ModelPool,
    NodeOutcome,
    RunResult,
    Usage,
    Workflow,
    estimate,
    plan,
    worst_case,
)
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Client, MemoryStore, SimulatedClient
from archloom.testing import FakeContext
from archloom.testing._graphs import COMPOSITES, configurations
from archloom.testing._replies import Call, FunctionClient, ShuffledClient

SIMULATED: Mapping[str, ModelSpec] = {
    "m": SimulatedModel(model="m", tokens=25, retries=0, fixes=0.3, breaks=0.2),
    "judge": SimulatedModel(model="judge", tokens=15, tokens_per_s=37, retries=0),
}
UNRELIABLE: Mapping[str, ModelSpec] = {
    name: SimulatedModel.model_validate({**spec.model_dump(), "fail": 0.2}) for name, spec in SIMULATED.items()
}
SCRIPTED: Mapping[str, ModelSpec] = {name: ScriptedModel(model=name, retries=0) for name in ("m", "o")}
MARKER = "Simulated task composites/0/3: find its number."
TASK = Task("simulated", ({"role": "system", "content": MARKER}, {"role": "user", "content": "What is 2 + 3?"}))
SCHEDULES = st.integers(0, 2**32)
BUDGETS = st.builds(
    Budget,
    calls=st.none() | st.integers(1, 30),
    tokens=st.none() | st.integers(20, 5000),
    time_s=st.none() | st.floats(0.05, 6.0),
)
NODE_BUDGETS = st.none() | st.builds(
    Budget,
    calls=st.none() | st.integers(1, 6),
    tokens=st.none() | st.integers(50, 1500),
    time_s=st.none() | st.sampled_from([0.6, 2.0]),
)


def pool(store: MemoryStore | None = None, schedule: int | None = None) -> ModelPool:
    rng = random.Random(schedule)

    def client(spec: ModelSpec) -> Client:
        plain: Client = SimulatedClient(spec) if isinstance(spec, SimulatedModel) else told_client(spec)
        return plain if schedule is None else ShuffledClient(plain, rng)

    return ModelPool(store or MemoryStore(), client=client)


async def told(call: Call) -> Completion:
    """Every address has its own seed, so equal texts are the same sample. Lengths and times differ."""
    length = call.seed % 7
    return Completion(f"sample {call.seed} Verdict: correct", "stop", 9, length, latency_s=length / 10)


def told_client(spec: ModelSpec) -> FunctionClient:
    return FunctionClient(told, identity=f"function/{spec.model}")


async def run(
    configuration: Configuration, *, store: MemoryStore | None = None, schedule: int | None = None, task: Task = TASK
) -> RunResult:
    async with asyncio.timeout(30), pool(store, schedule) as models:
        return await Workflow(configuration, pool=models).arun(task)


def everything(result: RunResult) -> Iterator[NodeOutcome]:
    return (outcome for top in result.nodes for outcome in top.walk())


def log(result: RunResult) -> bytes:
    return b"\n".join(orjson.dumps(outcome.to_json()) for outcome in result.nodes)


def static(name: str) -> str:
    """The name of a node of a body for all runs alike: ``a[2].b`` is ``a[*].b``."""
    return "".join(
        part if not part[:1].isdigit() else f"*{part.lstrip('0123456789')}"
        for part in name.replace("[", "[\0").split("\0")
    )


# Any workflow


@settings(max_examples=40, deadline=None)
@given(configuration=configurations(SIMULATED, types=COMPOSITES, max_nodes=4))
def test_what_is_drawn_keeps_the_construction_rules(configuration: Configuration) -> None:
    nodes, models, output = configuration.nodes, configuration.models, configuration.output
    assert check_construction(nodes, models, output, all_lead_to_output=True) == []


@settings(max_examples=40, deadline=None)
@given(configuration=configurations(SIMULATED, types=COMPOSITES, max_nodes=4), schedule=SCHEDULES)
def test_any_workflow_ends_and_counts_everything_once(configuration: Configuration, schedule: int) -> None:
    result = asyncio.run(run(configuration, schedule=schedule))
    assert result.error is None, result.message
    assert not result.truncated
    leaves = [outcome for outcome in everything(result) if not outcome.inner]
    assert result.usage.calls == sum(outcome.usage.calls for outcome in leaves)
    assert result.usage.tokens == sum(outcome.usage.tokens for outcome in leaves)
    assert Counter(result.endings) == sum((Counter(outcome.endings) for outcome in leaves), Counter())
    names = [outcome.node for outcome in everything(result)]
    assert len(set(names)) == len(names)
    assert {static(name) for name in names} <= set(configuration.all_nodes)
    for outcome in everything(result):
        assert all(outcome.start_s <= inner.start_s <= inner.finish_s for inner in outcome.inner)
        assert all(inner.finish_s <= outcome.finish_s + 2e-6 for inner in outcome.inner)


@settings(max_examples=25, deadline=None)
@given(configuration=configurations(SIMULATED, types=COMPOSITES, max_nodes=4), schedule=SCHEDULES)
def test_a_run_through_langgraph_is_the_same_run(configuration: Configuration, schedule: int) -> None:
    async def streamed() -> RunResult:
        async with asyncio.timeout(30), pool(schedule=schedule + 1) as models:
            *outcomes, result = [event async for event in Workflow(configuration, pool=models).stream(TASK)]
            assert isinstance(result, RunResult)
            assert {each.node: each for each in outcomes if isinstance(each, NodeOutcome)} == {
                each.node: each for each in result.nodes
            }
            return result

    assert asyncio.run(run(configuration, schedule=schedule)) == asyncio.run(streamed())


@settings(max_examples=30, deadline=None)
@given(
    configuration=configurations(
        UNRELIABLE, types=COMPOSITES, max_nodes=4, policies=True, budgets=BUDGETS, node_budgets=NODE_BUDGETS
    ),
    schedules=st.tuples(SCHEDULES, SCHEDULES),
)
def test_a_replay_is_byte_equal_in_any_schedule(configuration: Configuration, schedules: tuple[int, int]) -> None:
    store = MemoryStore()
    first = asyncio.run(run(configuration, store=store, schedule=schedules[0]))
    replay = asyncio.run(run(configuration, store=store))
    elsewhere = asyncio.run(run(configuration, schedule=schedules[1]))
    assert log(first) == log(replay) == log(elsewhere)
    assert first == replay == elsewhere


@settings(max_examples=40, deadline=None)
@given(
    configuration=configurations(SIMULATED, types=COMPOSITES, max_nodes=4, budgets=BUDGETS, node_budgets=NODE_BUDGETS),
    schedule=SCHEDULES,
)
def test_no_budget_around_or_inside_a_body_is_ever_exceeded(configuration: Configuration, schedule: int) -> None:
    result = asyncio.run(run(configuration, schedule=schedule))
    assert within(result.usage, configuration.budget)
    assert result.latency_s <= (configuration.budget.time_s or float("inf")) + 1e-6
    for outcome in everything(result):
        own = configuration.all_nodes[static(outcome.node)].budget
        assert within(outcome.usage, own)
        limit_s = own.time_s if own and own.time_s else float("inf")
        assert outcome.finish_s - outcome.start_s <= limit_s + 3e-6
    assert result.error in (None, "E410")
    assert result.truncated or result.error is None


def within(usage: Usage, budget: Budget | None) -> bool:
    return budget is None or (
        (budget.calls is None or usage.calls <= budget.calls)
        and (budget.tokens is None or usage.tokens <= budget.tokens)
    )


@settings(max_examples=40, deadline=None)
@given(configuration=configurations(SIMULATED, types=COMPOSITES, max_nodes=4))
def test_no_run_costs_more_than_the_estimate_nor_less(configuration: Configuration) -> None:
    async def bounds() -> dict[str, Any]:
        async with pool() as models:
            samplers = models.peek(configuration)
            found = estimate(configuration, samplers, TASK).values()
            rows = plan(configuration, samplers, [TASK], MemoryStore())
            whole = [row for row in rows if not row.inner]
            assert sum(row.most.calls for row in whole) == worst_case(configuration, samplers, TASK).calls
            assert [row.node for row in rows] == list(configuration.all_nodes)
            return {each.node: each for top in found for each in top.walk()}

    expected = asyncio.run(bounds())
    result = asyncio.run(run(configuration))
    used: Counter[str] = Counter()
    for outcome in everything(result):
        used[static(outcome.node)] += outcome.usage.tokens
    for name, bound in expected.items():
        assert used[name] <= bound.most.tokens
    for outcome in result.nodes:
        assert expected[outcome.node].least.calls <= outcome.usage.calls <= expected[outcome.node].most.calls


# Streams


@settings(max_examples=40, deadline=None)
@given(
    configuration=configurations(SCRIPTED, types=(Generator, Fuser, Repeat, Route), max_nodes=4),
    schedule=SCHEDULES,
)
def test_no_two_nodes_and_no_two_rounds_ever_get_the_same_sample(configuration: Configuration, schedule: int) -> None:
    result = asyncio.run(run(configuration, schedule=schedule))
    written = {candidate.id: candidate.text for outcome in everything(result) for candidate in outcome.candidates}
    assert len(set(written.values())) == len(written) == result.usage.calls


def repeated(body: Mapping[str, Node], *, rounds: int = 3, **fields: object) -> Repeat:
    return Repeat.model_validate({"body": Body(nodes=dict(body), output=list(body)[-1]), "rounds": rounds, **fields})


def workflow(nodes: Mapping[str, Node], *, budget: Budget | None = None) -> Configuration:
    return Configuration("w", SCRIPTED, nodes, list(nodes)[-1], budget or Budget())


def texts(result: RunResult, *names: str) -> list[str]:
    found = {outcome.node: outcome.candidates for outcome in everything(result)}
    return [candidate.text for name in names for candidate in found[name]]


async def test_the_first_round_reads_the_pool_of_an_equal_node_outside() -> None:
    draft, fuse = Generator(model="m", samples=2), Fuser(model="m", after=("draft",))
    plain = await run(workflow({"draft": draft, "fuse": fuse}))
    loop = await run(workflow({"draft": draft, "loop": repeated({"fuse": Fuser(model="m")}, after=("draft",))}))
    assert texts(loop, "loop[1].fuse") == texts(plain, "fuse")
    assert len(set(texts(loop, "loop[1].fuse", "loop[2].fuse", "loop[3].fuse"))) == 3


async def test_a_body_that_is_given_nothing_first_asks_the_bare_question() -> None:
    plain = await run(workflow({"draft": Generator(model="m", samples=2)}))
    loop = await run(workflow({"loop": repeated({"draft": Generator(model="m", samples=2)})}))
    assert texts(loop, "loop[1].draft") == texts(plain, "draft")
    assert len(set(texts(loop, "loop[1].draft", "loop[2].draft", "loop[3].draft"))) == 6


@pytest.mark.parametrize("rounds", [1, 2, 5])
async def test_a_loop_moves_the_stream_of_no_other_node(rounds: int) -> None:
    draft = {"draft": Generator(model="m", samples=2)}
    equal = {name: Fuser(model="m", after=("draft",)) for name in ("a", "b")}
    looped = repeated({"fuse": Fuser(model="m")}, rounds=rounds, after=("draft",))
    nodes = {**draft, **equal, "loop": looped, "out": Vote(after=("a", "b", "loop"))}
    alone = await run(workflow({**draft, **equal, "c": equal["a"], "out": Vote(after=("a", "b", "c"))}))
    result = await run(workflow(nodes))
    drawn = texts(result, "a", "b", *(f"loop[{number + 1}].fuse" for number in range(rounds)))
    assert len(set(drawn)) == 2 + rounds
    assert set(texts(result, "a", "b", "loop[1].fuse")) == set(texts(alone, "a", "b", "c"))


async def test_an_equal_question_in_every_round_is_answered_anew_and_again_in_a_replay() -> None:
    nodes = {"draft": Generator(model="m"), "loop": repeated({"a": Generator(model="m", after=())}, rounds=4, keep="all", after=("draft",))}  # fmt: skip
    store = MemoryStore()
    first, second = await run(workflow(nodes), store=store), await run(workflow(nodes), store=store)
    assert first == second
    assert len(set(texts(first, "loop"))) == 5


async def test_names_do_not_move_random_numbers_of_a_body() -> None:
    asked: list[list[str]] = []

    async def ask(names: tuple[str, str]) -> list[str]:
        seen: list[str] = []

        async def reply(call: Call) -> str:
            seen.append(call.text)
            return "Ranking: 1 > 2 > 3"

        draft, loop = names
        nodes = {
            draft: Generator(model="m", samples=3),
            loop: repeated({"best": Ranker(model="o", keep=3)}, after=(draft,), carry="last"),
        }
        client = FunctionClient(reply)
        async with ModelPool(MemoryStore(), client=lambda spec: client) as models:
            await Workflow(workflow(nodes), pool=models).arun(TASK)
        return seen

    asked = [await ask(names) for names in (("draft", "loop"), ("d", "improve"))]
    assert asked[0] == asked[1]


# Repeat


def numbered(*, after: Callable[[int], str] | None = None) -> Callable[[Call], Any]:
    """The n-th new reply of a model; a verifier accepts what ``after`` says."""
    count = iter(range(10_000))

    async def reply(call: Call) -> str:
        if "erdict" in call.text:
            return after(int(call.text.rsplit("answer ", 1)[-1].split()[0])) if after else "Verdict: incorrect"
        return f"answer {next(count)}"

    return reply


async def asked(configuration: Configuration, reply: Callable[[Call], Any]) -> RunResult:
    client = FunctionClient(reply)
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: client) as models:
        return await Workflow(configuration, pool=models).arun(Task.ask("What?"))


DRAFT = Generator(model="m")
CHECK = Verifier(model="o", keep="all", prompt="Verdict on {{ candidate.text }} ?", after=("fuse",))
FUSE = Fuser(model="m", prompt="{% for c in candidates %}{{ c.text }} {{ c.score }};{% endfor %}")


@pytest.mark.parametrize(
    ("first_right", "rounds"),
    [(0, 0), (1, 1), (3, 3), (9, 4)],
    ids=["right at once", "after one round", "after three", "never"],
)
async def test_a_loop_stops_when_its_candidate_is_accepted(first_right: int, rounds: int) -> None:
    right = lambda number: "Verdict: correct" if number >= first_right else "Verdict: incorrect"  # noqa: E731
    nodes = {
        "draft": DRAFT,
        "check": CHECK.model_copy(update={"after": ("draft",)}),
        "loop": repeated({"fuse": FUSE, "check": CHECK}, rounds=4, until="accepted", after=("check",)),
    }
    result = await asked(workflow(nodes), numbered(after=right))
    assert result.text == f"answer {min(first_right, 4)}"
    assert result.usage.calls == 2 + 2 * rounds
    loop = result.nodes[-1]
    assert [note.what for note in loop.notes] == (["until"] if first_right < 4 else [])
    assert len(loop.inner) == 2 * rounds


def cand(name: str, **fields: Any) -> Candidate:
    return Candidate(id=name, text=name, **({"answer": name} | fields))


def ran(name: str, outcome: str = "ok", **fields: Any) -> Candidate:
    return cand(name, executed=Executed(outcome, name if outcome == "ok" else None), **fields)


async def alone(given: Candidates, outputs: list[Any], **fields: Any) -> tuple[list[str], list[list[str]], list[str]]:
    """What a loop gives, what each round was given, and what it noted, when its rounds give these in turn."""
    handed: list[list[str]] = []

    def body(part: Part, shown: Candidates, turn: int, task: Task) -> BodyRun:
        handed.append([candidate.id for candidate in shown])
        made = outputs[turn]
        return made if isinstance(made, BodyRun) else BodyRun(tuple(made))

    ctx = FakeContext("What?", bodies=body)
    kept = await repeated({"v": Vote()}, **({"rounds": len(outputs)} | fields)).run(ctx.task, given, ctx)
    return [candidate.id for candidate in kept], handed, [note.what for note in ctx.notes]


@pytest.mark.parametrize(
    ("until", "last", "stops"),
    [
        ("accepted", [cand("a", accepted=False), cand("b", accepted=True)], True),
        ("accepted", [cand("a", accepted=False), cand("b")], False),
        ("executed", [ran("a"), ran("b")], True),
        ("executed", [ran("a"), ran("b", "timeout")], False),
        ("executed", [ran("a"), cand("b")], False),
        ("agree", [cand("a", answer="1"), cand("b", answer="1")], True),
        ("agree", [cand("a", answer="1"), cand("b", answer="2")], False),
        ("agree", [cand("a", answer="1"), cand("b", answer=None)], False),
        ("agree", [cand("a", answer="1")], False),
        ("agree", [ran("a", answer="1"), ran("b", answer="1")], False),
        ("unchanged", [cand("z", answer="0")], True),
        ("unchanged", [cand("z", answer="1")], False),
        ("unchanged", [cand("z", answer=None)], False),
        ({"score": 0.5}, [cand("a", score=0.4), cand("b", score=0.5)], True),
        ({"score": 0.5}, [cand("a", score=0.4), cand("b")], False),
    ],
    ids=str,
)
async def test_when_a_loop_is_over(until: object, last: list[Candidate], stops: bool) -> None:
    _, handed, notes = await alone((cand("x", answer="0"),), [last, [cand("y", answer="9")]], until=until)
    assert len(handed) == (1 if stops else 2)
    assert notes == (["until"] if stops else [])


@pytest.mark.parametrize("until", ["accepted", "executed", "agree", {"score": 0.5}], ids=str)
async def test_what_is_good_enough_already_is_not_touched(until: object) -> None:
    good = (ran("a", accepted=True, score=1.0), ran("a", accepted=True, score=1.0))
    kept, handed, _ = await alone(good, [[cand("b")]], until=until)
    assert (kept, handed) == (["a", "a"], [])


@pytest.mark.parametrize(
    ("carry", "second", "third"),
    [
        ("last", ["b", "c"], ["d"]),
        ("best", ["b"], ["b"]),
        ("best_and_worst", ["b", "a"], ["b", "a"]),
        ("all", ["a", "b", "c"], ["a", "b", "c", "d"]),
    ],
)
async def test_what_the_next_round_is_given(carry: str, second: list[str], third: list[str]) -> None:
    rounds = [[cand("b", score=0.9), cand("c", score=0.5)], [cand("d", score=0.7)], [cand("e")]]
    _, handed, _ = await alone((cand("a", score=0.1),), rounds, carry=carry)
    assert handed == [["a"], second, third]


async def test_where_nothing_tells_candidates_apart_there_is_no_worst() -> None:
    _, handed, _ = await alone((cand("a"),), [[cand("b"), cand("c")], [cand("d")]], carry="best_and_worst")
    assert handed == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("rounds", "best"),
    [
        ([[cand("b", score=0.2)], [cand("c", score=0.1)]], "a"),
        ([[cand("b", score=0.4)], [cand("c", score=0.1)]], "b"),
        ([[cand("b", score=0.1, accepted=True)], [cand("c", score=0.9, accepted=False)]], "b"),
        ([[ran("b")], [ran("c", "error", score=0.9)]], "b"),
        ([[cand("b", score=0.3)], [cand("c", score=0.3), cand("d", score=0.3)]], "c"),
        ([[cand("a", score=0.1)], [cand("b", score=0.2)]], "b"),
    ],
    ids=["its input", "an earlier round", "accepted first", "then what ran", "the latest of equals", "judged anew"],
)
async def test_the_best_of_all_rounds_is_kept(rounds: list[Any], best: str) -> None:
    kept, _, _ = await alone((cand("a", score=0.3),), rounds, keep="best")
    assert kept == [best]


async def test_all_rounds_can_be_kept_for_a_vote() -> None:
    kept, _, _ = await alone((cand("a"),), [[cand("b")], [cand("b"), cand("c")]], keep="all")
    assert kept == ["a", "b", "c"]


async def test_a_later_round_that_fails_ends_the_loop_with_what_there_is() -> None:
    failed = BodyRun(error=BodyFailedError("E401", "no luck"))
    assert await alone((cand("a"),), [[cand("b")], failed, [cand("c")]]) == (["b"], [["a"], ["b"]], ["failed_round"])
    with pytest.raises(BodyFailedError, match="no luck"):
        await alone((cand("a"),), [failed, [cand("c")]])


async def test_a_round_that_the_budget_cut_is_the_last() -> None:
    cut = BodyRun((cand("b"),), truncated=True)
    assert (await alone((cand("a"),), [cut, [cand("c")]]))[:2] == (["b"], [["a"]])


async def test_a_failure_in_a_body_has_its_own_code_and_name() -> None:
    async def reply(call: Call) -> str:
        if "fuse" in call.text:
            raise ModelCallError("down", failure="bad_request")
        return "1"

    fuse = Fuser(model="m", prompt="fuse")
    nodes: dict[str, Node] = {"draft": DRAFT, "loop": repeated({"fuse": fuse}, after=("draft",))}
    result = await asked(workflow(nodes), reply)
    assert (result.error, result.message[:18]) == ("E401", "nodes.loop[1].fuse")
    dropped = nodes | {
        "loop": nodes["loop"].model_copy(update={"on_error": "drop"}),
        "out": Vote(after=("draft", "loop")),
    }
    assert (await asked(workflow(dropped), reply)).text == "1"
    alternative = {"fuse": fuse.model_copy(update={"on_error": "drop"}), "out": Vote(after=("input", "fuse"))}
    inside = await asked(workflow({"draft": DRAFT, "loop": repeated(alternative, after=("draft",))}), reply)
    assert (inside.error, inside.text, inside.usage.calls) == (None, "1", 4)


@pytest.mark.parametrize(
    ("calls", "text", "rounds"), [(1, "answer 0", 1), (2, "answer 1", 2), (4, "answer 3", 4), (5, "answer 4", 4)]
)
async def test_a_budget_that_ends_returns_the_last_round_that_it_allowed(calls: int, text: str, rounds: int) -> None:
    nodes = {"draft": DRAFT, "loop": repeated({"fuse": FUSE}, rounds=4, after=("draft",))}
    result = await asked(workflow(nodes, budget=Budget(calls=calls)), numbered())
    assert (result.text, result.usage.calls) == (text, calls)
    assert result.truncated == (calls < 5)
    assert len(result.nodes[-1].inner) == rounds


@pytest.mark.parametrize("own", [False, True], ids=["of the task", "of the loop"])
def test_who_gets_the_rest_of_a_budget_inside_a_body_never_depends_on_timing(own: bool) -> None:
    ask = {"x": Generator(model="m", after=()), "y": Generator(model="judge", after=())}
    then = {"p": Fuser(model="m", after=("x",)), "q": Fuser(model="judge", after=("y",)), "out": Vote(after=("p", "q"))}
    limit = Budget(calls=3)
    loop = repeated(ask | then, rounds=1, budget=limit if own else None)
    configuration = Configuration("w", SIMULATED, {"loop": loop}, "loop", Budget() if own else limit, answer="number")
    logs = {log(asyncio.run(run(configuration, schedule=schedule))) for schedule in range(12)}
    assert len(logs) == 1


async def test_a_budget_of_the_loop_bounds_what_is_inside_it() -> None:
    loop = repeated({"fuse": FUSE}, rounds=4, after=("draft",), budget={"calls": 2})
    result = await asked(workflow({"draft": DRAFT, "loop": loop, "out": Vote(after=("loop",))}), numbered())
    assert (result.text, result.usage.calls, result.truncated, result.error) == ("answer 2", 3, True, None)


async def test_the_time_of_rounds_adds_up_and_a_deadline_ends_them() -> None:
    async def reply(call: Call) -> Completion:
        return Completion("1", "stop", 1, 1, latency_s=1.0)

    nodes = {
        "draft": DRAFT,
        "loop": repeated({"a": FUSE, "b": FUSE, "out": Vote(after=("a", "b"))}, rounds=3, after=("draft",)),
    }
    assert (await asked(workflow(nodes), reply)).latency_s == 4.0
    late = await asked(workflow(nodes, budget=Budget(time_s=2.5)), reply)
    assert (late.latency_s, late.truncated, late.error, late.usage.calls) == (2.5, True, None, 5)


async def test_equal_candidates_of_a_body_keep_their_parents_and_their_names() -> None:
    nodes = {"draft": DRAFT, "loop": repeated({"fuse": FUSE}, rounds=2, after=("draft",))}
    result = await asked(workflow(nodes), numbered())
    assert result.candidate is not None
    assert (result.candidate.id, result.candidate.parents) == ("loop[2].fuse#0", ("loop[1].fuse#0",))
    assert [step.id for step in Explanation(result.nodes).lineage] == ["draft#0", "loop[1].fuse#0", "loop[2].fuse#0"]
