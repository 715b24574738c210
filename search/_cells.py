"""Cells: what was observed of each configuration on each task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from archloom.graphs import Measure
from archloom.orchestrator import Cell
from archloom.search.errors import UnknownTaskError

MEASURES: tuple[Measure, ...] = get_args(Measure)
_FIRST_ROWS = 16


class Cells:
    """All cells of a search, and views of them as matrices.

    A later cell replaces an earlier one of the same configuration, task and replicate, as a retried failure
    does. Several replicates of a cell are averaged in every view.

    Args:
        task_ids: The tasks of the search in their common order: the columns of all matrices.
        cells: First cells.
    """

    def __init__(self, task_ids: Sequence[str], cells: Iterable[Cell] = ()) -> None:
        self.task_ids = tuple(task_ids)
        self._column = {task: column for column, task in enumerate(self.task_ids)}
        self._cells: dict[tuple[str, str, int], Cell] = {}
        self._row: dict[str, int] = {}
        self._sums = np.zeros((len(MEASURES), _FIRST_ROWS, len(self.task_ids)))
        self._counts = np.zeros((_FIRST_ROWS, len(self.task_ids)), dtype=np.intp)
        self._failed: Counter[str] = Counter()
        for cell in cells:
            self.add(cell)

    def add(self, cell: Cell) -> None:
        """Puts a cell in.

        Raises:
            UnknownTaskError: its task is not of this search.
        """
        if cell.task not in self._column:
            raise UnknownTaskError(f"Task {cell.task!r} is not among the {len(self.task_ids)} tasks of this search.")
        if cell.key in self._cells:
            self._count(self._cells[cell.key], -1)
        self._cells[cell.key] = cell
        self._count(cell, 1)

    def _count(self, cell: Cell, sign: int) -> None:
        row, column = self._row.setdefault(cell.config, len(self._row)), self._column[cell.task]
        if row == len(self._counts):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)], axis=1)
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._sums[:, row, column] += [sign * cell.measure(measure) for measure in MEASURES]
        self._counts[row, column] += sign
        self._failed[cell.config] += sign * cell.failed

    def __iter__(self) -> Iterator[Cell]:
        """The cells in the order in which their addresses were first told."""
        return iter(self._cells.values())

    def __len__(self) -> int:
        return len(self._cells)

    def __contains__(self, address: object) -> bool:
        """Whether ``(configuration key, task id)`` has been observed, failed cells included."""
        if not isinstance(address, tuple):
            return False
        config, task = address
        return config in self._row and bool(self._counts[self._row[config], self._column[task]])

    @property
    def configs(self) -> tuple[str, ...]:
        """Keys of the configurations that have cells, in the order of their first cells."""
        return tuple(self._row)

    def of(self, config: str) -> tuple[Cell, ...]:
        """The cells of a configuration, in the common order of tasks."""
        own = (cell for cell in self if cell.config == config)
        return tuple(sorted(own, key=lambda cell: (self._column[cell.task], cell.replicate)))

    def n_tasks(self, config: str) -> int:
        """Number of tasks on which a configuration has been observed."""
        return int((self._counts[self._row[config]] > 0).sum()) if config in self._row else 0

    def tasks(self, *configs: str) -> tuple[str, ...]:
        """The tasks that all these configurations have cells of, in the common order."""
        seen = np.ones(len(self.task_ids), dtype=bool)
        for config in configs:
            seen &= (self._counts[self._row[config]] > 0) if config in self._row else False
        return tuple(task for task, both in zip(self.task_ids, seen, strict=True) if both)

    def failures(self, config: str) -> int:
        """Number of failed cells of a configuration."""
        return self._failed[config]

    def matrix(self, measure: Measure, configs: Sequence[str]) -> NDArray[np.float64]:
        """A row per configuration, a column per task; NaN where nothing has been observed, or it is not known."""
        full = np.full((len(configs), len(self.task_ids)), np.nan)
        known = [place for place, config in enumerate(configs) if config in self._row]
        rows = [self._row[configs[place]] for place in known]
        counts = self._counts[rows]
        sums = self._sums[MEASURES.index(measure)][rows]
        full[known] = np.divide(sums, counts, out=full[known], where=counts > 0)
        return full

    def means(self, configs: Sequence[str]) -> dict[Measure, NDArray[np.float64]]:
        """Mean of every measure over the tasks each configuration was observed on; it must have been on some.

        A measure that is known of none of them is left out; of those of which it is not known, it is NaN.
        """
        seen = ~np.isnan(self.matrix("score", configs))
        means = {measure: np.mean(self.matrix(measure, configs), axis=1, where=seen) for measure in MEASURES}
        return {measure: mean for measure, mean in means.items() if not np.isnan(mean).all()}
