"""Files of finished runs, a JSON line each, so that an interrupted comparison goes on; and the tables made of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from archloom.search import Interval


def read(path: Path) -> list[dict[str, Any]]:
    """The runs of a file; a last line that was not written whole is ended, and does not count."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
    return [row for line in text.splitlines() if (row := _row(line)) is not None]


def _row(line: str) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds a finished run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def write(page: Path, name: str, table: str) -> None:
    """Replaces what stands between ``<!-- measured: NAME -->`` and ``<!-- /measured -->`` in a page of the docs.

    Raises:
        ValueError: the page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    head, opened, rest = text.partition(f"<!-- measured: {name} -->\n")
    _, closed, tail = rest.partition("<!-- /measured -->")
    if not (opened and closed):
        raise ValueError(f"{page} has no place for {name!r}.")
    page.write_text(f"{head}{opened}\n{table.strip()}\n\n{closed}{tail}", encoding="utf-8")


def mean(values: Sequence[float]) -> Interval:
    """Mean over runs and its 95% interval, Student's; of differences of paired runs it is the paired interval."""
    if len(values) < 2:
        return Interval(fmean(values), -math.inf, math.inf)
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values), fmean(values) - half, fmean(values) + half)


def shown(interval: Interval, digits: int = 3) -> str:
    """As tables have it; of a single run there is no interval."""
    if math.isinf(interval.low):
        return f"{interval.estimate:.{digits}f}"
    return f"{interval.estimate:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
