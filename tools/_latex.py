"""Mathematical answers in LaTeX: one way to write each, and whether two stand for the same."""

from __future__ import annotations

import atexit
import json
import re
from functools import cache, lru_cache
from pathlib import Path

from archloom.tools._notation import format_number, parse_number
from archloom.tools._workers import WorkerPool

TIMEOUT_S = 5.0
"""Seconds after which an expression counts as unreadable, and two expressions as different."""
_CHILD = Path(__file__).with_name("_latex_child.py")
_LONGEST = 1_000
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_FRACTION = re.compile(r"(?P<minus>-?)\\[dt]?frac\s*\{(?P<top>\d+)\}\s*\{(?P<bottom>\d+)\}\Z")
_NUMBER = re.compile(r"-?[\d.,/]+\Z")
_EDGES = " \t\n$,;:*"


def formulas(text: str) -> list[str]:
    """The formulas of a text, without their delimiters."""
    found = (next(filter(None, match.groups()), "").strip() for match in _MATH.finditer(text))
    return [formula for formula in found if formula]


@lru_cache(maxsize=16_384)
def canonical_latex(value: str) -> str | None:
    """One way to write an answer: equal texts are equal answers, and different texts mostly different ones.

    A number is as in the format ``number``, so ``\\frac{1}{2}``, ``1/2`` and ``0.5`` are one. Anything else is read by
    math-verify, simplified by SymPy and written as LaTeX again, in a process that is killed after five seconds.

    Returns:
        ``None`` when it cannot be read.
    """
    value = _undelimited(value)
    if not value or len(value) > _LONGEST:
        return None
    number = _number(value)
    if number is not None:
        return number
    found = _asked(value)
    return (_number(found) or found) if isinstance(found, str) else None


def _undelimited(value: str) -> str:
    """The formula alone; a word, which LaTeX would read as a product of its letters, as text."""
    value = value.strip().removeprefix("\\(").removesuffix("\\)").removeprefix("\\[").removesuffix("\\]").strip(_EDGES)
    return f"\\text{{{value.lower()}}}" if len(value) > 2 and value.isalpha() else value


def _number(text: str) -> str | None:
    """The canonical form of a text that is nothing but a number or a fraction of two."""
    fraction = _FRACTION.match(text)
    plain = f"{fraction['minus']}{fraction['top']}/{fraction['bottom']}" if fraction else text
    number = parse_number(plain) if _NUMBER.match(plain) else None
    return None if number is None else format_number(number)


@lru_cache(maxsize=16_384)
def same_latex(gold: str, answer: str) -> bool:
    """Whether an answer stands for what a reference answer stands for, by math-verify; unreadable ones do not."""
    return gold == answer or _asked(_undelimited(gold), _undelimited(answer)) is True


def _asked(*texts: str) -> object:
    try:
        reply = _pool().ask(json.dumps(texts).encode(), timeout_s=TIMEOUT_S, longest=1 << 20)
    except (TimeoutError, ConnectionError):  # it took too long, or too much memory
        return None
    found: object = json.loads(reply)
    return found


@cache
def _pool() -> WorkerPool:
    pool = WorkerPool(_CHILD, 1, flags=("-I",))
    atexit.register(pool.close)
    return pool
