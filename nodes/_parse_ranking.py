"""Reading an order of numbered responses out of a reply."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archloom.nodes._parse import Unparsed

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NAME = r"(?:responses?|answers?|candidates?|solutions?|options?|attempts?|number|no\.|#|r(?=\d))"
_OPEN, _SHUT = r"(?:\\boxed|\\text|[\[(（*_`\"'$\\{\s])*", r"[\])）*_`\"'$\\}]*"
_ITEM = re.compile(
    rf"{_OPEN}(?P<name>{_NAME}[\s\[(*_#]*)?(?P<number>\d+|{'|'.join(_WORDS)})\b(?P<range>\s*(?:-|–|\.\.+|to\b)\s*\d)?"
    rf"{_SHUT}(?:\s*\([^()\n]*\))?",
    re.IGNORECASE,
)
_TIE = re.compile(r"\s*(?:=+|~|≈|≥|>=|\\geq?\b|&|/|tie[sd]?\b)", re.IGNORECASE)
_TIED = re.compile(r"\btie[sd]?\b|\bequal", re.IGNORECASE)
_BETTER = re.compile(r"[\s*]*(?:>+|≻|＞|\\succ\b|\\gt\b|→|->|\\rightarrow\b|\bthen\b)", re.IGNORECASE)
_COMMA = re.compile(r"[\s*]*(?:[,;、]\s*(?:and\b|then\b)?|\band\b)", re.IGNORECASE)
_MARKER = re.compile(
    r"rank(?:ing|ed)?(?:[ \t]+order)?(?:[ \t]*\((?:from[ \t]+)?best[^()\n]*\)|[ \t]+from[ \t]+best[ \t]+to[ \t]+worst)?"
    r"[\"'*_`#\s]*[:：][^\w\[(\\\n]*",
    re.IGNORECASE,
)
_PLACE = re.compile(r"(?P<place>\d+)(?:[.):]|st\b|nd\b|rd\b|th\b)[\s:*]+|[-*•]\s+")


def parse_ranking(reply: str, count: int) -> tuple[int, ...] | Unparsed:
    """Positions, best first, from a line such as ``Ranking: 2 > 1 > 3``.

    Decorations around the numbers (``[2]``, ``Response 2``, ``**2**``), other separators, JSON and a list below
    the word are read. Without the word, a line that is nothing but a chain of brackets or names
    (``[2] > [1] > [3]``) counts. A ranking that leaves a response out, names one twice, names one that does not
    exist, states a tie or a range is none.

    Args:
        reply: What the model wrote; the last ranking in it counts.
        count: Number of responses; they are numbered from 1.

    Returns:
        Zero-based positions.
    """
    for start in reversed([match.end() for match in _MARKER.finditer(reply)]):
        said = _chain(reply, start) or _chain(reply, _below(reply, start)) or _list(reply, start)
        if isinstance(said, Unparsed):
            return said
        if said:
            return _complete(said, count)
    for line in reversed(reply.splitlines()):
        if chain := _bare(line.strip()):
            return _complete(chain, count)
    return Unparsed("no line 'Ranking: ...' in the reply")


def _below(reply: str, start: int) -> int:
    """Where the next line with words begins, if nothing else stands on this one."""
    line, _, _ = reply[start:].partition("\n")
    if line.strip("*_#`\"' \t"):
        return start
    found = re.compile(r"[^\W]|[\[(]").search(reply, start)
    return found.start() if found else start


def _complete(numbers: list[int], count: int) -> tuple[int, ...] | Unparsed:
    if sorted(numbers) != list(range(1, count + 1)):
        said = " > ".join(map(str, numbers))[:80]
        return Unparsed(f"the ranking {said!r} does not order the responses 1 to {count}")
    return tuple(number - 1 for number in numbers)


def _chain(reply: str, start: int) -> list[int] | Unparsed:
    """The numbers of a chain that begins here; empty when none does or it is a single item."""
    numbers: list[int] = []
    at, line = start, reply.find("\n", start)
    end = len(reply) if line < 0 else line
    while item := _ITEM.match(reply, at, end):
        if item["range"]:
            return Unparsed(f"{item[0].strip()!r} is a range, not an order")
        numbers.append(_number(item["number"]))
        at = item.end()
        tie = _TIE.match(reply, at, end)
        if tie or _TIED.search(item[0]):
            at = tie.end() if tie else at
            return Unparsed(f"the ranking states a tie: {reply[start:at].strip()[-40:]!r}")
        separator = _BETTER.match(reply, at, end) or _COMMA.match(reply, at, end)
        if separator is None:
            break
        at = separator.end()
    return numbers if len(numbers) > 1 else []


def _list(reply: str, start: int) -> list[int]:
    """The numbers of a list, one response a line, that begins below this place."""
    numbers = list(_lines(reply[start:].strip("*_#` \t").splitlines()))
    return numbers if len(numbers) > 1 else []


def _lines(lines: list[str]) -> Iterator[int]:
    """As far as it goes; a comment may follow a numbered item, so that prose about responses is not taken for one."""
    expected = 1
    for line in (line.strip(" \t*_#") for line in lines):
        if not line:
            continue
        place = _PLACE.match(line)
        if place and place["place"] and int(place["place"]) != expected:
            return
        item = _ITEM.match(line, place.end() if place else 0)
        if item is None or item["range"] or not (item["name"] or place):
            return
        comment = line[item.end() :].strip()
        if comment and not (place and place["place"] and comment[0] in ":.,;(–—-"):
            return
        yield _number(item["number"])
        expected += 1


def _bare(line: str) -> list[int]:
    """The numbers of a line that is a chain of named or bracketed numbers and nothing else."""
    numbers: list[int] = []
    at = 0
    while item := _ITEM.match(line, at):
        if item["range"] or not (item["name"] or "[" in item[0]):
            return []
        numbers.append(_number(item["number"]))
        at = item.end()
        if (separator := _BETTER.match(line, at)) is None:
            break
        at = separator.end()
    return numbers if len(numbers) > 1 and not line[at:].strip(" .*") else []


def _number(word: str) -> int:
    return _WORDS.index(word.lower()) + 1 if word.lower() in _WORDS else int(word)
