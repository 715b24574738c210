"""Reading numbered parts out of a reply: critiques, tests, and a verdict on each test."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping

from archloom.nodes._parse import Unparsed

_HEADING = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*|\*{1,2}|[-•][ \t]+)*(?:critique[ \t]+(?:of[ \t]+)?(?:the[ \t]+)?)?"
    r"(?:(?:response|answer|candidate|solution)[ \t]*#?[ \t]*\[?(?P<named>\d+)\]?|\[(?P<bracket>\d+)\])"
    r"(?:'s critique)?[ \t]*(?P<mark>[*\]]*[ \t]*[:：.)–—-]*[*]*)",
    re.IGNORECASE | re.MULTILINE,
)
_OTHER_HEADING = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*\**(?:test[ \t]*)?#?(?P<number>\d+)\**[ \t]*[.):][*]*[ \t]+", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*```[^\n]*\n(?P<body>.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_RESULT = re.compile(
    r"^[ \t>*#-]*(?:unit[ \t]+)?(?:tests?[ \t]*(?:case[ \t]*)?)?#?\[?(?P<number>\d+)\]?[*\t ]*[:：.)–—=-]+[\s*\[`\"]*"
    r"(?P<word>passed|passes|pass|failed|fails|fail|[^\W\d_]+)\b(?P<both>\s*(?:or\b|/|\|))?",
    re.IGNORECASE | re.MULTILINE,
)


def parse_critiques(reply: str, count: int) -> Mapping[int, str] | Unparsed:
    """The text under each heading ``### Response 2``, by zero-based position.

    Headings may be decorated (``**Response 2:**``, ``[2]``) and carry the critique on their own line. Positions
    without a heading or without text are missing from the result; a heading that stands twice or names no
    response makes it unreadable, because nobody can say what belongs where. Another heading ends a critique.
    """
    headings = [
        found
        for found in _HEADING.finditer(reply)
        if found["mark"].strip() or found["bracket"] or not reply[found.end() :].partition("\n")[0].strip()
    ]
    parts: dict[int, str] = {}
    for heading, following in zip(headings, [*headings, None][1:], strict=True):
        number = int(heading["named"] or heading["bracket"])
        if not 1 <= number <= count:
            return Unparsed(f"a critique of response {number}, and there are {count}")
        if number - 1 in parts:
            return Unparsed(f"two critiques of response {number}")
        text = reply[heading.end() : following.start() if following else len(reply)]
        parts[number - 1] = _OTHER_HEADING.split(text, maxsplit=1)[0].strip().strip("*").strip()
    found = {position: text for position, text in parts.items() if text}
    return found or Unparsed("no heading such as '### Response 1' with a critique below it")


def parse_tests(reply: str, limit: int, *, complete: bool = True) -> tuple[str, ...] | Unparsed:
    """The statements of a numbered list, each once, at most the first ``limit``; or of a JSON list of strings.

    The numbers must count up from 1. The last statement of a reply that is not ``complete`` was cut and is left
    out.
    """
    tests = _json_list(reply)
    if tests is None:
        items = list(_ITEM.finditer(reply))
        numbers = [int(item["number"]) for item in items]
        if numbers != list(range(1, len(items) + 1)):
            return Unparsed(f"the tests are numbered {', '.join(map(str, numbers))}, not from 1 up")
        ends = [*(item.start() for item in items), len(reply)][1:]
        texts = [reply[item.end() : end] for item, end in zip(items, ends, strict=True)]
        tests = [_statement(text) for text in (texts if complete else texts[:-1])]
    kept = tuple(dict.fromkeys(test for test in tests if test))
    return kept[:limit] or Unparsed("no numbered list of tests in the reply")


def parse_asserts(reply: str, entry_point: str, limit: int, *, complete: bool = True) -> tuple[str, ...] | Unparsed:
    """The lines of Python that begin with ``assert`` and use the entry point, each once, at most the first ``limit``.

    They are read out of the last block of code, or out of the text when it has none. A line that is no Python makes
    the reply unreadable; the last line of a reply that is not ``complete`` was cut and is left out.
    """
    blocks = [block["body"] for block in _FENCE.finditer(reply)]
    lines = [line.strip() for line in (blocks[-1] if blocks else reply).rstrip().splitlines()]
    asserts = [line for line in (lines if complete else lines[:-1]) if line.startswith("assert ")]
    for line in asserts:
        names = _names(line)
        if names is None:
            return Unparsed(f"the test {line[:80]!r} is no Python")
        if entry_point not in names:
            return Unparsed(f"the test {line[:80]!r} does not call {entry_point}")
    return tuple(dict.fromkeys(asserts))[:limit] or Unparsed(f"no line 'assert {entry_point}(...) ...' in the reply")


def _names(source: str) -> set[str] | None:
    """The names that a piece of Python uses; ``None`` when it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in somebody else's strings
            tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def parse_results(reply: str, count: int) -> tuple[bool, ...] | Unparsed:
    """Whether each test was passed, from one line ``Test 1: passed`` or ``Test 1: failed`` for each.

    A test without a verdict or with both, or a number that no test has, makes the reply unreadable: a test that
    nobody judged is neither passed nor failed.
    """
    found: dict[int, bool] = {}
    for line in _RESULT.finditer(reply):
        word, number = line["word"].lower(), int(line["number"])
        if line["both"] or not word.startswith(("pass", "fail")):
            continue
        if not 1 <= number <= count:
            return Unparsed(f"a verdict on test {number}, and there are {count}")
        if found.setdefault(number, word.startswith("pass")) != word.startswith("pass"):
            return Unparsed(f"test {number} is said to be passed and to be failed")
    missing = [number for number in range(1, count + 1) if number not in found]
    if missing:
        return Unparsed(f"no line 'Test {missing[0]}: passed' or 'Test {missing[0]}: failed' in the reply")
    return tuple(found[number] for number in range(1, count + 1))


def _json_list(reply: str) -> list[str] | None:
    text = reply.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    if not text.startswith("["):
        return None
    try:
        data = json.loads(text)
    except ValueError:
        return None
    strings = isinstance(data, list) and all(isinstance(item, str) for item in data)
    return [_statement(item) for item in data] if strings else None


def _statement(text: str) -> str:
    """One line of it, without decoration; a paragraph that follows a blank line is comment."""
    return " ".join(text.strip().partition("\n\n")[0].replace("**", "").split())
