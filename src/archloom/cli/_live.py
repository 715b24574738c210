"""What is said while a long command works: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from statistics import fmean
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from archloom.cli._options import talk

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archloom.orchestrator import Cell
    from archloom.search import State

_PLAIN_EVERY_S = 10.0
_ROWS = 12


class Live:
    """Shows progress on standard error, so that standard output stays data."""

    def __init__(self, title: str) -> None:
        from rich.live import Live as RichLive

        self._console = talk()
        self._title = title
        self._last = 0.0
        self._live = (
            RichLive(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        )

    def __enter__(self) -> Self:
        self.say(self._title)
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.__exit__(kind, exc, trace)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line)

    def search(self, state: State) -> None:
        """How far a search is."""
        seconds = monotonic() - state.started
        head = (
            f"{state.phase}: {state.cells:,} cells, {state.charged.calls:,} calls, {state.charged.tokens:,} tokens, "
            f"${state.charged.cost_usd:.4f} charged, {seconds:.0f} s"
        )
        part = state.report if state.phase == "report" else state.search
        self._show(head, part, state.leader)

    def cells(self, head: str, cells: dict[str, list[Cell]]) -> None:
        """How far an evaluation is."""
        self._show(head, cells, None)

    def _show(self, head: str, cells: dict[str, list[Cell]], leader: str | None) -> None:
        if self._live:
            self._live.update(_table(head, cells, leader))
        elif monotonic() - self._last >= _PLAIN_EVERY_S:
            self._last = monotonic()
            self.say(head)


def _table(head: str, cells: dict[str, list[Cell]], leader: str | None) -> RenderableType:
    from rich.table import Table

    from archloom.search import mean_interval

    table = Table(title=head, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in ("configuration", "tasks", "score", "95 %", "tokens"):
        table.add_column(name, justify="left" if name == "configuration" else "right")
    ranked = sorted((pair for pair in cells.items() if pair[1]), key=lambda pair: -fmean(c.value for c in pair[1]))
    for id_, own in ranked[:_ROWS]:
        score = mean_interval([cell.value for cell in own])
        table.add_row(
            id_,
            str(len(own)),
            f"{100 * score.estimate:.1f}",
            f"{100 * score.low:.0f}–{100 * score.high:.0f}",
            f"{fmean(cell.tokens for cell in own):,.0f}",
            style="bold" if id_ == leader else None,
        )
    return table
