"""Reading what models write: a typed result, or ``Unparsed``, and never an invented default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Unparsed:
    """A reply that does not say what it was asked for.

    Attributes:
        why: What is missing or contradictory.
    """

    why: str


Preference: TypeAlias = Literal["first", "second", "tie"]
"""Which of two responses is the better one."""

_RIGHT = frozenset({"correct", "right", "yes", "true"})
_NO_CHOICE = r"(?!\s*(?:or\b|and\b|/|\|))"
_VERDICT = re.compile(
    r"verdict\W*?(?:\bis\b)?\W*[:：]\W*(?:the\s+(?:response|answer|solution)\s+is\s+)?"
    r"(?P<not>not\s+)?(?P<word>correct|incorrect|right|wrong|yes|no|true|false)\b" + _NO_CHOICE,
    re.IGNORECASE,
)
_PREFERENCE = re.compile(
    r"better\W*[:：]\W*(?:(?:response|answer|number)\W*)?(?P<word>1|2|one|two|tie|both|neither|equal)\b" + _NO_CHOICE,
    re.IGNORECASE,
)
_VERDICT_FORM = re.compile(r"verdict\W*:\W*correct\W+or\W+verdict\W*:\W*incorrect", re.IGNORECASE)
_PREFERENCE_FORM = re.compile(r"better\W*:\W*1\W+or\W+better\W*:\W*2", re.IGNORECASE)


def parse_verdict(reply: str) -> bool | Unparsed:
    """True or false from a line ``Verdict: correct`` or ``Verdict: incorrect``; the last one counts.

    The instruction itself, repeated by the model, is no verdict, and neither is a line that names both words.
    """
    found = list(_VERDICT.finditer(_VERDICT_FORM.sub(" ", reply)))
    if not found:
        return Unparsed("no line 'Verdict: correct' or 'Verdict: incorrect' in the reply")
    right = found[-1]["word"].lower() in _RIGHT
    return right is not bool(found[-1]["not"])


def parse_preference(reply: str) -> Preference | Unparsed:
    """Which of two responses is better, from a line ``Better: 1`` or ``Better: 2``; the last one counts.

    A model that says there that they are equal has answered, too: ``tie``.
    """
    words = [match["word"].lower() for match in _PREFERENCE.finditer(_PREFERENCE_FORM.sub(" ", reply))]
    if not words:
        return Unparsed("no line 'Better: 1' or 'Better: 2' in the reply")
    if words[-1] in {"1", "one"}:
        return "first"
    return "second" if words[-1] in {"2", "two"} else "tie"
