"""From a server's reply to the completions that were asked for, and whose each token is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import FailureClass
from archloom.orchestrator.models.openai._chat import text_of, tokens_estimated
from archloom.orchestrator.models.openai._replies import (
    Choice,
    Json,
    MalformedReplyError,
    Usage,
    choice_of,
    choices_of,
    mean_logprob,
    shares,
    usage_of,
)

Read: TypeAlias = Callable[[Json, Json, Completion], Completion]
"""Takes more from a reply: the reply, the choice, the completion so far."""

_WHY: dict[FailureClass, str] = {
    "content_filter": "the server withheld the completion",
    "server": "the server broke the completion off",
}


class Failed(NamedTuple):
    """A choice that counts as a failure.

    Attributes:
        failure: Its class.
        what: What is wrong.
        used: Prompt and completion tokens that the server counts for it; ``None`` when it does not say.
    """

    failure: FailureClass
    what: str
    used: tuple[int, int] | None = None


def outcomes_of(
    reply: Json, asked: int, messages: Messages, sampling: Sampling, latency_s: float, read: Read
) -> list[Completion | Failed]:
    """One outcome for each completion that was asked for; too few choices are failures of the last.

    The prompt is booked on the first. A server counts the completions together: where log-probabilities do not tell
    whose each token is, they are shared by bytes, and marked as estimated.

    Args:
        reply: With status 200.
        asked: How many completions.
        messages: The conversation; its tokens are estimated when the server gives no usage.
        sampling: The parameters.
        latency_s: Seconds from sending to the last byte.
        read: Takes more from it.

    Raises:
        MalformedReplyError: it is no chat completion.
    """
    raw, usage = choices_of(reply), usage_of(reply.get("usage"))
    choices = [_choice(raw, place, asked, logprobs=sampling.logprobs is not None) for place in range(asked)]
    tokens_out, estimated = _split(choices, usage, sampling)
    tokens_in = usage.tokens_in
    if tokens_in is None:
        tokens_in, estimated = tokens_estimated(sum(len(text_of(message).encode()) for message in messages)), True
    outcomes: list[Completion | Failed] = []
    for place, choice in enumerate(choices):
        own = (tokens_in if not place else 0, tokens_out[place])
        outcome = _outcome(choice, own, usage, sampling, latency_s, estimated)
        if isinstance(outcome, Completion):
            outcome = _more(read, reply, raw[place], outcome)
        if isinstance(outcome, Failed) and usage.told:
            outcome = outcome._replace(used=own)
        outcomes.append(outcome)
    return outcomes


def _choice(raw: list[object], place: int, asked: int, *, logprobs: bool) -> Choice | Failed:
    if place >= len(raw):
        what = f"the reply holds {len(raw)} of {asked} completions; if the server never gives more, set n to 1"
        return Failed("malformed", what)
    if raw[place] is None:
        return Failed("malformed", "the stream ended before the reply did")
    try:
        return choice_of(raw[place], logprobs=logprobs)
    except MalformedReplyError as exc:
        return Failed("malformed", f"the reply is not a chat completion: {exc}")


def _outcome(
    choice: Choice | Failed, own: tuple[int, int], usage: Usage, sampling: Sampling, latency_s: float, estimated: bool
) -> Completion | Failed:
    if isinstance(choice, Failed):
        return choice
    if choice.failure is not None:
        return Failed(choice.failure, _WHY[choice.failure])
    if not usage.tokens_out and choice.wordless:
        return Failed("empty", "the reply is empty, and used no tokens")
    # Some servers do not say why they ended.
    finish = choice.finish or ("length" if own[1] >= sampling.max_tokens else "stop")
    if finish == "stop" and not choice.text:
        finish = "empty"
    return Completion(
        choice.text,
        finish,
        own[0],
        own[1],
        latency_s,
        mean_logprob(choice.tokens),
        estimated,
        choice.reasoning,
        choice.tool_calls,
        choice.tokens,
    )


def _more(read: Read, reply: Json, choice: object, completion: Completion) -> Completion | Failed:
    assert isinstance(choice, dict)  # it was read
    try:
        return read(reply, choice, completion)
    except MalformedReplyError as exc:
        return Failed("malformed", f"the reply is not a chat completion: {exc}")


class _Split(NamedTuple):
    tokens_out: list[int]
    estimated: bool


def _split(choices: list[Choice | Failed], usage: Usage, sampling: Sampling) -> _Split:
    """Completion tokens of each choice."""
    total = usage.tokens_out
    if total is not None and len(choices) == 1:
        return _Split([total], False)
    read = [choice if isinstance(choice, Choice) else None for choice in choices]
    if total is None:
        counts = [len(choice.tokens) or tokens_estimated(choice.size) if choice else 0 for choice in read]
        return _Split([min(count, sampling.max_tokens) for count in counts], True)
    counts = [len(choice.tokens) if choice else 0 for choice in read]
    if sum(counts) == total:
        return _Split(counts, False)
    return _Split(shares(total, [choice.size if choice else 0 for choice in read]), True)
