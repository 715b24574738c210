"""Cells: what was observed of each configuration on each task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from archloom.graphs import Measure
from archloom.orchestrator import Cell
from archloom.search.errors import UnknownTaskError

MEASURES: tuple[Measure, ...] = get_args(Measure)


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
        self._rows: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, NDArray[np.intp]] = {}
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
        if cell.config not in self._rows:
            self._rows[cell.config] = np.zeros((len(MEASURES), len(self.task_ids)))
            self._counts[cell.config] = np.zeros(len(self.task_ids), dtype=np.intp)
        column = self._column[cell.task]
        self._rows[cell.config][:, column] += [sign * cell.measure(measure) for measure in MEASURES]
        self._counts[cell.config][column] += sign

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
        return config in self._counts and bool(self._counts[config][self._column[task]])

    @property
    def configs(self) -> tuple[str, ...]:
        """Keys of the configurations that have cells, in the order of their first cells."""
        return tuple(self._rows)

    def of(self, config: str) -> tuple[Cell, ...]:
        """The cells of a configuration, in the common order of tasks."""
        own = (cell for cell in self if cell.config == config)
        return tuple(sorted(own, key=lambda cell: (self._column[cell.task], cell.replicate)))

    def n_tasks(self, config: str) -> int:
        """Number of tasks on which a configuration has been observed."""
        return int((self._counts[config] > 0).sum()) if config in self._counts else 0

    def tasks(self, *configs: str) -> tuple[str, ...]:
        """The tasks that all these configurations have cells of, in the common order."""
        seen = np.ones(len(self.task_ids), dtype=bool)
        for config in configs:
            seen &= self._counts.get(config, np.zeros(len(self.task_ids), dtype=np.intp)) > 0
        return tuple(task for task, both in zip(self.task_ids, seen, strict=True) if both)

    def failures(self, config: str) -> int:
        """Number of failed cells of a configuration."""
        return sum(cell.failed for cell in self._cells.values() if cell.config == config)

    def matrix(self, measure: Measure, configs: Sequence[str]) -> NDArray[np.float64]:
        """A row per configuration, a column per task; NaN where nothing has been observed, or it is not known."""
        full = np.full((len(configs), len(self.task_ids)), np.nan)
        for row, config in enumerate(configs):
            if config in self._rows:
                counts = self._counts[config]
                seen = counts > 0
                full[row, seen] = self._rows[config][MEASURES.index(measure)][seen] / counts[seen]
        return full

    def means(self, configs: Sequence[str]) -> dict[Measure, NDArray[np.float64]]:
        """Mean of every measure over the tasks each configuration was observed on; it must have been on some.

        A measure that is known of none of them is left out; of those of which it is not known, it is NaN.
        """
        seen = ~np.isnan(self.matrix("score", configs))
        means = {measure: np.mean(self.matrix(measure, configs), axis=1, where=seen) for measure in MEASURES}
        return {measure: mean for measure, mean in means.items() if not np.isnan(mean).all()}
