"""``math:PATH``: competition problems in the JSONL format of MATH, with answers in LaTeX."""

from __future__ import annotations

from pathlib import Path

from archloom.nodes import Task
from archloom.tasks._rows import Problems, read_rows
from archloom.tasks._scorers import Latex, Target
from archloom.tasks._task_set import Example, TaskSet, distinct


def load_math(rest: str, base: Path) -> TaskSet:
    """Tasks from lines with ``problem`` and ``answer``; ``solution``, ``subject`` and ``level`` are target data."""
    name, problems = f"math:{Path(rest).as_posix()}", Problems()
    examples = []
    for row in read_rows(base / rest, problems):
        question, answer = row.text("problem", problems), row.text("answer", problems)
        if question is None or answer is None:
            continue
        data = {key: row.values[key] for key in ("solution", "subject", "level") if key in row.values}
        # The answer stays as it is written: to read five hundred of them takes ten seconds, and the scorer reads it.
        examples.append(Example(Task.ask(question, id=f"math-{row.number:04}"), Target(answer, data)))
    problems.raise_any()
    return TaskSet(name, "latex", distinct(examples, name=name), Latex())
