"""A map in turn: each run sees what came of those before it, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from archloom.graphs import Configuration, ModelSpec, ScriptedModel, check_construction
from archloom.nodes import Body, Candidates, Completion, Fuser, Generator, Map, Node, Splitter, Task
from archloom.orchestrator import ModelPool, RunResult, Workflow, estimate
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import MemoryStore
from archloom.testing._replies import Call, FunctionClient

MODELS: Mapping[str, ModelSpec] = {name: ScriptedModel(model=name, retries=0) for name in ("m", "o")}
SEEN = "{{ question }}?{% for candidate in candidates %} {{ candidate.text }}{% endfor %}"


def workflow(**nodes: Node) -> Configuration:
    return Configuration("w", MODELS, nodes, list(nodes)[-1], answer="number")


def body(node: Node) -> Body:
    return Body(nodes={"solve": node}, output="solve")


async def asked(configuration: Configuration) -> RunResult:
    async def reply(call: Call) -> Completion:
        if "subtasks" in call.text:
            return Completion("1. a\n2. fail\n3. c", "stop", 1, 1, latency_s=1.0)
        if call.text.startswith("fail"):
            raise ModelCallError("down", failure="bad_request")
        return Completion(f"<{call.text}>", "stop", 1, 1, latency_s=2.0)

    client = FunctionClient(reply)
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: client) as models:
        return await Workflow(configuration, pool=models).arun(Task.ask("What"))


def texts(candidates: Candidates) -> list[str]:
    return [candidate.text for candidate in candidates]


async def test_a_run_is_given_the_first_candidates_of_those_before_it_and_failures_are_left_out() -> None:
    split = body(Splitter(model="o"))
    result = await asked(workflow(m=Map(split=split, in_turn=True, body=body(Generator(model="m", prompt=SEEN)))))
    assert texts(result.nodes[-1].candidates) == ["<a?>", "<c? <a?>>"]
    assert [(note.what, note.fields["element"]) for note in result.nodes[-1].notes] == [("failed_element", 2)]


async def test_a_candidate_comes_after_what_the_runs_before_it_gave() -> None:
    drafts = Generator(model="m", samples=2, prompt="d")
    again = Map(each="candidate", in_turn=True, body=body(Fuser(model="m", prompt=SEEN)), after=("d",))
    result = await asked(workflow(d=drafts, m=again))
    first = "<What? <d>>"
    assert texts(result.nodes[-1].candidates) == [first, f"<What? {first} <d>>"]


async def test_runs_in_turn_take_their_time_one_after_the_other() -> None:
    latencies = []
    for in_turn in (False, True):
        drafts = Generator(model="m", samples=3, prompt="d")
        each = Map(each="candidate", in_turn=in_turn, body=body(Fuser(model="m", prompt="f")), after=("d",))
        latencies.append((await asked(workflow(d=drafts, m=each))).latency_s)
    assert latencies == [4.0, 8.0]


async def test_what_runs_in_turn_see_of_each_other_is_in_the_bound_and_in_the_checks() -> None:
    async def dearest(*, in_turn: bool) -> int:
        split = body(Splitter(model="o", subtasks=4))
        node = Map(split=split, in_turn=in_turn, most=4, body=body(Generator(model="m", prompt=SEEN)))
        assert not list(check_construction({"m": node}, MODELS, "m", all_lead_to_output=True))
        configuration = workflow(m=node)
        async with ModelPool(MemoryStore()) as pool:
            return estimate(configuration, pool.peek(configuration), Task.ask("What"))["m"].most.tokens_in

    assert await dearest(in_turn=True) > 1.5 * await dearest(in_turn=False)
