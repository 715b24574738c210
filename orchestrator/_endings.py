"""How the calls of a run ended, in words: what was cut, what was empty, what failed and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from archloom.orchestrator._cell import Cell
from archloom.orchestrator._numbers import percent

_SAID = {
    "length": "cut by max_tokens",
    "empty": "without a word",
    "cancelled": "stopped early",
    "late": "later than the time budget",
    "tool_calls": "to call tools",
}
"""Endings that are no failure; the others are classes of failure."""


def describe_endings(cells: Iterable[Cell]) -> str | None:
    """One line on all calls that did not end by themselves; ``None`` when there are none."""
    calls, endings = 0, Counter[str]()
    for cell in cells:
        calls += cell.calls
        endings.update(cell.endings)
    if not endings:
        return None
    said = [f"{percent(count / calls)} % {_SAID.get(how, f'failed ({how})')}" for how, count in endings.most_common()]
    return f"of {calls:,} calls {', '.join(said)}"
