"""The chat-completions format as it is sent."""

from __future__ import annotations

from types import MappingProxyType

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.nodes import Message, Messages, OutputFormat, Sampling
from archloom.orchestrator.models.openai._chat import (
    MEDIUM_TOKENS,
    chat_body,
    json_schema_format,
    prompt_tokens_bound,
    text_in,
    tokens_estimated,
)

ASK: Messages = ({"role": "user", "content": "What is 2+3?"},)
PLAIN = {"model": "m", "messages": ASK, "temperature": 0.7, "max_tokens": 512, "seed": 7}
TOOL: Message = MappingProxyType({"type": "function", "function": {"name": "add"}})


@pytest.mark.parametrize(
    ("sampling", "more"),
    [
        pytest.param(Sampling(), {}, id="what has its default is left out"),
        pytest.param(Sampling(top_p=0.9), {"top_p": 0.9}, id="top_p"),
        pytest.param(Sampling(stop=("a", "b")), {"stop": ("a", "b")}, id="stop"),
        pytest.param(Sampling(logprobs=0), {"logprobs": True, "top_logprobs": 0}, id="logprobs without alternatives"),
        pytest.param(Sampling(logprobs=5), {"logprobs": True, "top_logprobs": 5}, id="logprobs"),
        pytest.param(Sampling(tools=(TOOL,)), {"tools": (TOOL,)}, id="tools"),
        pytest.param(Sampling(tools=(TOOL,), tool_choice="none"), {"tools": (TOOL,), "tool_choice": "none"}, id="choice"),
        pytest.param(Sampling(tool_choice="none"), {}, id="a choice of no tools"),
    ],
)  # fmt: skip
def test_a_body_says_what_was_asked_and_no_more(sampling: Sampling, more: dict[str, object]) -> None:
    body = chat_body("m", ASK, sampling, seed=7)
    assert body == {**PLAIN, **more}
    orjson.dumps(body, default=dict)


@pytest.mark.parametrize(("seed", "sent"), [(0, 0), (7, 7), ((1 << 31) - 1, (1 << 31) - 1), ((5 << 31) + 7, 7)])
def test_a_seed_has_31_bits(seed: int, sent: int) -> None:
    assert chat_body("m", ASK, Sampling(), seed=seed)["seed"] == sent


def test_the_limit_has_the_name_it_is_given() -> None:
    body = chat_body("m", ASK, Sampling(max_tokens=9), seed=7, limit="max_completion_tokens")
    assert (body["max_completion_tokens"], "max_tokens" in body) == (9, False)


def test_a_schema_is_sent_as_it_was_written() -> None:
    schema = '{"b": 1, "a": {"$ref": "#/x"}}'
    sent = json_schema_format(OutputFormat("json_schema", schema))
    assert orjson.dumps(sent["response_format"]["json_schema"]["schema"]) == orjson.dumps(orjson.loads(schema))  # type: ignore[index]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        (None, ""),
        (5, ""),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}, "c"], "ab"),
        ([{"type": "thinking", "thinking": "hm"}], ""),
    ],
    ids=["text", "nothing", "number", "parts", "reasoning"],
)
def test_text_is_what_is_text(content: object, text: str) -> None:
    assert text_in(content) == text


@given(st.text(max_size=200), st.integers(0, 3))
def test_the_bound_is_no_less_than_the_bytes_and_grows_with_each_picture(text: str, pictures: int) -> None:
    parts = [{"type": "text", "text": text}, *[{"type": "image_url", "image_url": {"url": "data:,x"}}] * pictures]
    bound = prompt_tokens_bound(({"role": "user", "content": parts},))
    assert bound >= len(text.encode()) + pictures * MEDIUM_TOKENS
    assert bound == prompt_tokens_bound(({"role": "user", "content": parts[:1]},)) + pictures * MEDIUM_TOKENS


def test_the_bound_counts_calls_and_their_results() -> None:
    calls = [{"id": "1", "function": {"name": "f", "arguments": "x" * 500}}]
    assert prompt_tokens_bound(({"role": "assistant", "content": None, "tool_calls": calls},)) > 500


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2)])
def test_an_estimate_is_a_token_for_four_bytes_begun(size: int, tokens: int) -> None:
    assert tokens_estimated(size) == tokens
