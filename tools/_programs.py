"""Programs in what a model wrote."""

from __future__ import annotations

import ast
import re
import warnings

_FENCE = re.compile(
    r"^[ \t]*```[ \t]*(?P<tag>[\w+-]*)[^\n]*\n(?P<body>.*?)(?P<end>^[ \t]*```[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_PYTHON = frozenset({"python", "python3", "py"})
_PROSE = frozenset({"", "text", "txt", "plaintext", "math", "latex", "markdown", "md"})


def find_program(text: str) -> str | None:
    """The Python program a text holds.

    The last closed block marked as Python counts. A text without one, and an unmarked block, is a program
    only when it parses as Python and imports, defines or prints something; prose and a lone number never do.
    """
    blocks = [block for block in _FENCE.finditer(text) if block["end"]]
    marked = [block["body"] for block in blocks if block["tag"].lower() in _PYTHON]
    if marked:
        return marked[-1]
    unmarked = [block["body"] for block in blocks if not block["tag"]]
    candidate = unmarked[-1] if unmarked else text
    return candidate if _is_program(candidate) else None


_ACTING = re.compile(r"\b(print|import|def|class)\b")
"""Words of which a program that acts has one."""


def without_programs(text: str) -> str:
    """The text without what is code in it, so that digits of a program are not taken for an answer."""
    prose = _FENCE.sub(lambda block: block[0] if _is_prose(block) else "\n", text)
    return "" if _is_program(prose) else prose


def _is_prose(block: re.Match[str]) -> bool:
    return block["tag"].lower() in _PROSE and not _is_program(block["body"])


def _is_program(text: str) -> bool:
    if not _ACTING.search(text):  # nearly always, and much faster than to parse it
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model's odd escapes are no concern of the caller
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # of a text that is no code
        return False
    return any(_acts(node) for node in ast.walk(tree))


def _acts(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "print"
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
