"""Tables and the front, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from archloom.cli._options import page

if TYPE_CHECKING:
    from archloom.orchestrator.report import Row

_WIDTH = 44


def page_text(text: str, *, style: str | None = None) -> None:
    """A line of the result."""
    page().print(text, soft_wrap=True, style=style)


def comparison(rows: Sequence[Row]) -> None:
    """One line a configuration: score with interval, cost, and the difference at matched tokens.

    Columns that would say nothing about any of them (no price, nothing missing) are left out.
    """
    from rich.table import Table

    columns = {
        "configuration": [row.name for row in rows],
        "role": [row.role if any(other.role == "winner" for other in rows) else "" for row in rows],
        "score": [f"{100 * (row.score or 0):.1f}" for row in rows],
        "95 %": [_interval(row) for row in rows],
        "tokens": [f"{row.tokens:,.0f}" for row in rows],
        "USD": [f"{row.cost_usd:.5f}" if row.cost_usd else "" for row in rows],
        "s": [f"{row.latency_s:.2f}" for row in rows],
        "missing": [str(row.missing or "") for row in rows],
        "at matched tokens": [_matched(row) for row in rows],
    }
    shown = {name: values for name, values in columns.items() if any(values)}
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in shown:
        table.add_column(name, justify="left" if name in {"configuration", "role"} else "right")
    for row, values in zip(rows, zip(*shown.values(), strict=True), strict=True):
        table.add_row(*values, style="bold" if row.role == "winner" else None)
    page().print(table)


def cost_models(models: Iterable[tuple[str, str]]) -> None:
    """A line for each model: where its price comes from, and what its FLOPs follow from."""
    for name, costs in models:
        page_text(f"costs of {name}: {costs}")


def _interval(row: Row) -> str:
    return f"[{100 * row.interval.low:.1f}, {100 * row.interval.high:.1f}]" if row.interval else ""


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
