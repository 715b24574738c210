"""When there is nothing to go by: a comparison of failures would look like a result."""

from __future__ import annotations

from collections.abc import Sequence

from archloom.orchestrator import Cell
from archloom.orchestrator.errors import SearchBudgetError
from archloom.search.errors import NoEvidenceError


def check_evidence(cells: Sequence[Cell], *, failure: str, ended: SearchBudgetError | None = None) -> None:
    """Passes when at least one of these cells has a score.

    Args:
        cells: Everything observed so far.
        failure: What the first failed cell said.
        ended: The end of the budget, if that is why no more was observed.

    Raises:
        NoEvidenceError: there is no cell, or all of them failed.
    """
    if not cells:
        why = f": {ended.message}" if ended else "."
        raise NoEvidenceError(
            f"Nothing was observed before the budget ended{why}",
            hint="Raise the limit; 'archloom plan' says what a task may cost.",
        ) from ended
    if all(cell.failed for cell in cells):
        raise NoEvidenceError(
            f"All {len(cells)} cells failed, so there is nothing to compare. The first: {failure}",
            hint="Put that right; the same command tries them again.",
        )
