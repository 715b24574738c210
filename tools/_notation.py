"""Numbers and formulas as people and models write them, brought to one plain notation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_SIGNS = str.maketrans({
    "−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "⁄": "/",
    "\u00a0": " ", "\u202f": " ", "\u2009": " ",
})  # fmt: skip
_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{\s*([\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}"), r"\1/\2"),
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r"\1/\2"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\(?:times|cdot|ast)\b"), "*"),
    (re.compile(r"\\div\b"), "/"),
    (re.compile(r"\\approx\b"), "≈"),
    (re.compile(r"\\(?:left|right)\b|\\[,!]"), ""),
    (re.compile(r"\\[;: ]"), " "),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\{,\}"), ","),
)
_NUMBER = re.compile(
    r"""(?<![\w.])(?<!\d/)
    (?P<sign>(?<![\w)\]}%$])[-+](?=[$€£.\d]))?
    [$€£]?
    (?>(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?P<decimals>\.\d+)? | (?P<only_decimals>\.\d+))
    (?>(?P<exponent>[eE][-+]?\d{1,3})(?!\w))?
    (?!(?:st|nd|rd|th)\b|/\d+/)
    (?>/(?P<below>\d+)(?![\d/])|[ ](?P<mixed>\d+)/(?P<mixed_below>\d+)(?![\d/]))?
    """,
    re.VERBOSE,
)
_LONGEST = 400
"""Digits, and decimal exponent: what is longer is noise, and would be slow to compare."""


@dataclass(frozen=True)
class Found:
    """A number in a text: its value, how it is written, and where."""

    value: Fraction
    text: str
    start: int
    end: int


def plain(text: str) -> str:
    """The text with Unicode and LaTeX signs replaced by ASCII: ``5 \\times 9 − 1`` becomes ``5 * 9 - 1``."""
    text = text.translate(_SIGNS)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def numbers(text: str, start: int = 0) -> Iterator[Found]:
    """The numbers of a plain text, in order.

    A hyphen is a sign only where it touches the number and follows no word or number: ``5 - 9`` and ``5-9``
    hold 5 and 9, ``= -4`` holds -4. Thousands commas are read; ordinals (``2nd``), dates and digits inside
    words are not.
    """
    for match in _NUMBER.finditer(text, start):
        value = _value(match)
        if value is not None:
            yield Found(value, match[0], match.start(), match.end())


def number_at(text: str, start: int) -> Found | None:
    """The number that begins exactly there in a plain text."""
    match = _NUMBER.match(text, start)
    value = None if match is None else _value(match)
    return None if match is None or value is None else Found(value, match[0], match.start(), match.end())


def parse_number(text: str) -> Fraction | None:
    """The exact value of a text that is nothing but a number, with a currency or percent sign or without."""
    text = plain(text).strip().strip("$*`").strip().rstrip(".%").rstrip()
    match = _NUMBER.fullmatch(text)
    return None if match is None else _value(match)


def format_number(value: Fraction) -> str:
    """The one spelling of this number: an integer, else an exact decimal, else a reduced fraction."""
    below, twos, fives = value.denominator, 0, 0
    while below % 2 == 0:
        below, twos = below // 2, twos + 1
    while below % 5 == 0:
        below, fives = below // 5, fives + 1
    places = max(twos, fives)
    if below != 1 or places == 0:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _value(match: re.Match[str]) -> Fraction | None:
    part = match.groupdict(default="")
    exponent = part["exponent"].lower()
    if match.end() - match.start() > _LONGEST or (exponent and abs(int(exponent[1:])) > _LONGEST):
        return None
    value = Fraction(f"{part['whole'].replace(',', '') or '0'}{part['decimals'] or part['only_decimals']}{exponent}")
    below = int(part["below"] or part["mixed_below"] or 1)
    if below == 0:
        return None
    value = value + Fraction(int(part["mixed"]), below) if part["mixed"] else value / below
    return -value if part["sign"] == "-" else value
