"""Telling a program that computes its result from one that was given it."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

_WRAPPERS = frozenset({"str", "int", "float", "round", "format", "repr"})


def states_result(program: str, result: Fraction | None, given: frozenset[Fraction]) -> bool:
    """Whether the program writes its result down instead of computing it.

    It does when everything that it prints consists of constants, or when the result stands in it as a number that
    is not among the ``given`` ones. Such a program agrees with whatever it was translated from.

    Args:
        program: Python source; what is no Python computes nothing either.
        result: The number that it should print; ``None`` when the answer is no number.
        given: Numbers that the task states.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in somebody else's strings
            tree = ast.parse(program)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return True
    if result is not None and result not in given and result in set(_numbers(tree)):
        return True
    names = _constant_names(tree)
    printed = [
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        for argument in node.args
    ]
    return all(_is_constant(argument, names) for argument in printed)


def _numbers(tree: ast.AST) -> Iterator[Fraction]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and abs(node.value) < 1e300:
            value = Fraction(str(node.value) if isinstance(node.value, float) else int(node.value))
            yield from (value, -value)


def _constant_names(tree: ast.AST) -> set[str]:
    """Names that are only ever assigned constants, or other such names."""
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(node.value)
    # Loops, augmented assignments and the like bind names, too: what they bind is computed.
    stores = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    plain = {name: values for name, values in assigned.items() if stores[name] == len(values)}
    constant: set[str] = set()
    while (
        more := {name for name, values in plain.items() if all(_is_constant(each, constant) for each in values)}
        - constant
    ):
        constant |= more
    return constant


def _is_constant(node: ast.expr, names: set[str]) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in names
        case ast.UnaryOp(operand=operand):
            return _is_constant(operand, names)
        case ast.JoinedStr(values=values) | ast.Tuple(elts=values) | ast.List(elts=values):
            return all(_is_constant(value, names) for value in values)
        case ast.FormattedValue(value=value):
            return _is_constant(value, names)
        case ast.Call(func=ast.Name(id=function), args=args) if function in _WRAPPERS:
            return all(_is_constant(argument, names) for argument in args)
        case _:
            return False
