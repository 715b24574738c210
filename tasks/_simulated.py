"""``simulated:NAME?size=100&seed=0``: tasks whose right answers a simulated model can compute."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from archloom.nodes import Spec, Task
from archloom.tasks._scorers import Numeric, Target
from archloom.tasks._spec import format_spec, parse_spec
from archloom.tasks._task_set import Example, TaskSet
from archloom.tasks.errors import TaskError, UnknownTaskSetError
from archloom.tools import UsageError, suggest

_NAME = re.compile(r"[\w.-]+")
_MARKER = re.compile(r"Simulated task (?P<key>[\w.-]+/\d+/\d+):")
_SMALLEST, _COUNT = 100, 900


class _Parameters(Spec):
    size: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Number of tasks."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed gives other tasks."""


def load_simulated(rest: str, base: Path) -> TaskSet:
    """Tasks for the simulated model: each question carries a marker, and its answer is a hash of that."""
    del base
    name, given = parse_spec(rest)
    if not _NAME.fullmatch(name):
        raise TaskError(f"a simulated task set needs a name of letters, digits, '.', '_' and '-', not {name!r}")
    for unknown in sorted(given.keys() - _Parameters.model_fields):
        raise UnknownTaskSetError(
            f"simulated:{name} has no parameter {unknown!r}.", hint=suggest(unknown, _Parameters.model_fields)
        )
    try:
        parameters = _Parameters.model_validate_strings(given)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise TaskError(f"simulated:{name}: {first['loc'][0]}={first['input']!r}: {first['msg']}") from exc
    width = max(3, len(str(parameters.size - 1)))
    examples = []
    for index in range(parameters.size):
        key = f"{name}/{parameters.seed}/{index}"
        question = f"Simulated task {key}: find its number. Give only the number as your final answer."
        task = Task.ask(question, id=f"{name}-{parameters.seed}-{index:0{width}}")
        examples.append(Example(task, Target(_number(key, 0))))
    spec = format_spec("simulated", name, parameters.model_dump())
    return TaskSet(spec, "number", tuple(examples), Numeric())


def simulated_truth(question: str) -> str | None:
    """The right answer to the simulated task that a text names, canonical; ``None`` when it names none."""
    marker = _MARKER.search(question)
    return None if marker is None else _number(marker["key"], 0)


def simulated_wrong(question: str, rank: int) -> str:
    """A wrong answer to the simulated task that a text names; each rank from 0 has its own.

    Raises:
        UsageError: the text names no simulated task.
    """
    marker = _MARKER.search(question)
    if marker is None:
        raise UsageError(f"no simulated task in {question[:80]!r}.", hint="Simulated models answer simulated: tasks.")
    return _number(marker["key"], rank + 1)


def _number(key: str, step: int) -> str:
    """The truth at step 0, then other numbers: around a circle of three digits, and after a turn beyond."""
    start = int.from_bytes(sha256(key.encode()).digest()[:8])
    turns, place = divmod(step, _COUNT)
    return str(_SMALLEST + turns * _COUNT + (start + place * _STRIDE) % _COUNT)


_STRIDE = 7
"""Coprime to the count, so that all places are visited before one comes twice."""
