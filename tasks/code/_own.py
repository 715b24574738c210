"""A user's own coding problems: a file of JSON lines."""

from __future__ import annotations

from pathlib import Path

from archloom.tasks._rows import Problems, Row, read_rows
from archloom.tasks.code._benchmarks import read_all
from archloom.tasks.code._problem import Problem, python_block
from archloom.tools.code import CodingTask, Suite, split_tests


def read_code(path: Path) -> list[Problem]:
    """Problems with ``question``, ``entry_point`` and ``tests`` (assertions, in one text or a list of them).

    A line may have ``public_tests``, alike, which the question shows; ``given``, code in front of every program;
    ``setup``, code beside the tests; ``prompt``, code to be continued; ``buggy``, a program to repair; ``reference``
    and ``id``.

    Raises:
        TaskFileError: with every line that is no problem.
    """

    def read(row: Row, problems: Problems) -> Problem | None:
        question, entry_point = row.text("question", problems), row.text("entry_point", problems)
        hidden = _tests(row, "tests", problems)
        public = _tests(row, "public_tests", problems) if row.values.get("public_tests") else ()
        if question is None or entry_point is None or hidden is None or public is None:
            return None
        names = ("id", "given", "setup", "prompt", "buggy", "reference")
        texts = {name: str(row.values.get(name) or "") for name in names}
        tests = split_tests("\n".join(hidden), entry_point)
        shown = split_tests("\n".join(public), entry_point).tests if public else ()
        coding = CodingTask(entry_point, texts["prompt"], texts["given"], texts["setup"], shown)
        return Problem(
            texts["id"] or f"{path.stem}-{row.number:04}",
            _question(question, coding, texts["buggy"]),
            coding,
            Suite(f"{texts['setup']}\n{tests.setup}".strip(), tests.tests),
            texts["reference"],
            texts["buggy"],
        )

    problems = Problems()
    return read_all(read_rows(path, problems), read, problems)


def _tests(row: Row, name: str, problems: Problems) -> tuple[str, ...] | None:
    value = row.values.get(name)
    listed = value if isinstance(value, list) else [value]
    texts = tuple(each for each in listed if isinstance(each, str))
    if not texts or len(texts) < len(listed):
        problems.add(row.place, f"field {name!r} must be a text of assertions or a list of such texts")
        return None
    return texts


def _question(question: str, coding: CodingTask, buggy: str) -> str:
    parts = [question, f"Name the function or class {coding.entry_point}."]
    parts += [python_block(code) for code in (coding.given, coding.prompt, buggy) if code]
    if coding.public_tests:
        parts.append("It should pass these tests:\n" + python_block("\n".join(coding.public_tests)))
    parts.append("Give the whole program in a block that starts with ```python and ends with ```.")
    return "\n\n".join(parts)
