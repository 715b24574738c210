"""QuixBugs (Lin et al., 2017): forty algorithms with a mistake in one line each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from archloom.tasks._rows import Problems, Row, read_rows
from archloom.tasks.code._benchmarks import read_all
from archloom.tasks.code._problem import Problem, python_block, statements
from archloom.tools.code import CodingTask, Suite, docstring_tests, split_tests

_FIX = "Fix bugs in {name}. Give the whole program in a block that starts with ```python and ends with ```."
_NODE = """class Node:
    def __init__(self, value=None, successor=None, successors=(), predecessors=(), incoming=(), outgoing=()):
        self.value = value
        self.successor = successor
        self.successors = list(successors)
        self.predecessors = list(predecessors)
        self.incoming_nodes = list(incoming)
        self.outgoing_nodes = list(outgoing)
"""
"""What the tests of graph programs build their graphs of."""
_APPROXIMATELY = re.compile(r"(\S+) == pytest\.approx\(expected, abs=(.*)\)$", re.MULTILINE)


def read_quixbugs(path: Path) -> list[Problem]:
    """The problems of a file with a program a line: ``name``, ``buggy``, ``correct``, ``pytest`` and ``cases``.

    The file of the project octopack is read as well: ``buggy_program``, ``docstring``, ``solution``, ``tests``. The
    examples in the docstrings are the public tests. Cases that upstream skips for their time are left out.

    Raises:
        TaskFileError: with every line that is no problem.
    """
    problems = Problems()
    return read_all(read_rows(path, problems), _read, problems)


def _read(row: Row, problems: Problems) -> Problem | None:
    if "buggy_program" in row.values:
        fields = [row.text(name, problems) for name in ("name", "buggy_program", "docstring", "solution", "tests")]
        match fields:
            case [str(name), str(buggy), str(docstring), str(solution), str(tests)]:
                return _problem(name, f"{buggy}\n\n\n{docstring}\n", buggy, solution, split_tests(tests, name))
        return None
    match [row.text(name, problems) for name in ("name", "buggy", "correct", "pytest")]:
        case [str(name), str(buggy), str(correct), str(tests)]:
            return _problem(name, buggy, buggy, correct, _pytest(tests, row.values.get("cases")))
    return None


def _problem(name: str, shown: str, buggy: str, correct: str, tests: Suite) -> Problem:
    question = f"{python_block(shown)}\n\n{_FIX.format(name=name)}"
    wrapped = f"def {name}():\n    {_last_text(shown)!r}\n    return 0\n"  # its examples follow the function
    coding = CodingTask(name, public_tests=docstring_tests(wrapped, name))
    return Problem(f"quixbugs-{name}", question, coding, tests, correct, buggy)


def _last_text(source: str) -> str:
    last = statements(source)[-1]
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and isinstance(last.value.value, str):
        return last.value.value
    return ""


def _pytest(source: str, cases: object) -> Suite:
    """Functions of a pytest module as tests; one with cases is a test for each of them."""
    setup = [_NODE] if "import Node" in source else []
    tests: list[str] = []
    for node in statements(source):
        if not isinstance(node, ast.FunctionDef):
            if not isinstance(node, (ast.Import, ast.ImportFrom, ast.If)) and "testdata" not in ast.unparse(node):
                setup.append(ast.unparse(node))
        elif node.args.args:
            tuples = "tuple(x)" in source
            tests += _with_cases(node, cases if isinstance(cases, list) else [], tuples=tuples)
        else:
            node.name = "test"
            tests.append(f"{ast.unparse(node)}\ntest()")
    return Suite("\n".join(setup), tuple(tests))


def _with_cases(function: ast.FunctionDef, cases: list[list[object]], *, tuples: bool) -> Iterator[str]:
    skips = [node for node in function.body if isinstance(node, ast.If)]
    skipped = [ast.literal_eval(node) for skip in skips for node in _outer_lists(skip.test)]
    body = "\n".join(ast.unparse(node) for node in function.body if node not in skips)
    body = _APPROXIMATELY.sub(r"abs(\1 - expected) <= \2", body)
    for given, expected in cases:
        if given not in skipped:
            wanted = [tuple(each) for each in expected] if tuples and isinstance(expected, list) else expected
            yield f"input_data, expected = {given!r}, {wanted!r}\n{body}"


def _outer_lists(node: ast.expr) -> list[ast.List]:
    found = [each for each in ast.walk(node) if isinstance(each, ast.List)]
    return found[:1]
