"""The letter or digit of a choice in what a model wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ALONE = re.compile(r"\W*([A-Ja-j\d])\W*")
_FILLER = re.compile(r"(?:\W|(?:the|correct|right|option|choice|letter|number|answer|is)\b)*", re.IGNORECASE)
_STATED = re.compile(r"(?P<choice>[A-Ja-j\d])(?![\w'’])(?![.,]\d)(?P<after>.*)")
_ENDS = re.compile(r"\s*(?:[).,:;*\]}\"$–—-]|because\b|since\b|$)")
_LABEL = re.compile(r"^[ \t*_]*\(?([A-J])(?:\)|[.:])(?=\W|$)", re.MULTILINE)
_OPTION = re.compile(r"\b(?:[Oo]ption|[Cc]hoice)(?:\s+is)?\s*[(\[*_]*([A-J\d])\b")
_PARENTHESISED = re.compile(r"[(\[]([A-J\d])[)\]]")


def parse_choice(text: str) -> str | None:
    """The choice that a text is, with nothing but punctuation around it."""
    alone = _ALONE.fullmatch(text)
    return None if alone is None else alone[1].upper()


def find_choice(text: str, finals: Sequence[str], *, complete: bool) -> str | None:
    """The last choice among final statements; in a complete text without one, what its form suggests.

    That is, in this order: the whole text, its last line, the only label a line starts with (``B. Paris``),
    the last ``option B``, the last ``(B)``.
    """
    stated = [choice for content in finals if (choice := _stated(content)) is not None]
    if stated:
        return stated[-1]
    if not complete or not text.strip():
        return None
    alone = parse_choice(text) or parse_choice(text.strip().rpartition("\n")[2])
    if alone:
        return alone
    labels = set(_LABEL.findall(text))
    if len(labels) == 1:
        return str(labels.pop())
    named: list[str] = _OPTION.findall(text) or _PARENTHESISED.findall(text)
    return named[-1] if named else None


def _stated(content: str) -> str | None:
    filler = _FILLER.match(content)
    match = _STATED.match(content, filler.end() if filler else 0)
    if match is None:
        return None
    choice = match["choice"]
    # "a" and "I" are words too, and so may be any lone lower-case letter: these must be all that is stated.
    if (choice.islower() or choice in "AI") and not _ENDS.match(match["after"]):
        return None
    return choice.upper()
