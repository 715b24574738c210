"""Final answers in what a model wrote, in a canonical form: equal strings are equal answers.

The order of evidence is fixed: what the text marks as final (``#### 12``, ``\\boxed{12}``, ``The answer is
12``, ``Answer: 12``), then what its form suggests. A text that was cut has only what it marks as final. There
is no default: a text that states nothing has no answer.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from string import ascii_letters, digits
from typing import Literal, TypeAlias

from archloom.tools._choices import find_choice, parse_choice
from archloom.tools._latex import canonical_latex, formulas
from archloom.tools._notation import Found, format_number, number_at, numbers, parse_number, plain
from archloom.tools._programs import without_programs

AnswerFormat: TypeAlias = Literal["text", "number", "choice", "latex", "sql"]
"""What a final answer is: any text, an exact number, the letter or digit of a choice, a formula, or one query that
reads."""

_MARKER = re.compile(
    r"####|\banswer\b(?:[^.:\n]{0,60}?(?<!what )\b(?:is|equals)\b|[*_ \t]*[:=])[*_ \t]*:?|\bfinal\s+answer\b",
    re.IGNORECASE,
)
_FENCE_LINE = re.compile(r"^[ \t]*```[\w+-]*[ \t]*(?:\n|\Z)", re.MULTILINE)
_BOXED = re.compile(r"\\boxed\s*\{")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_CHAIN = re.compile(r"[\d\s.,()+*/x^$%-]*[=≈][\s$*_({\[]*")
_EQUALS = re.compile(r"(?<![<>!=])[=≈](?![=>])[\s$*_({\[]*(?P<minus>-\s+(?=\d))?")
_OPERAND = re.compile(r"\s*(?:[*/+^-]|x\b)\s*[(\d]")
_LIST_ITEM = re.compile(r"^[ \t]*\d+[.)](?=[ \t]+\S)", re.MULTILINE)
_MOST, _LONGEST = 32, 1000
"""Final statements that are read, the last ones, and characters of each: a model that repeats itself writes many."""
_CALCULATION = digits + " \t.,()+-*/x×÷=^$−"
"""What a cut may leave of a number or of the calculation that leads to it."""
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "—": "-", "–": "-", "−": "-"})
_EDGES = " .,;:!?*_'\"$"


@lru_cache(maxsize=16_384)
def extract_answer(text: str, format: AnswerFormat, *, complete: bool = True) -> str | None:
    """The final answer in ``text`` in canonical form, or ``None`` when it states none.

    Numbers are exact: ``045``, ``45.0``, ``$45.`` and ``45%`` (units are dropped, a percentage is its number)
    are ``45``; ``0.50`` is ``0.5``; ``2/6`` is ``1/3``. A choice is a capital letter A to J or a digit. Text
    is compared without case, surrounding punctuation and markup. Code blocks hold no number and no choice. SQL is
    a single query that only reads, compared without its layout (see ``archloom.tools.sql.canonical_sql``). The last
    texts are remembered: a search reads the same samples in many configurations.

    Args:
        text: What the model wrote; reasoning up to ``</think>`` is left out.
        format: What kind of answer to look for.
        complete: False for a text cut by ``max_tokens``: only an answer marked as final counts, and not one
            that the cut itself may have shortened.
    """
    if format == "text":
        statement = stated_answer(text, format, complete=complete)
        return None if statement is None else canonical_answer(statement, format)
    if format == "latex":
        formula = _stated_formula(text.rpartition("</think>")[2], complete=complete)
        return None if formula is None else canonical_latex(formula)
    if format == "sql":
        from archloom.tools.sql import stated_query  # only those who ask for SQL pay for its modules

        return stated_query(text, complete=complete)
    text = _said(text, format)
    if format == "number":
        number = _number(text, complete=complete)
        return None if number is None else format_number(number.value)
    text = text if complete else text.rstrip(ascii_letters + digits)
    return find_choice(text, _finals(text), complete=complete)


def canonical_answer(value: str, format: AnswerFormat) -> str | None:
    """The canonical form of a text that is nothing but an answer, such as a reference answer.

    ``None`` when it is not one of this format.
    """
    if format == "number":
        number = parse_number(value)
        return None if number is None else format_number(number)
    if format == "choice":
        return parse_choice(value)
    if format == "latex":
        return canonical_latex(value)
    if format == "sql":
        from archloom.tools.sql import canonical_sql

        return canonical_sql(value)
    words = " ".join(value.translate(_QUOTES).casefold().replace("`", "").split())
    words = re.sub(r"\*{2,}", "", words)
    return words.strip(_EDGES) or words or None


def stated_answer(text: str, format: Literal["text", "number"], *, complete: bool = True) -> str | None:
    """The final answer as it is written: what the text marks as final, else its last line or number.

    For scorers to whom ``2/6`` and ``1/3``, or ``Paris`` and ``paris``, are not the same.
    """
    text = _said(text, format)
    if format == "number":
        number = _number(text, complete=complete)
        return None if number is None else number.text
    finals = _finals(text if complete else text[: text.rfind("\n") + 1])
    if finals:
        return finals[-1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines and complete else None


def final_part(text: str) -> str:
    """All that follows the last final marker, or the whole text: for answers of many lines, such as grids."""
    text = _said(text, "text")
    ends = [marker.end() for marker in _MARKER.finditer(text)]
    return text[ends[-1] if ends else 0 :].strip(" \n*")


def last_number(text: str) -> str | None:
    """The last number of a text such as a program's output, in canonical form."""
    found = list(numbers(plain(text)))
    return format_number(found[-1].value) if found else None


def _said(text: str, format: AnswerFormat) -> str:
    """What a text says to its reader: not its reasoning, nor the code in it, whose digits are no answer."""
    text = text.rpartition("</think>")[2]
    if "<think>" in text:
        return ""
    return _FENCE_LINE.sub("", text) if format == "text" else without_programs(text)


def _finals(text: str) -> list[str]:
    """What follows each final marker: a box, the rest of its line, or the next line that is not empty."""
    places = [(marker.end(), _line) for marker in _MARKER.finditer(text)]
    places += [(box.end(), _braced) for box in _BOXED.finditer(text)]
    places.sort(key=lambda place: place[0])
    found = [read(text[start : start + _LONGEST]) for start, read in places[-_MOST:]]
    return [content for content in found if content]


def _stated_formula(text: str, *, complete: bool) -> str | None:
    """The first formula of the last final statement, or that statement where it marks none; else the last formula."""
    finals = _finals(text)
    if not finals:
        return next(reversed(formulas(text)), None) if complete else None
    return next(iter(formulas(finals[-1])), finals[-1].partition(". ")[0].rstrip(" ."))


def _line(text: str) -> str:
    lines = (line.strip() for line in text.split("\n"))
    return next((line for line in lines if line.strip(" *_:$")), "")


def _braced(text: str) -> str:
    depth = 1
    for end, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return text[:end].strip()
    return ""


def _number(text: str, *, complete: bool) -> Found | None:
    text = plain(text if complete else text.rstrip(_CALCULATION))
    stated = [found for content in _finals(text) if (found := _stated_number(content)) is not None]
    if stated or not complete:
        return stated[-1] if stated else None
    results = [result for match in _EQUALS.finditer(text) if (result := _result(text, match)) is not None]
    suggested = results or list(numbers(_LIST_ITEM.sub("", text))) or list(numbers(text))
    return suggested[-1] if suggested else None


def _stated_number(content: str) -> Found | None:
    """The number of a final statement: its first, or the end of the calculation that this one starts.

    After more than a few words the sentence may name other numbers before its result, so its last counts.
    """
    end = _SENTENCE_END.search(content)
    sentence = content[: end.start()] if end else content
    found = list(numbers(sentence))
    if not found:
        return None
    words = re.findall(r"[A-Za-z]+", sentence[: found[0].start])
    if "not" in words:
        return None
    number = step = found[-1] if len(words) > 3 else found[0]
    while chain := _CHAIN.match(sentence, step.end):
        following = number_at(sentence, chain.end())
        if following is None:
            break
        step = following
        if not _OPERAND.match(sentence, step.end):
            number = step
    return number


def _result(text: str, equals: re.Match[str]) -> Found | None:
    """The number right after an equals sign, unless a further calculation starts there."""
    number = number_at(text, equals.end())
    if number is None or _OPERAND.match(text, number.end):
        return None
    return replace(number, value=-number.value, text=f"-{number.text}") if equals["minus"] else number
