"""Tests as they are written down: functions full of assertions, and examples in docstrings."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from typing import NamedTuple

from archloom.tools.code._assemble import parsed
from archloom.tools.errors import UsageError


class Suite(NamedTuple):
    """Tests for :func:`~archloom.tools.code.run_tests`.

    Attributes:
        setup: What they have in common: imports, helpers, data.
        tests: The tests, one assertion each, with what leads to it.
    """

    setup: str
    tests: tuple[str, ...]


def split_tests(source: str, entry_point: str) -> Suite:
    """The tests in a source text, one for each of its assertions.

    The text is a list of assertions, or a function ``check(candidate)`` with them, as in HumanEval. Statements between
    two assertions belong to the second one. Assertions of a constant test nothing and are left out.

    Raises:
        UsageError: it is no Python, or has no assertion.
    """
    tree = parsed(source)
    if not isinstance(tree, ast.Module):
        raise UsageError(f"tests of {entry_point!r} are no Python: {tree or 'nested too deep'}")
    check = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"), None)
    if check is None:
        return _found("", _groups(tree.body), entry_point)
    setup = _text([node for node in tree.body if node is not check and not _calls_check(node)])
    [parameter] = [each.arg for each in check.args.args]
    renamed = [_Renamed(parameter, entry_point).visit(node) for node in check.body]
    tests = _groups(renamed)
    if all(isinstance(parsed(test), ast.Module) for test in tests):
        return _found(setup, tests, entry_point)
    whole = f"{ast.unparse(check)}\ncheck({entry_point})"  # its body is bound to the function, by a return for one
    return _found(setup, (whole,), entry_point)


def docstring_tests(source: str, entry_point: str) -> tuple[str, ...]:
    """Assertions for the ``>>>`` examples in the entry point's docstring whose results are literals."""
    from doctest import DocTestParser

    tree = parsed(source)
    functions = (
        [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] if isinstance(tree, ast.AST) else []
    )
    docstring = next((ast.get_docstring(node) for node in functions if node.name == entry_point), None)
    try:
        examples = DocTestParser().get_examples(docstring or "")
    except ValueError:  # prompts are inconsistent in their white space
        return ()
    asserts = (_assertion(each.source.strip(), each.want.strip(), entry_point) for each in examples)
    return tuple(text for text in asserts if text is not None)


def _assertion(call: str, want: str, entry_point: str) -> str | None:
    """The example as an assertion; ``None`` where it is none, or is about other things than the entry point."""
    try:
        tree = ast.parse(call, mode="eval")
        ast.literal_eval(want)
    except (SyntaxError, ValueError):
        return None
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    about_it = entry_point in names and names - {entry_point} <= vars(builtins).keys()
    return f"assert {call} == {want}" if about_it else None


class _Renamed(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self._new, node.ctx), node) if node.id == self._old else node


def _groups(statements: Sequence[ast.stmt]) -> tuple[str, ...]:
    groups: list[list[ast.stmt]] = [[]]
    for statement in statements:
        if _says_nothing(statement):
            continue
        groups[-1].append(statement)
        if any(isinstance(node, ast.Assert) for node in ast.walk(statement)):
            groups.append([])
    rest = groups.pop()
    if groups:
        groups[-1] += rest
    return tuple(_text(group) for group in groups)


def _says_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, (ast.Assert, ast.Expr)) and isinstance(
        statement.test if isinstance(statement, ast.Assert) else statement.value, ast.Constant
    )
    return constant or isinstance(statement, ast.Pass)


def _calls_check(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "check"


def _text(statements: Sequence[ast.stmt]) -> str:
    return "\n".join(ast.unparse(statement) for statement in statements)


def _found(setup: str, tests: tuple[str, ...], entry_point: str) -> Suite:
    if not tests:
        raise UsageError(f"tests of {entry_point!r} assert nothing")
    return Suite(setup, tests)
