"""The scripted client."""

from __future__ import annotations

import pytest

from archloom.graphs import ScriptedModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Client
from archloom.orchestrator.models._scripted import ScriptedClient
from archloom.testing._clients import ClientConformance
from archloom.tools.errors import UsageError


def ask(text: str) -> Messages:
    return ({"role": "system", "content": "be brief"}, {"role": "user", "content": text})


class TestConformance(ClientConformance):
    @pytest.fixture
    def client(self) -> Client:
        return ScriptedClient(ScriptedModel(replies=("once upon a time a fox", "a river", "the end")))


@pytest.mark.parametrize(("index", "text"), [(0, "one"), (1, "two"), (2, "one"), (7, "two")])
async def test_replies_come_in_turn(index: int, text: str) -> None:
    client = ScriptedClient(ScriptedModel(replies=("one", "two")))
    assert (await client.complete(ask("?"), Sampling(), seed=index)).text == text


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What is 2+3?", "5"),
        ("Judge it. Verdict: correct", "Verdict: correct"),
        ("brief", "ok"),
        ([{"type": "text", "text": "What is 2+3?"}], "5"),
    ],
    ids=["first rule", "second rule", "no rule for the last message", "text in parts"],
)
async def test_the_first_rule_that_matches_the_last_message_counts(question: str, text: str) -> None:
    rules = {r"2\+3": ("5",), "Verdict|brief please": ("Verdict: correct",), r"\d": ("number",)}
    client = ScriptedClient(ScriptedModel(replies=("ok",), rules=rules))
    assert (await client.complete(ask(question), Sampling(), seed=0)).text == text


async def test_a_long_reply_is_cut_and_says_so() -> None:
    client = ScriptedClient(ScriptedModel(replies=("one two  three",)))
    cut = await client.complete(ask("a b"), Sampling(max_tokens=2), seed=0)
    whole = await client.complete(ask("a b"), Sampling(max_tokens=3), seed=0)
    assert (cut.text, cut.finish, cut.tokens_out) == ("one two", "length", 2)
    assert (whole.text, whole.finish, whole.tokens_out) == ("one two  three", "stop", 3)
    assert (whole.tokens_in, whole.latency_s) == (4, 0)


@pytest.mark.parametrize(
    ("index", "begun", "rest", "finish"),
    [
        (0, "first 5,", " then 4, so 9", "stop"),
        (1, "first 5,", " then 4, so 9", "stop"),
        (1, "no", " idea", "stop"),
        (1, "well,", "no idea", "stop"),
        (1, "no idea", "", "empty"),
    ],
    ids=["its own", "of another reply", "its own again", "of none", "nothing is left"],
)
async def test_a_reply_that_was_begun_goes_on_as_the_script_does(
    index: int, begun: str, rest: str, finish: str
) -> None:
    client = ScriptedClient(ScriptedModel(rules={r"5 \+ 4": ("first 5, then 4, so 9", "no idea")}))
    reply = await client.complete((*ask("5 + 4?"), {"role": "assistant", "content": begun}), Sampling(), seed=index)
    assert (reply.text, reply.finish) == (rest, finish)


@pytest.mark.parametrize(
    ("pause", "text", "finish"),
    [(("Wait", "so"), "It is\n9, so", "stop"), (("Hm",), "It is\n9, so it is. Wait", "length")],
)
async def test_a_reply_pauses_behind_the_first_string(pause: tuple[str, ...], text: str, finish: str) -> None:
    client = ScriptedClient(ScriptedModel(replies=("It is\n9, so it is. Wait a bit.",)))
    reply = await client.complete(ask("?"), Sampling(pause=pause, max_tokens=7), seed=0)
    assert (reply.text, reply.finish) == (text, finish)


async def test_a_function_may_reply_complete_or_fail() -> None:
    whole = Completion("given", "stop", 1, 2, 3.0)
    error = ModelCallError("down", failure="server")

    def reply(messages: Messages, index: int) -> str | Completion | Exception:
        return ["text", whole, error][index]

    client = ScriptedClient(ScriptedModel(), reply)
    assert (await client.complete(ask("?"), Sampling(), seed=0)).text == "text"
    assert await client.complete(ask("?"), Sampling(), seed=1) is whole
    with pytest.raises(ModelCallError) as caught:
        await client.complete(ask("?"), Sampling(), seed=2)
    assert caught.value is error
    assert client.calls == [ask("?")] * 3


def test_another_script_is_another_model() -> None:
    scripts = [
        ScriptedModel(replies=("a",)),
        ScriptedModel(replies=("b",)),
        ScriptedModel(replies=("a",), rules={"x": ("y",)}),
        ScriptedModel(replies=("a",), model="other"),
    ]
    assert len({ScriptedClient(script).identity for script in scripts}) == len(scripts)
    same = ScriptedModel(replies=("a",), max_concurrency=1)
    assert ScriptedClient(same).identity == ScriptedClient(scripts[0]).identity


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"replies": ()}, "empty list"),
        ({"rules": {"a": ()}}, "empty list"),
        ({"rules": {"(": ("a",)}}, r"'\('"),
    ],
    ids=["no replies", "no replies of a rule", "bad rule"],
)
def test_a_script_that_cannot_work_says_so(fields: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ScriptedClient(ScriptedModel.model_validate(fields))
