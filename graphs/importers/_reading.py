"""Reading a JSON configuration part by part, and keeping what is wrong or worth saying with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from archloom.graphs._yaml import Json, Located, Path, dotted, load
from archloom.graphs.errors import DocumentError, Problem


@dataclass(frozen=True)
class Remark:
    """Something that was read and not taken over as it is written.

    Attributes:
        path: Its place in the file, such as ``layers[1][0].top_k``.
        message: What it was, and what became of it.
        source: File name.
        line: Line, from 1.
        column: Column, from 1.
    """

    path: str
    message: str
    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}: {self.path}: {self.message}"


class Reading:
    """A JSON file, and everything that was found about it."""

    def __init__(self, text: str, source: str) -> None:
        """Reads the file.

        Raises:
            DocumentError: it is not JSON, or a key stands twice.
        """
        self.source = source
        self.problems: list[Problem] = []
        self.remarks: list[Remark] = []
        try:
            self.data: Json = json.loads(text)
        except ValueError as exc:
            line, column = getattr(exc, "lineno", 1), getattr(exc, "colno", 1)
            why = getattr(exc, "msg", exc)
            raise DocumentError([Problem("E028", "", f"not JSON: {why}.", "", source, line, column)]) from exc
        # JSON is YAML but for its tabs, and the YAML reader knows where things stand.
        self._located: Located = load(text.replace("\t", " "), source)
        if self._located.problems:
            raise DocumentError(self._located.problems)

    def wrong(self, path: Path, message: str, hint: str = "") -> None:
        """Keeps an error."""
        place = self._located.position(path)
        self.problems.append(Problem("E028", dotted(path), message, hint, self.source, place.line, place.column))

    def remark(self, path: Path, message: str) -> None:
        """Keeps a remark."""
        place = self._located.position(path)
        self.remarks.append(Remark(dotted(path), message, self.source, place.line, place.column))

    def stop_if_wrong(self) -> None:
        """Ends the import when there are errors.

        Raises:
            DocumentError: all of them.
        """
        if self.problems:
            raise DocumentError(self.problems)


class Part:
    """A mapping of the file whose fields are taken one by one; what nobody took is reported at the end."""

    def __init__(self, reading: Reading, path: Path, data: Mapping[str, Json]) -> None:
        self.reading, self.path, self.data = reading, path, data
        self._taken: set[str] = set()

    def remark(self, field: str, message: str) -> None:
        """Says what became of a field."""
        self._taken.add(field)
        self.reading.remark((*self.path, field), f"{_shown(self.data[field])} {message}")

    def has(self, field: str) -> bool:
        """Whether the field is there and says something."""
        return self.data.get(field) is not None

    def take(self, field: str) -> Json:
        """The value of a field, or ``None``."""
        self._taken.add(field)
        return self.data.get(field)

    def text(self, field: str) -> str:
        """A field that must hold text; empty when it does not, which is then an error."""
        value = self.take(field)
        if isinstance(value, str):
            return value
        what = "is missing" if value is None else f"must be text, and is {_shown(value)}"
        self.reading.wrong((*self.path, field) if field in self.data else self.path, f"{field!r} {what}.")
        return ""

    def number(self, field: str, low: float, high: float, *, whole: bool = True) -> float | None:
        """A number within bounds, or ``None`` when the field is missing; anything else is an error."""
        value = self.take(field)
        if value is None:
            return None
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            message = f"must be {kind} from {low:g} to {high:g}, and is {_shown(value)}."
            self.reading.wrong((*self.path, field), message)
            return None
        return value

    def needed(self, field: str, low: float, high: float, *, whole: bool = True) -> float:
        """A number that must be there."""
        if not self.has(field):
            self.reading.wrong(self.path, f"{field!r} is missing.", "Archon does not start without it.")
        found = self.number(field, low, high, whole=whole)
        return low if found is None else found

    def report_rest(self, dead: Mapping[str, str], known: frozenset[str]) -> None:
        """Reports the fields that nobody took: those known to be dead with their story, others as unknown."""
        for field in self.data:
            if field in self._taken:
                continue
            if field in dead:
                self.remark(field, dead[field])
            else:
                close = get_close_matches(field, sorted(known), n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                self.remark(field, f"is in a field that Archon does not know.{hint}")


def _shown(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
