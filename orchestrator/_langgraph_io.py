"""What goes into and comes out of a workflow inside another LangGraph application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archloom.nodes import Task
from archloom.orchestrator._outcome import RunResult
from archloom.tools.errors import UsageError


def read_task(given: Any) -> Task:
    """A task from a question, from ``{"messages": [...]}``, or as it is.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, str):
        return Task.ask(given)
    if isinstance(given, Mapping) and given.get("messages"):
        from langchain_core.messages import convert_to_openai_messages

        messages = convert_to_openai_messages(list(given["messages"]))
        context = given.get("context") or {}
        return Task(id=str(given.get("id", "task")), messages=tuple(messages), context=context)
    raise UsageError("a workflow takes a question or {'messages': [...]}.")


def write_result(result: RunResult) -> dict[str, Any]:
    """The state update that a workflow makes."""
    return {
        "messages": [{"role": "assistant", "content": result.text}],
        "answer": result.answer,
        "tokens": result.usage.tokens,
        "cost_usd": result.usage.cost_usd,
        "truncated": result.truncated,
        "error": result.error,
    }
