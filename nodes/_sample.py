"""A request to a model, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from archloom.nodes._task import Message, Messages

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "empty", "cancelled"]
"""Why a completion ended: by itself, cut by ``max_tokens``, to call tools, by itself without a word, or stopped
because others were first (see :meth:`~archloom.nodes.Context.race`)."""


Capability: TypeAlias = Literal[
    "logprobs", "prompt_logprobs", "json_schema", "regex", "choice", "tools", "continuation", "pause"
]
"""What only some providers can do: a node that needs it cannot use the others."""


class OutputFormat(NamedTuple):
    """What a reply must look like; a server that knows how lets the model write nothing else.

    Attributes:
        kind: What ``value`` is.
        value: As JSON text: a schema, a regular expression, or a list of strings to choose from.
    """

    kind: Literal["json_schema", "regex", "choice"]
    value: str


@dataclass(frozen=True)
class Sampling:
    """Parameters of a request that change what a model may answer; part of a sample's address.

    Attributes:
        temperature: Sampling temperature.
        max_tokens: The most tokens it may write.
        top_p: Nucleus sampling: the share of probability mass that is kept.
        stop: Strings that end a completion; the text ends before them.
        pause: Strings that end it, too, and stay at the end of the text, so that one can tell. Not with ``stop``.
        logprobs: ``None``, or how many likely alternatives come with each token's log-probability.
        prompt_logprobs: The log-probability of each prompt token is wanted, too.
        output: What the reply must look like.
        tools: Functions that the model may call, as an OpenAI-compatible server takes them.
        tool_choice: Which of them it should call; ``None`` leaves that to the model.
    """

    temperature: float = 0.7
    max_tokens: int = 512
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    prompt_logprobs: bool = False
    output: OutputFormat | None = None
    tools: tuple[Message, ...] = ()
    tool_choice: str | Message | None = None
    pause: tuple[str, ...] = ()


class TokenLogprob(NamedTuple):
    """One token and its log-probability (natural).

    Attributes:
        text: The token as text; the parts of a character that spans tokens are as the server writes them.
        logprob: Its log-probability; 0 for the first token of a prompt, which nothing predicts.
        top: The likeliest tokens at its place with theirs, likeliest first.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Completion:
    """What a model gave for one sample.

    Attributes:
        text: What the model wrote, without reasoning that the server keeps apart.
        finish: Why it ended.
        tokens_in: Prompt tokens as the server counted them.
        tokens_out: Completion tokens, reasoning included.
        latency_s: Seconds from sending to the last byte, as recorded when it was first drawn.
        logprob: Mean token log-probability, where asked for and given.
        estimated: The server gave no usage; tokens were counted here.
        reasoning: What the server says the model thought before it wrote; ``None`` when it says nothing.
        tool_calls: Calls that the model wants made, as the server gave them.
        tokens: Log-probabilities of the completion, where asked for and given.
        prompt_tokens: Those of the prompt.
    """

    text: str
    finish: FinishReason
    tokens_in: int
    tokens_out: int
    latency_s: float
    logprob: float | None = None
    estimated: bool = False
    reasoning: str | None = None
    tool_calls: tuple[Message, ...] = ()
    tokens: tuple[TokenLogprob, ...] = field(default=(), repr=False)
    prompt_tokens: tuple[TokenLogprob, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Sample(Completion):
    """One completion of one request, at its place in a pool.

    Attributes:
        index: Position in the pool of its request and stream.
        model: Identity of the model that gave it, where that is not the one that was asked (a fallback).
    """

    index: int = 0
    model: str | None = None


@dataclass(frozen=True)
class FailedSample:
    """A request that gave nothing, after all its retries.

    Attributes:
        error: Class of the failure (``timeout``, ``rate_limit``, ``server``, ``connection``, ``budget``, ...).
        message: What the server or the transport said.
        index: Position in the pool where the sample would be.
    """

    error: str
    message: str
    index: int = 0


@dataclass(frozen=True)
class Request:
    """A question to a model: samples ``start .. start+n-1`` of one conversation.

    A conversation whose last message is the assistant's is continued where it ends, by providers with the capability
    ``continuation``: that message is the beginning of the reply, and what comes back is the rest of it.
    """

    messages: Messages
    n: int = 1
    start: int = 0


Replies: TypeAlias = list[Sample | FailedSample]
"""What one request gave, in index order; shorter than asked for when the budget ended."""


def succeeded(results: Sequence[Sample | FailedSample]) -> list[Sample]:
    """The samples that came back."""
    return [result for result in results if isinstance(result, Sample)]
