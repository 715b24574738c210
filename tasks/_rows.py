"""JSON lines, read so that every mistake in them is reported at once, with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archloom.tasks.errors import TaskFileError

_SHOWN = 20


@dataclass
class Problems:
    """Mistakes found in a file so far."""

    lines: list[str] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        """Notes one."""
        self.lines.append(f"{place}: {message}")

    def raise_any(self) -> None:
        """Ends the reading where there are any.

        Raises:
            TaskFileError: with a line for each of the first ones.
        """
        if self.lines:
            more = len(self.lines) - _SHOWN
            shown = [*self.lines[:_SHOWN], *([f"... and {more} more"] if more > 0 else [])]
            raise TaskFileError("\n".join(shown))


@dataclass(frozen=True)
class Row:
    """One object of a file of JSON lines.

    Attributes:
        place: File and line.
        number: Line, from 1.
        values: The object.
    """

    place: str
    number: int
    values: Mapping[str, object]

    def text(self, name: str, problems: Problems) -> str | None:
        """A field that must be there and be text or a number; otherwise the problem is noted."""
        value = self.values.get(name)
        if isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return str(value)
        if name not in self.values:
            problems.add(self.place, f"no field {name!r}; there are {', '.join(map(repr, self.values)) or 'none'}")
        else:
            problems.add(self.place, f"field {name!r} must be text or a number, not {json.dumps(value)[:80]}")
        return None


def read_rows(path: Path, problems: Problems) -> Iterator[Row]:
    """The objects of a file, in order; lines that are none are noted, blank lines are skipped.

    Raises:
        TaskFileError: the file cannot be read, or has nothing in it.
    """
    text = read_text(path)
    if not text.strip():
        raise TaskFileError(f"{path}: the file is empty.", hint="It needs one JSON object a line.")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as exc:
            problems.add(f"{place}:{exc.colno}", f"not JSON: {exc.msg}")
            continue
        if isinstance(values, dict):
            yield Row(place, number, values)
        else:
            problems.add(place, f"a task is a JSON object, not {line.strip()[:40]}")


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        TaskFileError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise TaskFileError(f"{path}: no such file") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise TaskFileError(f"{path}: cannot be read: {exc}") from exc
