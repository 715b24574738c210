"""A task: one input to a workflow, and the chat messages it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Message: TypeAlias = Mapping[str, object]
"""One chat message as an OpenAI-compatible server takes it; archloom never rewrites one it was given."""

Messages: TypeAlias = tuple[Message, ...]


@dataclass(frozen=True)
class Task:
    """What a workflow is asked.

    It never holds the reference answer: that is the target, which only a scorer sees.

    Attributes:
        id: Name of the task, unique in its task set.
        messages: The conversation so far, ending with what is asked.
        context: What the question is about (schema, repository, choices), as JSON values.
        tools: Functions that the asker offers; generators pass them on, and their calls come back as they are.
    """

    id: str
    messages: Messages
    context: Mapping[str, object] = field(default_factory=dict)
    tools: tuple[Message, ...] = ()

    @classmethod
    def ask(cls, question: str, *, id: str = "task", **context: object) -> Task:
        """A task of one user message."""
        return cls(id=id, messages=({"role": "user", "content": question},), context=context)

    @property
    def question(self) -> str:
        """Text of the last user message; parts that are not text (images) are left out."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text(message.get("content"))
        return ""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and "text" in part)
    return ""
