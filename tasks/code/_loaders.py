"""Coding task sets by spec: ``humaneval:``, ``humanevalfix:``, ``mbpp:``, ``quixbugs:`` and ``code:``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from archloom.nodes import Spec
from archloom.tasks._registry import Loader
from archloom.tasks._spec import format_spec, parse_spec
from archloom.tasks._task_set import TaskSet, distinct
from archloom.tasks.code._benchmarks import read_humaneval, read_humanevalfix, read_mbpp
from archloom.tasks.code._own import read_code
from archloom.tasks.code._problem import Problem
from archloom.tasks.code._quixbugs import read_quixbugs
from archloom.tasks.code._unit_tests import UnitTests
from archloom.tasks.errors import TaskError, UnknownTaskSetError
from archloom.tools import suggest


class Parameters(Spec):
    """What may follow ``?`` in the spec of a coding task set."""

    score: Literal["all", "share"] = "all"
    """1 for a program that passes all tests, or the share of tests that it passes."""
    timeout_s: float = Field(default=10.0, gt=0)
    """Seconds for a program and its tests."""
    tests: int = Field(default=3, ge=0, le=3)
    """Of MBPP: tests that the question shows."""
    hint: bool = False
    """Of HumanEvalFix: tell in the question what kind of mistake it is."""


_OF_ALL = ("score", "timeout_s")


@dataclass(frozen=True)
class CodeTasks:
    """A task set, and what it was made of.

    Attributes:
        tasks: The tasks.
        problems: The problems of the file, with references and buggy programs.
    """

    tasks: TaskSet
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Layout:
    """How the files of a prefix are read, and which parameters only it has."""

    read: Callable[[Path, Parameters], list[Problem]]
    own: tuple[str, ...] = ()
    shipped: Callable[[], list[Problem]] | None = None
    """Reads the problems where no file is named."""


_LAYOUTS = {
    "code": _Layout(lambda path, given: read_code(path)),
    "humaneval": _Layout(lambda path, given: read_humaneval(path), shipped=lambda: read_humaneval(None)),
    "humanevalfix": _Layout(lambda path, given: read_humanevalfix(path, hint=given.hint), ("hint",)),
    "mbpp": _Layout(lambda path, given: read_mbpp(path, tests=given.tests), ("tests",)),
    "quixbugs": _Layout(lambda path, given: read_quixbugs(path)),
}


def load_code(prefix: str, rest: str, base: Path) -> CodeTasks:
    """The task set of a spec, with its problems.

    Args:
        prefix: ``humaneval``, ``humanevalfix``, ``mbpp``, ``quixbugs`` or ``code``.
        rest: What follows the prefix: a file, but for ``humaneval`` perhaps nothing, and parameters.
        base: Folder that relative paths start from.

    Raises:
        TaskError: there is nothing usable.
    """
    layout = _LAYOUTS[prefix]
    name, given = parse_spec(rest)
    parameters = _parameters(layout, f"{prefix}:{name}", given)
    if name:
        problems = layout.read(base / name, parameters)
    elif layout.shipped is not None:
        problems = layout.shipped()
    else:
        raise TaskError(f"{prefix}: names no file.", hint=f"Write {prefix}:FILE.")
    named = Path(name).as_posix() if name else ""
    spec = format_spec(prefix, named, given) if given else f"{prefix}:{named}"
    scorer = UnitTests(parameters.score, parameters.timeout_s)
    examples = distinct((problem.example() for problem in problems), name=spec)
    return CodeTasks(TaskSet(spec, "text", examples, scorer), tuple(problems))


def code_loader(prefix: str) -> Loader:
    """The loader to register for a prefix."""

    def load(rest: str, base: Path) -> TaskSet:
        return load_code(prefix, rest, base).tasks

    return load


def _parameters(layout: _Layout, spec: str, given: dict[str, str]) -> Parameters:
    known = (*_OF_ALL, *layout.own)
    for unknown in sorted(given.keys() - set(known)):
        raise UnknownTaskSetError(f"{spec} has no parameter {unknown!r}.", hint=suggest(unknown, known))
    try:
        return Parameters.model_validate_strings(given)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise TaskError(f"{spec}: {first['loc'][0]}={first['input']!r}: {first['msg']}") from exc
