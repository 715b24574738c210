"""Task sets: tasks with the targets that only a scorer sees."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from archloom.nodes import Task
from archloom.tasks._scorers import Scorer, Target
from archloom.tasks.errors import TooFewTasksError, UnknownTaskSetError
from archloom.tools import AnswerFormat, suggest

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A task and what it is scored against."""

    task: Task
    target: Target


class Split(NamedTuple):
    """Two task sets without a common task or question: one to choose with, one to report on."""

    search: TaskSet
    report: TaskSet


@dataclass(frozen=True)
class TaskSet:
    """Tasks that are evaluated together.

    Attributes:
        name: The spec it was loaded from, normalised: loading it again gives the same set.
        answer: What a final answer is, and so how one is read out of a text.
        examples: The tasks with their targets.
        scorer: Gives each answer its score.
    """

    name: str
    answer: AnswerFormat
    examples: tuple[Example, ...]
    scorer: Scorer

    def __len__(self) -> int:
        """How many tasks it has."""
        return len(self.examples)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides a score: ids, messages, context and targets."""
        contents = [
            [each.task.id, each.task.messages, each.task.context, each.target.answer, each.target.data]
            for each in self.examples
        ]
        return sha256(json.dumps(contents, sort_keys=True, default=_plain).encode()).hexdigest()

    def split(self, search: int, report: int, *, seed: int) -> Split:
        """Two disjoint parts of these sizes, drawn by ``seed`` and the tasks' ids alone, in the set's order.

        A question that occurs under several ids (with different contexts) is never in both.

        Raises:
            TooFewTasksError: there are not enough tasks.
        """
        drawn = sorted(self.examples, key=lambda each: sha256(f"{seed}:{each.task.id}".encode()).digest())
        first = drawn[:search]
        seen = {each.task.question for each in first}
        second = [each for each in drawn[search:] if each.task.question not in seen][:report]
        if len(first) < search or len(second) < report:
            raise TooFewTasksError(
                f"{self.name} has {len(self)} tasks, which cannot be split into {search} and {report} "
                "without a common question.",
                hint="Ask for smaller parts, or load more tasks.",
            )
        return Split(self._with(first), self._with(second))

    def take(self, n: int) -> TaskSet:
        """The first ``n`` tasks, or all when there are fewer."""
        return replace(self, examples=self.examples[:n])

    def select(self, ids: Iterable[str]) -> TaskSet:
        """The tasks with these ids, in the set's order.

        Raises:
            UnknownTaskSetError: it has no task with one of them.
        """
        wanted = frozenset(ids)
        known = {each.task.id for each in self.examples}
        for missing in sorted(wanted - known):
            raise UnknownTaskSetError(f"{self.name} has no task {missing!r}.", hint=suggest(missing, known))
        return self._with([each for each in self.examples if each.task.id in wanted])

    def _with(self, examples: Iterable[Example]) -> TaskSet:
        chosen = {each.task.id for each in examples}
        return replace(self, examples=tuple(each for each in self.examples if each.task.id in chosen))


def distinct(examples: Iterable[Example], *, name: str) -> tuple[Example, ...]:
    """The examples without those that ask an earlier one's question in the same context: each counts once."""
    first: dict[str, Example] = {}
    dropped = 0
    for example in examples:
        dropped += first.setdefault(_question_key(example.task), example) is not example
    if dropped:
        _log.info("%s: %d tasks ask the question of an earlier one and are dropped", name, dropped)
    return tuple(first.values())


def _question_key(task: Task) -> str:
    return json.dumps([task.messages, task.context], sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
