"""Tables and the front, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archloom.cli._options import page

if TYPE_CHECKING:
    from archloom.orchestrator.report import Row

_WIDTH = 44


def page_text(text: str, *, style: str | None = None) -> None:
    """A line of the result."""
    page().print(text, soft_wrap=True, style=style)


def comparison(rows: Sequence[Row]) -> None:
    """One line a configuration: score with interval, cost, and the difference at matched tokens."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("configuration")
    table.add_column("role")
    for name in ("score", "95 %", "tokens", "USD", "s", "missing", "at matched tokens"):
        table.add_column(name, justify="right")
    for row in rows:
        interval = f"[{100 * row.interval.low:.1f}, {100 * row.interval.high:.1f}]" if row.interval else ""
        table.add_row(
            row.name,
            row.role,
            f"{100 * (row.score or 0):.1f}",
            interval,
            f"{row.tokens:,.0f}",
            f"{row.cost_usd:.5f}" if row.cost_usd else "0",
            f"{row.latency_s:.2f}",
            str(row.missing or ""),
            _matched(row),
            style="bold" if row.role == "winner" else None,
        )
    page().print(table)


def _matched(row: Row) -> str:
    if row.matched is None or row.matched_difference is None or row.matched_interval is None:
        return ""
    low, high = row.matched_interval.low, row.matched_interval.high
    rival = row.matched.replace("self-consistency", "SC").split(" T")[0]
    return f"{100 * row.matched_difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] vs {rival}"


def front_chart(rows: Sequence[Row]) -> str:
    """The front as bars: tokens per task, score, name."""
    lines = []
    for row in sorted(rows, key=lambda row: row.tokens):
        bar = "█" * round((row.score or 0) * _WIDTH)
        lines.append(f"{row.tokens:>9,.0f} tokens  {bar:<{_WIDTH}} {100 * (row.score or 0):5.1f}  {row.name}")
    return "\n".join(lines)
