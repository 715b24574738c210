"""Answers from a list, in turn: for examples and unit tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import orjson

from archloom.graphs import ScriptedModel
from archloom.nodes import Completion, FinishReason, Messages, Sampling
from archloom.orchestrator.models._client import InProcessClient, Progress
from archloom.orchestrator.models.openai._chat import reply_begun, text_of
from archloom.tools.errors import UsageError

ReplyFunction: TypeAlias = Callable[[Messages, int], str | Completion | Exception]
"""Reply to a conversation at a sample index; an exception is raised."""


class ScriptedClient(InProcessClient):
    """Replies with ``replies[seed % len(replies)]`` and keeps what it was asked.

    It has ``seeds_by_index``: the seed it is given is the index of the sample, so sample i of every request
    is reply i. A token is a word, and a reply takes no time.

    Attributes:
        calls: The conversations it was given, in the order of the calls.
    """

    seeds_by_index: ClassVar[bool] = True

    def __init__(self, spec: ScriptedModel, reply: ReplyFunction | None = None) -> None:
        """Reads the rules.

        Args:
            spec: The model of the document.
            reply: Replaces the spec's replies and rules.

        Raises:
            UsageError: there is nothing to reply, or a rule is not a regular expression.
        """
        self._spec = spec
        self._reply = reply or self._listed
        self._rules = [(_pattern(rule, spec.model), replies) for rule, replies in spec.rules.items()]
        if not all((spec.replies, *spec.rules.values())):
            raise UsageError(f"Model {spec.model!r} has an empty list of replies.", hint="Write one or more.")
        # All functions of one name count as one model.
        content = "function" if reply else _digest([spec.replies, *spec.rules.items()])
        super().__init__(f"scripted/{spec.model}@{content}")
        self.calls: list[Messages] = []

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """The reply at this index, cut at ``max_tokens`` words; of a reply that was begun the rest."""
        self.calls.append(messages)
        reply = self._reply(messages, seed)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        text, finish = _ended(reply, sampling)
        return Completion(
            text=text,
            finish=finish,
            tokens_in=self.prompt_tokens_bound(messages),
            tokens_out=len(text.split()),
            latency_s=0.0,
        )

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Exactly the words of the conversation."""
        return sum(len(text_of(message).split()) for message in messages)

    def _listed(self, messages: Messages, index: int) -> str:
        begun = reply_begun(messages)
        asked = text_of(messages[-1 if begun is None else -2]) if len(messages) > (begun is not None) else ""
        replies = next((each for rule, each in self._rules if rule.search(asked)), self._spec.replies)
        reply = replies[index % len(replies)]
        if begun is None:
            return reply
        return next((each.removeprefix(begun) for each in (reply, *replies) if each.startswith(begun)), reply)


def _ended(reply: str, sampling: Sampling) -> tuple[str, FinishReason]:
    """The reply as far as ``max_tokens`` and ``pause`` let it come."""
    words = list(re.finditer(r"\S+", reply))
    cut = len(words) > sampling.max_tokens
    text = reply[: words[sampling.max_tokens - 1].end()] if cut else reply
    if paused := [at + len(each) for each in sampling.pause if (at := text.find(each)) >= 0]:
        return text[: min(paused)], "stop"
    return text, "length" if cut else "stop" if text.strip() else "empty"


def _pattern(rule: str, model: str) -> re.Pattern[str]:
    try:
        return re.compile(rule)
    except re.error as exc:
        raise UsageError(
            f"Rule {rule!r} of model {model!r} is not a regular expression: {exc}.",
            hint="Correct it; a plain word matches itself.",
        ) from exc


def _digest(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:12]
