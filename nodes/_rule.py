"""Rules over a task: a closed vocabulary, no code."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from archloom.nodes._node import Spec
from archloom.nodes._task import Task


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"no regular expression: {exc}") from exc
    return pattern


class Rule(Spec):
    """What a task must be for a branch to be taken: one condition on its question, or on an entry of its context."""

    take: str
    """The branch that is taken when the condition holds."""
    context: str | None = None
    """Entry of the task's context that is looked at; left out, its question. An entry that is missing fits no rule."""
    equals: str | int | float | bool | None = None
    """It is this."""
    matches: Annotated[str, AfterValidator(_regex)] | None = None
    """This regular expression is found in it."""
    above: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """It is a number greater than this; of a question its length in characters counts."""

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if sum(value is not None for value in (self.equals, self.matches, self.above)) != 1:
            raise ValueError("write exactly one of equals, matches and above")
        return self

    def holds(self, task: Task) -> bool:
        """Whether the task fits."""
        value = task.question if self.context is None else task.context.get(self.context)
        if value is None:
            return False
        if self.matches is not None:
            return re.search(self.matches, str(value)) is not None
        if self.above is not None:
            number = len(task.question) if self.context is None else value
            return isinstance(number, int | float) and not isinstance(number, bool) and number > self.above
        return type(value) is type(self.equals) and value == self.equals
