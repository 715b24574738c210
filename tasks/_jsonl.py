"""A user's own tasks: a file of JSON lines, and how its fields are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from archloom.nodes import Spec, Task
from archloom.tasks._rows import Problems, Row, read_rows
from archloom.tasks._scorers import Numeric, Regex, Scorer, Target, scorer
from archloom.tasks._task_set import Example, TaskSet, distinct
from archloom.tools import AnswerFormat, canonical_answer

_LETTERS = "ABCDEFGHIJ"
_DEFAULT_SCORER = {"number": "numeric", "choice": "choice", "latex": "latex", "text": "exact", "sql": "exact"}


class Fields(Spec):
    """Names of the fields of a line."""

    id: str = "id"
    """Unique name of the task; lines are numbered where the default field is absent."""
    question: str = "question"
    """What is asked."""
    answer: str = "answer"
    """The reference answer."""
    choices: str | None = None
    """A list of texts, or letters with texts; they are added to the question, a lettered line each."""
    context: tuple[str, ...] = ()
    """Fields that nodes may use besides the question."""


class Reading(Spec):
    """How a file of tasks is read."""

    fields: Fields = Fields()
    """Names of its fields."""
    answer: AnswerFormat | None = None
    """What a final answer is; by default what all reference answers are."""
    scorer: Literal["exact", "numeric", "choice", "regex"] | None = None
    """How answers are scored; by default as fits ``answer``."""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Largest absolute difference that the numeric scorer still takes for equal."""


def load_jsonl(path: Path, reading: Reading, *, name: str) -> TaskSet:
    """The tasks of a file.

    Raises:
        TaskFileError: with every line that is not a task.
    """
    problems = Problems()
    drafts = [draft for row in read_rows(path, problems) if (draft := _draft(row, path, reading.fields, problems))]
    problems.raise_any()
    answer = reading.answer or _common_format([gold for _, _, gold in drafts], reading.fields)
    how = _scorer(reading, answer)
    examples, places = [], dict[str, str]()
    for row, task, gold in drafts:
        if task.id in places:
            problems.add(row.place, f"the id {task.id!r} is that of {places[task.id]} too")
        places.setdefault(task.id, row.place)
        target = _target(gold, answer, how, row, problems)
        examples.append(Example(task, Target(target)))
    problems.raise_any()
    return TaskSet(name, answer, distinct(examples, name=name), how)


def _draft(row: Row, path: Path, fields: Fields, problems: Problems) -> tuple[Row, Task, str] | None:
    before = len(problems.lines)
    question, gold = row.text(fields.question, problems), row.text(fields.answer, problems)
    named = "id" in fields.model_fields_set or fields.id in row.values
    id = row.text(fields.id, problems) if named else f"{path.stem}-{row.number:04}"
    context = {}
    for field in fields.context:
        if field not in row.values:
            problems.add(row.place, f"no field {field!r} for the context")
        elif field == fields.answer:
            problems.add(row.place, f"the context must not hold {field!r}, the reference answer")
        else:
            context[field] = row.values[field]
    if fields.choices is not None:
        lettered = _lettered(row, fields.choices, problems)
        question = "\n".join([question or "", *(f"{letter}. {text}" for letter, text in lettered.items())])
        matching = [letter for letter, text in lettered.items() if text == gold]
        gold = matching[0] if len(matching) == 1 else gold
        if gold is not None and canonical_answer(gold, "choice") not in lettered:
            problems.add(row.place, f"the answer {gold!r} is neither a letter nor the text of one of the choices")
    if len(problems.lines) > before or question is None or gold is None or id is None:
        return None
    return row, Task.ask(question, id=id, **context), gold


def _lettered(row: Row, field: str, problems: Problems) -> dict[str, str]:
    choices = row.values.get(field)
    if isinstance(choices, Mapping):
        return {str(letter): str(text) for letter, text in choices.items()}
    if isinstance(choices, Sequence) and not isinstance(choices, str) and 0 < len(choices) <= len(_LETTERS):
        return dict(zip(_LETTERS, map(str, choices), strict=False))
    problems.add(row.place, f"field {field!r} must be a list of 1 to {len(_LETTERS)} choices, or letters with texts")
    return {}


def _common_format(golds: Sequence[str], fields: Fields) -> AnswerFormat:
    if fields.choices is not None or all(re.fullmatch(rf"\(?[{_LETTERS}]\)?", gold) for gold in golds):
        return "choice"
    return "number" if all(canonical_answer(gold, "number") for gold in golds) else "text"


def _scorer(reading: Reading, answer: AnswerFormat) -> Scorer:
    how = scorer(reading.scorer or _DEFAULT_SCORER[answer])
    return Numeric(Fraction(str(reading.tolerance))) if reading.tolerance is not None else how


def _target(gold: str, answer: AnswerFormat, how: Scorer, row: Row, problems: Problems) -> str | None:
    if isinstance(how, Regex):
        try:
            re.compile(gold)
        except re.error as exc:
            problems.add(row.place, f"the answer {gold!r} is no regular expression: {exc}")
        return gold
    canonical = canonical_answer(gold, answer)
    if canonical is None:
        problems.add(row.place, f"the answer {gold!r} is no {answer}")
    return canonical
