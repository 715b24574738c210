"""Results as text for a prompt or a reader, however large they are."""

from __future__ import annotations

from archloom.tools.sql._database import Row, SqlFailure, SqlResult, Value

LONGEST_SHOWN = 2000
"""Characters of a result that is shown; what is beyond is left out."""
_CELL = 60


def show_result(result: SqlResult, *, rows: int) -> str:
    """A result as a table of at most so many rows and 2000 characters, or what the database said.

    The last line says how many rows there are in all. Columns are parted by ``|``; ``NULL`` stands bare, and
    texts stand without quotes, cut after 60 characters.
    """
    if isinstance(result, SqlFailure):
        return f"{result.outcome}: {' '.join(result.message.split())}"[:LONGEST_SHOWN]
    shown = result.rows[:rows]
    some = f", {len(shown)} shown" if len(shown) < len(result.rows) else ""
    end = f"({len(result.rows)} row{'s' * (len(result.rows) != 1)}{some})"
    lines = [_line(result.columns), *map(_line, shown)]
    return "\n".join([_fitted("\n".join(lines), LONGEST_SHOWN - len(end) - 1), end])


def _line(row: Row | tuple[str, ...]) -> str:
    return " | ".join(map(_cell, row))


def _cell(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = " ".join(str(value).encode("utf-8", "replace").decode().split())
    return _fitted(text, _CELL)


def _fitted(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
