"""A program out of what a model wrote: whole, in pieces, as a continuation, or cut off."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator

from archloom.tools._programs import find_program

_FENCE = re.compile(r"^[ \t]*```[ \t]*(?P<tag>[\w+-]*)[^\n]*\n(?P<body>.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_TAGS = frozenset({"", "python", "python3", "py"})
_MBPP = re.compile(r"^[ \t]*\[(?:BEGIN|DONE)\][ \t]*$", re.MULTILINE)
_STARTS = re.compile(r"(?:async def|def|class|import|from|@)\b|@|[A-Za-z_]\w*\s*=", re.ASCII)
_FUTURE = re.compile(r"^from __future__ import [^\n]*\n?", re.MULTILINE)
_INDENT = "    "


def assemble_program(text: str, *, entry_point: str, prompt: str = "", given: str = "") -> str | None:
    """The program in a text, or ``None`` where there is none.

    The first of these that works counts, in blocks of Python (closed or cut off) when the text has any, else in the
    text itself; what does not parse is cut off at the end, and what stands before the code is skipped:

    1. the last piece that defines the entry point;
    2. the longest piece that continues ``prompt``: the body of its last function, indented or not;
    3. a piece that is code all the same, so that its fault can be named: it does not parse, or defines something else.

    ``given`` is put in front of it.

    Args:
        text: What the model wrote; reasoning up to ``</think>`` is left out.
        entry_point: The function or class that is wanted.
        prompt: Code that the model may have continued.
        given: Code that every answer may rely on, such as imports of the prompt.
    """
    text = _MBPP.sub("```", text.rpartition("</think>")[2]).replace("\r\n", "\n")
    blocks = [block["body"] for block in _FENCE.finditer(text) if block["tag"].lower() in _TAGS]
    pieces = blocks or [text]
    for piece in reversed(pieces):
        defining = _defining(piece, entry_point)
        if defining is not None:
            return _joined(given, defining)
    bodies = [piece for piece in pieces if prompt and not _named(piece, entry_point)]
    continued = [found for piece in bodies if (found := _continued(prompt, piece, entry_point))]
    if continued:
        return _joined(given, max(continued, key=len))
    fallback = blocks[-1] if blocks else _code_in(text)
    return None if fallback is None else _joined(given, fallback)


def defines(tree: ast.Module, name: str) -> bool:
    """Whether a module binds the name, and not to a function that has nothing but a docstring."""
    return any(_binds(node, name) for node in tree.body)


def parsed(source: str) -> ast.Module | SyntaxError | None:
    """The tree of a program that compiles, the mistake in it, or ``None`` where it is no Python for other reasons."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model's odd escapes are no concern of the caller
            tree = ast.parse(source)
            compile(tree, "program.py", "exec", dont_inherit=True)
    except SyntaxError as exc:
        return exc
    except (ValueError, RecursionError, MemoryError):  # of a text that is no code
        return None
    return tree


def _defining(piece: str, entry_point: str) -> str | None:
    """The part of a piece that defines the entry point, as much of it as parses."""
    piece = textwrap.dedent(piece)
    named = _named(piece, entry_point)
    if named is None:
        return None
    lines = piece.splitlines()
    first = piece.count("\n", 0, named.start())
    starts = [0, *(number for number in range(1, first + 1) if _STARTS.match(lines[number]))]
    for start in dict.fromkeys(starts):
        for source, tree in _prefixes("", lines[start:]):
            if defines(tree, entry_point):
                return source
    return None


def _named(piece: str, entry_point: str) -> re.Match[str] | None:
    """Where a piece begins to define the entry point, or to repeat the prompt."""
    name = re.escape(entry_point)
    return re.search(rf"^(?:async def|def|class)\s+{name}\b|^{name}\s*(?::[^\n=]*)?=", piece, re.MULTILINE)


def _continued(prompt: str, piece: str, entry_point: str) -> str | None:
    """The prompt with as much of a piece behind it as parses, indented so that most does."""
    prompt = prompt.rstrip(" \t")
    if not prompt.endswith("\n"):
        prompt += "\n"
    best, kept = None, 0
    lines = piece.strip("\n").splitlines()
    unindented = textwrap.dedent(piece).strip("\n").splitlines()
    first_only = [_INDENT + line.lstrip() if number == 0 else line for number, line in enumerate(lines)]
    for variant in (lines, first_only, [_INDENT + line for line in unindented]):
        for source, tree in _prefixes(prompt, variant):
            length = source.count("\n") - prompt.count("\n")
            if length > kept and defines(tree, entry_point):
                best, kept = source, length
                break
    return best


def _prefixes(prompt: str, lines: list[str]) -> Iterator[tuple[str, ast.Module]]:
    """Programs made of the prompt and fewer and fewer of the lines, those that parse."""
    before, end = prompt.count("\n"), len(lines)
    while end > 0:
        source = prompt + "\n".join(lines[:end]) + "\n"
        tree = parsed(source)
        if isinstance(tree, ast.Module):
            yield source, tree
            end -= 1
        elif tree is None or tree.lineno is None:
            end -= 1
        else:  # whatever follows the mistake, the program has to end before it
            end = min(end - 1, tree.lineno - 1 - before)


def _binds(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return node.name == name and any(map(_does_something, node.body))
        case ast.ClassDef():
            return node.name == name
        case ast.Assign():
            return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        case ast.AnnAssign():
            return isinstance(node.target, ast.Name) and node.target.id == name and node.value is not None
    return False


def _does_something(node: ast.stmt) -> bool:
    """Whether a statement is more than a docstring, or a word of prose that happens to parse."""
    return not isinstance(node, ast.Expr) or isinstance(node.value, (ast.Call, ast.Yield, ast.YieldFrom, ast.Await))


def _code_in(text: str) -> str | None:
    """What is code in a text without blocks: all of it, or what follows its first definition."""
    whole = find_program(text)
    if whole is not None:
        return whole
    definition = re.search(r"^(?:async def|def|class)\s+\w+\s*[(:]", text, re.MULTILINE)
    return text[definition.start() :] if definition else None


def _joined(given: str, program: str) -> str:
    """Both, with the program's imports from the future first, as Python wants them."""
    if not given.strip():
        return program
    future = "".join(_FUTURE.findall(program))
    return f"{future}{given.rstrip()}\n\n\n{_FUTURE.sub('', program)}"
