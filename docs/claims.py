"""Which claim tests re-enact which graph of the library, read out of ``tests/claims``."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "claims"

WITHOUT: Mapping[str, str] = {
    "archon_code_tests": "simulated models write no programs; `tests/nodes/test_archon_nodes.py` runs its nodes",
    **dict.fromkeys(
        [f"text2sql/{name}" for name in ("abstain", "iterative", "repair", "select", "single", "vote")],
        "`tests/cli/test_text2sql.py` holds all six against a table of scores on scripted models",
    ),
}
"""Graphs that no claim test uses, and why."""


class Claim(NamedTuple):
    """A test that uses a graph; without a name, the file does, for several of its tests."""

    file: str
    name: str | None

    @property
    def statement(self) -> str:
        """What it says, in words."""
        return (self.name or "").removeprefix("test_").replace("_", " ")


def claims_of(name: str) -> list[Claim]:
    """The tests that name this graph; where only the rest of a file does, the file."""
    found: list[Claim] = []
    for file, tests, elsewhere in _files():
        here = [Claim(file, test) for test, strings in tests if {name, f"library/{name}"} & strings]
        found += here or [Claim(file, None)] * (f"library/{name}" in elsewhere)
    return found


@cache
def _files() -> list[tuple[str, list[tuple[str, set[str]]], set[str]]]:
    """Each file with its tests and the strings in them, and all strings of the file."""
    parsed = [(path.name, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("test_*.py"))]
    return [
        (name, [(each.name, set(_strings(each))) for each in _tests(tree)], set(_strings(tree)))
        for name, tree in parsed
    ]


def _tests(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
