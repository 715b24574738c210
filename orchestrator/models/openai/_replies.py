"""What a server replied, read strictly, and choice by choice: one that is malformed leaves the others alone.

Read by hand, because each choice fails for itself, the reply stays as it came for derived clients, and
log-probabilities cost nothing where nobody asked for them. A pydantic model is as fast, but does none of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, get_args

import orjson

from archloom.nodes import FinishReason, Message, TokenLogprob
from archloom.orchestrator.errors import FailureClass
from archloom.orchestrator.models.openai._chat import text_in

Json: TypeAlias = Mapping[str, object]
"""An object of a reply."""

_FINISH: Mapping[object, FinishReason | FailureClass] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "abort": "server",
    "error": "server",
    "insufficient_system_resource": "server",
}
"""Servers' words for why a completion ended, and what those mean that are failures."""
_FINISHED = frozenset(get_args(FinishReason))


class MalformedReplyError(ValueError):
    """A reply is not what the format says. Its message names the place and quotes nothing."""


class Usage(NamedTuple):
    """Tokens as the server counted them; ``None`` where it did not."""

    tokens_in: int | None = None
    tokens_out: int | None = None

    @property
    def told(self) -> tuple[int, int] | None:
        """Both, if the server said anything."""
        return None if self == _UNTOLD else (self.tokens_in or 0, self.tokens_out or 0)


_UNTOLD = Usage()


class Choice(NamedTuple):
    """One completion of a reply.

    Attributes:
        text: What the model wrote; a refusal, where that is all.
        finish: Why it ended; ``None`` when the server does not say.
        failure: Why it counts as failed, if it does.
        reasoning: What it thought before, where the server keeps that apart.
        tool_calls: Untouched.
        tokens: With their log-probabilities.
    """

    text: str
    finish: FinishReason | None
    failure: FailureClass | None
    reasoning: str | None
    tool_calls: tuple[Message, ...]
    tokens: tuple[TokenLogprob, ...]

    @property
    def wordless(self) -> bool:
        """It holds nothing at all."""
        return not (self.text or self.reasoning or self.tool_calls)

    @property
    def size(self) -> int:
        """Bytes of all that it holds."""
        calls = len(orjson.dumps(self.tool_calls)) if self.tool_calls else 0
        return len(self.text.encode()) + len((self.reasoning or "").encode()) + calls


def choices_of(reply: Json) -> list[object]:
    """The choices of a reply, not read yet.

    Raises:
        MalformedReplyError: there are none.
    """
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedReplyError("choices")
    return choices


def usage_of(told: object) -> Usage:
    """The ``usage`` of a reply.

    Raises:
        MalformedReplyError: it is none.
    """
    if told is None:
        return _UNTOLD
    if not isinstance(told, dict):
        raise MalformedReplyError("usage")
    return Usage(_count(told, "prompt_tokens"), _count(told, "completion_tokens"))


def used_in(reply: object) -> tuple[int, int] | None:
    """What a reply that is no completion says that it used."""
    try:
        return usage_of(reply.get("usage")).told if isinstance(reply, dict) else None
    except MalformedReplyError:
        return None


def choice_of(choice: object, *, logprobs: bool) -> Choice:
    """One of the choices.

    Args:
        choice: An element of ``choices``.
        logprobs: Whether log-probabilities were asked for.

    Raises:
        MalformedReplyError: it is none.
    """
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise MalformedReplyError("message")
    content, calls = message.get("content"), message.get("tool_calls")
    if content is None:
        content = message.get("refusal") or ""
    if not isinstance(content, str | list):
        raise MalformedReplyError("content")
    if calls and not (isinstance(calls, list) and all(isinstance(call, dict) for call in calls)):
        raise MalformedReplyError("tool_calls")
    finish, failure = _ended(choice)
    if calls and finish != "length":
        finish = "tool_calls"  # OpenAI says "stop" where tool_choice forced the call
    return Choice(
        content if isinstance(content, str) else text_in(content),
        finish,
        failure,
        reasoning_in(message),
        tuple(calls) if calls else (),
        tuple(_tokens(choice.get("logprobs"))) if logprobs else (),
    )


def reasoning_in(message: Json) -> str | None:
    """What a message or a piece of one holds in the fields for reasoning."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    return reasoning if reasoning and isinstance(reasoning, str) else None


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of a total in proportion to weights, by largest remainder; they sum to the total."""
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def mean_logprob(tokens: Sequence[TokenLogprob]) -> float | None:
    """The mean, or ``None`` of no tokens."""
    return math.fsum(token.logprob for token in tokens) / len(tokens) if tokens else None


def _ended(choice: Json) -> tuple[FinishReason | None, FailureClass | None]:
    word = choice.get("finish_reason")
    if word is None:
        return None, "server" if choice.get("error") else None
    meaning = _FINISH.get(word) if isinstance(word, str) else None
    if meaning is None:
        raise MalformedReplyError("finish_reason")
    # mypy does not narrow a union of literals by membership.
    return (meaning, None) if meaning in _FINISHED else (None, meaning)  # type: ignore[return-value]


def _count(usage: Json, name: str) -> int | None:
    count = usage.get(name)
    if count is not None and (type(count) is not int or count < 0):
        raise MalformedReplyError(name)
    return count


def _tokens(logprobs: object) -> Iterator[TokenLogprob]:
    for entry in _entries(logprobs, "content"):
        text, logprob = _token(entry)
        # vLLM puts the token that was drawn first.
        top = sorted(map(_token, _entries(entry, "top_logprobs")), key=lambda pair: -pair[1])
        yield TokenLogprob(text, logprob, tuple(top))


def _entries(holder: object, name: str) -> list[object]:
    entries = holder.get(name) if isinstance(holder, dict) else None
    if entries is not None and not isinstance(entries, list):
        raise MalformedReplyError("logprobs")
    return entries or []


def _token(entry: object) -> tuple[str, float]:
    text, logprob = (entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else (None, None)
    if not isinstance(text, str) or not isinstance(logprob, float | int):
        raise MalformedReplyError("logprobs")
    return text, float(logprob)
