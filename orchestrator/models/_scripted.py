"""Answers from a list, in turn: for examples and unit tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import orjson

from archloom.graphs import ScriptedModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.models._client import InProcessClient, Progress
from archloom.orchestrator.models.openai._chat import text_of
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
        """The reply at this index, cut at ``max_tokens`` words."""
        self.calls.append(messages)
        reply = self._reply(messages, seed)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        words = reply.split()
        cut = len(words) > sampling.max_tokens
        text = " ".join(words[: sampling.max_tokens]) if cut else reply
        return Completion(
            text=text,
            finish="length" if cut else "stop",
            tokens_in=self.prompt_tokens_bound(messages),
            tokens_out=len(text.split()),
            latency_s=0.0,
        )

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Exactly the words of the conversation."""
        return sum(len(text_of(message).split()) for message in messages)

    def _listed(self, messages: Messages, index: int) -> str:
        asked = text_of(messages[-1]) if messages else ""
        replies = next((each for rule, each in self._rules if rule.search(asked)), self._spec.replies)
        return replies[index % len(replies)]


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
