"""Route runs the branch that it should and no other; map runs its body on each candidate and keeps their order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from archloom.graphs import Configuration, ModelSpec, ScriptedModel, check_construction
from archloom.nodes import (
    Body,
    Budget,
    Classifier,
    Completion,
    Critic,
    Fuser,
    Generator,
    Map,
    Node,
    Route,
    Splitter,
    Task,
    Unparsed,
    Verifier,
    Vote,
)
from archloom.nodes._parse_class import parse_class
from archloom.orchestrator import ModelPool, RunResult, Workflow, estimate
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import MemoryStore
from archloom.testing._replies import Call, FunctionClient

MODELS: Mapping[str, ModelSpec] = {name: ScriptedModel(model=name, retries=0) for name in ("m", "o")}
Reply = Callable[[Call], Awaitable[str | Completion]]


def body(**nodes: Node) -> Body:
    return Body(nodes=nodes, output=list(nodes)[-1])


def workflow(*, budget: Budget | None = None, **nodes: Node) -> Configuration:
    return Configuration("w", MODELS, nodes, list(nodes)[-1], budget or Budget(), answer="number")


async def asked(configuration: Configuration, reply: Reply, *, task: Task | None = None) -> RunResult:
    client = FunctionClient(reply)
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: client) as models:
        return await Workflow(configuration, pool=models).arun(task or Task.ask("What?"))


def says(**rules: str) -> Reply:
    """The reply whose name is in the prompt; ``else`` is the task as it is."""

    async def reply(call: Call) -> str:
        named = next((name for name in rules if f"<{name}>" in call.text), "other")
        return rules.get(named, "0")

    return reply


def on(name: str, **fields: Any) -> Generator:
    return Generator(model="m", prompt=f"<{name}>", **fields)


def taken(result: RunResult) -> Any:
    [note] = [note for note in result.nodes[-1].notes if note.what == "route"]
    return note.fields["branch"]


BRANCHES = {"easy": body(e=on("easy")), "hard": body(h=on("hard"))}


# Route


@pytest.mark.parametrize(
    ("rule", "question", "context", "holds"),
    [
        ({"matches": r"\d{3}"}, "What is 123 + 4?", {}, True),
        ({"matches": r"\d{3}"}, "What is 12 + 4?", {}, False),
        ({"above": 5}, "longer", {}, True),
        ({"above": 6}, "longer", {}, False),
        ({"context": "level", "equals": 5}, "?", {"level": 5}, True),
        ({"context": "level", "equals": 5}, "?", {"level": "5"}, False),
        ({"context": "level", "equals": True}, "?", {"level": 1}, False),
        ({"context": "level", "equals": 5}, "?", {}, False),
        ({"context": "level", "above": 3}, "?", {"level": 4.5}, True),
        ({"context": "level", "above": 3}, "?", {"level": "high"}, False),
        ({"context": "db", "matches": "^fin"}, "?", {"db": "finance"}, True),
    ],
    ids=str,
)
async def test_the_branch_of_the_first_rule_that_holds_is_taken(
    rule: dict[str, Any], question: str, context: dict[str, Any], holds: bool
) -> None:
    rules = [{"take": "hard", **rule}, {"take": "easy", "matches": "(?s)."}]
    route = Route.model_validate({"by": "rule", "rules": rules, "branches": BRANCHES})
    result = await asked(workflow(r=route), says(easy="1", hard="2"), task=Task.ask(question, **context))
    assert (result.text, taken(result)) == (("2", "hard") if holds else ("1", "easy"))
    assert result.usage.calls == 1


async def test_where_no_rule_holds_the_default_is_taken_or_the_node_fails() -> None:
    rules = [{"take": "easy", "matches": "never"}]
    route = Route.model_validate({"by": "rule", "rules": rules, "default": "hard", "branches": BRANCHES})
    assert (await asked(workflow(r=route), says(hard="2"))).text == "2"
    result = await asked(workflow(r=route.model_copy(update={"default": None})), says())
    assert (result.error, result.usage.calls) == ("E400", 0)
    assert "easy, hard" in result.message


CLASSIFIER = body(ask=Classifier(model="o", classes=("easy", "hard"), reasks=0))


@pytest.mark.parametrize(
    ("reply", "branch"),
    [("It looks hard.\nClass: hard", "hard"), ("easy", "easy"), ("Class: simple", "hard"), ("", "hard")],
)
async def test_a_classifier_names_the_branch_and_what_it_does_not_name_is_the_default(reply: str, branch: str) -> None:
    route = Route(by="classifier", probe=CLASSIFIER, branches=BRANCHES, default="hard")

    async def said(call: Call) -> str:
        return reply if "Class: NAME" in call.text else "1" if "easy" in call.text else "2"

    result = await asked(workflow(r=route), said)
    assert taken(result) == branch
    assert result.text == {"easy": "1", "hard": "2"}[branch]
    assert [outcome.node for outcome in result.nodes[-1].inner] == ["r[probe].ask", f"r[{branch}].{branch[0]}"]


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        ("Class: easy", "easy"),
        ("**Class:** `Hard`.", "hard"),
        ("class = easy\nClass: hard", "hard"),
        ("EASY.", "easy"),
        ("I would say easy", None),
        ("Class: easy or hard", None),
        ("Class: medium", None),
        ("", None),
    ],
)
def test_what_a_classifier_writes(reply: str, named: str | None) -> None:
    found = parse_class(reply, ("easy", "hard"))
    assert isinstance(found, Unparsed) if named is None else found == named


def drafts(*answers: str) -> Reply:
    """Samples of the bare question in turn; a prompt is answered by its last word but one."""
    left = list(answers)

    async def reply(call: Call) -> str:
        return left.pop(0) if call.text == "What?" else "9"

    return reply


@pytest.mark.parametrize(
    ("answers", "branch", "share"),
    [
        (("1", "1", "1", "1"), "easy", 1.0),
        (("1", "1", "2", "1"), "easy", 0.75),
        (("1", "1", "2", "2"), "hard", 0.5),
        (("no", "no", "no", "1"), "hard", 0.25),
        (("no", "no", "no", "no"), "hard", 0.0),
    ],
)
async def test_samples_that_agree_take_the_first_branch(answers: tuple[str, ...], branch: str, share: float) -> None:
    branches = {
        "easy": body(v=Vote()),
        "hard": body(more=on("hard", samples=4, after=()), v=Vote(after=("input", "more"))),
    }
    route = Route(by="agreement", probe=body(d=Generator(model="m", samples=4)), branches=branches)
    result = await asked(workflow(r=route), drafts(*answers))
    assert taken(result) == branch
    assert next(note for note in result.nodes[-1].notes).fields["share"] == share
    assert result.usage.calls == (4 if branch == "easy" else 8)
    [voted] = [outcome for outcome in result.nodes[-1].inner if outcome.node == f"r[{branch}].v"]
    assert [id for id in voted.given if "probe" in id] == [f"r[probe].d#{i}" for i in range(4)]


async def test_a_probe_that_fails_takes_the_default_or_fails_the_node() -> None:
    async def reply(call: Call) -> str:
        if call.text == "What?":
            raise ModelCallError("down", failure="bad_request")
        return "2"

    route = Route(by="agreement", probe=body(d=Generator(model="m")), branches=BRANCHES)
    assert (await asked(workflow(r=route), reply)).error == "E401"
    result = await asked(workflow(r=route.model_copy(update={"default": "hard"})), reply)
    assert (result.error, result.text, taken(result)) == (None, "2", "hard")


async def test_a_budget_without_room_for_the_branch_leaves_the_samples_of_the_probe() -> None:
    route = Route(by="agreement", probe=body(d=Generator(model="m", samples=2)), branches=BRANCHES)
    result = await asked(workflow(r=route, budget=Budget(calls=2)), drafts("1", "2"))
    assert (result.text, result.truncated, result.usage.calls, result.error) == ("1", True, 2, None)


async def test_the_estimate_is_of_the_probe_and_of_one_branch() -> None:
    branches = {"easy": body(e=on("easy", samples=2, after=())), "hard": body(h=on("hard", samples=5, after=()))}
    route = Route(by="agreement", probe=body(d=Generator(model="m", samples=3)), branches=branches)
    configuration = workflow(r=route)
    async with ModelPool(MemoryStore()) as pool:
        bounds = estimate(configuration, pool.peek(configuration), Task.ask("What?"))["r"]
    assert (bounds.least.calls, bounds.most.calls) == (5, 8)
    assert {row.node: row.most.calls for row in bounds.inner} == {"r[probe].d": 3, "r[easy].e": 2, "r[hard].h": 5}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"by": "rule", "rules": [{"take": "medium", "above": 1}]}, "no branch 'medium'"),
        ({"by": "rule"}, "write both or neither"),
        ({"by": "classifier"}, "run a 'probe'"),
        ({"by": "rule", "rules": [{"take": "easy", "above": 1}], "probe": CLASSIFIER}, "runs none"),
        ({"by": "classifier", "probe": CLASSIFIER, "default": "medium"}, "no branch 'medium'"),
        ({"by": "agreement", "probe": CLASSIFIER, "branches": {"a": BRANCHES["easy"]}}, "two branches"),
        ({"by": "classifier", "probe": CLASSIFIER, "branches": {"probe": BRANCHES["easy"]}}, "no branch can be"),
        ({"by": "rule", "rules": [{"take": "easy"}]}, "exactly one of equals"),
        ({"by": "rule", "rules": [{"take": "easy", "matches": "("}]}, "no regular expression"),
    ],
)
def test_a_route_that_cannot_decide_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        Route.model_validate({"branches": BRANCHES} | fields)


# Map


def parts(*texts: str) -> Reply:
    """A splitter's list, and to each question its number in capitals."""

    async def reply(call: Call) -> str:
        if "subtasks" in call.text:
            return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))
        if "fail" in call.text:
            raise ModelCallError("down", failure="bad_request")
        return f"<{call.text}> {call.seed}"

    return reply


SPLIT = body(s=Splitter(model="o"))
SOLVE = body(solve=Generator(model="m"))


async def test_the_body_is_asked_each_subtask_and_joined_in_order() -> None:
    result = await asked(workflow(m=Map(split=SPLIT, body=SOLVE)), parts("What is a?", "What is b?", "What is c?"))
    texts = [candidate.text for candidate in result.nodes[-1].candidates]
    assert [text.split(">")[0] for text in texts] == ["<What is a?", "<What is b?", "<What is c?"]
    assert [outcome.node for outcome in result.nodes[-1].inner][1:] == ["m[1].solve", "m[2].solve", "m[3].solve"]


async def test_subtasks_of_other_nodes_are_mapped_and_put_together() -> None:
    nodes = {"s": Splitter(model="o"), "m": Map(body=SOLVE, join="concat", after=("s",))}
    result = await asked(workflow(**nodes), parts("a", "b"))
    assert result.candidate is not None
    assert re.fullmatch(r"<a> \d+\n\n<b> \d+", result.text)
    assert result.candidate.parents == ("m[1].solve#0", "m[2].solve#0")
    assert result.candidate.answer is not None
    assert result.usage.calls == 3


async def test_a_candidate_can_be_what_a_run_is_given() -> None:
    inside = body(review=Critic(model="o", reasks=0), again=Fuser(model="m", after="review"))
    nodes = {"d": Generator(model="m", samples=3), "m": Map(body=inside, each="candidate", after=("d",))}
    result = await asked(workflow(**nodes), parts())
    assert [candidate.parents for candidate in result.nodes[-1].candidates] == [("d#0",), ("d#1",), ("d#2",)]


async def test_equal_questions_draw_samples_of_their_own_by_their_place() -> None:
    def drafting(*texts: str) -> Reply:
        left = list(texts)

        async def reply(call: Call) -> str:
            return left.pop(0) if call.text == "What?" else f"<{call.text}> {call.seed}"

        return reply

    nodes = {"d": Generator(model="m", samples=3), "m": Map(body=SOLVE, after=("d",))}
    one, other = [await asked(workflow(**nodes), drafting(*texts)) for texts in (("a", "b", "a"), ("a", "c", "d"))]
    texts = [[candidate.text for candidate in result.nodes[-1].candidates] for result in (one, other)]
    assert len({*texts[0], *texts[1]}) == 5
    assert texts[0][0] == texts[1][0]


async def test_an_element_that_fails_is_left_out_or_sinks_what_needs_all() -> None:
    nodes = {"m": Map(split=SPLIT, body=SOLVE)}
    result = await asked(workflow(**nodes), parts("a", "fail", "c"))
    assert [candidate.id for candidate in result.nodes[-1].candidates] == ["m[1].solve#0", "m[3].solve#0"]
    assert [(note.what, note.fields["element"]) for note in result.nodes[-1].notes] == [("failed_element", 2)]
    whole = nodes["m"].model_copy(update={"join": "concat"})
    assert (await asked(workflow(m=whole), parts("a", "fail", "c"))).error == "E401"
    assert (await asked(workflow(**nodes), parts("fail", "fail"))).error == "E401"


async def test_no_more_elements_than_allowed_are_worked_on() -> None:
    result = await asked(workflow(m=Map(split=SPLIT, body=SOLVE, most=2)), parts("a", "b", "c"))
    assert [note.what for note in result.nodes[-1].notes] == ["left_out"]
    assert result.usage.calls == 3


async def test_elements_run_side_by_side_in_recorded_time() -> None:
    async def reply(call: Call) -> Completion:
        if "subtasks" in call.text:
            return Completion("1. a\n2. bb\n3. ccc", "stop", 1, 1, latency_s=1.0)
        return Completion(call.text, "stop", 1, 1, latency_s=float(len(call.text)))

    assert (await asked(workflow(m=Map(split=SPLIT, body=SOLVE)), reply)).latency_s == 4.0
    limited = await asked(workflow(m=Map(split=SPLIT, body=SOLVE), budget=Budget(calls=3)), reply)
    assert [candidate.text for candidate in limited.nodes[-1].candidates] == ["a", "bb"]
    assert limited.truncated


async def test_a_split_that_does_not_parse_fails_the_node() -> None:
    async def reply(call: Call) -> str:
        return "I would rather not."

    result = await asked(workflow(m=Map(split=SPLIT, body=SOLVE)), reply)
    assert result.error == "E402"
    assert "m[split].s" in result.message


def test_a_map_without_candidates_is_refused() -> None:
    nodes: dict[str, Node] = {"m": Map(body=SOLVE)}
    assert [rule.code for rule in check_construction(nodes, MODELS, "m", all_lead_to_output=True)] == ["E019"]
    inside = Map(split=SPLIT, each="candidate", body=body(v=Verifier(model="m")))
    found = check_construction({"m": inside}, MODELS, "m", all_lead_to_output=True)
    assert [(rule.code, rule.path) for rule in found] == [("E020", ("nodes", "m", "body", "nodes", "v", "after"))]
