"""``gsm8k:PATH``: grade-school problems in the official JSONL format, with answers after ``####``."""

from __future__ import annotations

import re
from pathlib import Path

from archloom.nodes import Task
from archloom.tasks._rows import Problems, read_rows
from archloom.tasks._scorers import Numeric, Target
from archloom.tasks._task_set import Example, TaskSet, distinct
from archloom.tools import canonical_answer

_FINAL = re.compile(r"####(?P<number>[^\n]*)\s*\Z")
_CALCULATOR = re.compile(r"<<[^<>]*>>")


def load_gsm8k(rest: str, base: Path) -> TaskSet:
    """Tasks with numeric answers; the written solution, without calculator marks, is in the target's data."""
    name, problems = f"gsm8k:{Path(rest).as_posix()}", Problems()
    examples = []
    for row in read_rows(base / rest, problems):
        question, solution = row.text("question", problems), row.text("answer", problems)
        if question is None or solution is None:
            continue
        final = _FINAL.search(solution)
        number = canonical_answer(final["number"], "number") if final else None
        if final is None or number is None:
            problems.add(row.place, "the answer does not end with '#### ' and a number")
            continue
        written = _CALCULATOR.sub("", solution[: final.start()]).strip()
        task = Task.ask(question, id=f"gsm8k-{row.number:04}")
        examples.append(Example(task, Target(number, {"solution": written})))
    problems.raise_any()
    return TaskSet(name, "number", distinct(examples, name=name), Numeric())
