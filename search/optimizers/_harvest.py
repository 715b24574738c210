"""Free cells: those whose every question has been asked for other cells of the same search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from archloom.nodes import FinishReason
from archloom.orchestrator import Cell
from archloom.search._demands import Demands, covers
from archloom.search._space import Point, Space
from archloom.search.optimizers._base import Observation

_CAME_BACK = frozenset(get_args(FinishReason)) - {"cancelled"}
Tasks = NDArray[np.bool_]


class Harvest:
    """Knows which cells need no new sample.

    A cell is free when another one of the same task asked for all that it asks for, whatever the models replied. Only
    the search's own cells count, never what a store held before: so a search that goes on, and one that is run again
    over a full store, decide alike. A cell with a failed call frees nothing, because such a call is made again.

    Args:
        space: Says what each configuration asks for.
        task_ids: The tasks of the search.
    """

    def __init__(self, space: Space, task_ids: Sequence[str]) -> None:
        self._space = space
        self._task_ids = np.array(task_ids, dtype=object)
        self._column = {task: column for column, task in enumerate(task_ids)}
        self._drawn: dict[Point, Tasks] = {}
        self._points: tuple[Point, ...] = ()
        self._asking: tuple[Demands, ...] = ()
        self._rows_by_rarest: Mapping[str, Sequence[int]] = {}
        self._rows: dict[Point, NDArray[np.intp]] = {}

    def add(self, cell: Cell) -> None:
        """Learns of a cell that was observed."""
        if not cell.failed and _CAME_BACK.issuperset(cell.endings):
            tasks = self._drawn.setdefault(self._space.point(cell.config), self._none())
            tasks[self._column[cell.task]] = True

    def free(self, points: tuple[Point, ...], wanted: Sequence[Observation]) -> Iterator[tuple[Point, tuple[str, ...]]]:
        """The configurations that have cells which cost nothing or are there already, and the tasks of these.

        Args:
            points: Those to look at.
            wanted: What will have been observed by then.
        """
        if points != self._points:
            self._look_at(points)
        found = np.zeros((len(points), len(self._task_ids)), dtype=bool)
        for point, tasks in self._drawn.items():
            if (rows := self._covered(point)).size:
                found[rows] |= tasks
        for observation in wanted:
            tasks = self._none()
            tasks[[self._column[task] for task in observation.task_ids]] = True
            found[self._covered(observation.point)] |= tasks
        for row in np.flatnonzero(found.any(axis=1)).tolist():
            yield points[row], tuple(self._task_ids[found[row]].tolist())

    def _look_at(self, points: tuple[Point, ...]) -> None:
        """Files each configuration under the question that fewest others ask: whoever covers it asks that as well."""
        self._points, self._rows = points, {}
        self._asking = tuple(map(self._space.demands, points))
        asked_by = Counter(question for demands in self._asking for question in demands)
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, demands in enumerate(self._asking):
            rows[min(demands, key=asked_by.__getitem__, default="")].append(row)
        self._rows_by_rarest = rows

    def _none(self) -> Tasks:
        return np.zeros(len(self._task_ids), dtype=bool)

    def _covered(self, point: Point) -> NDArray[np.intp]:
        """Rows of the other configurations that ask for nothing that this one does not ask for."""
        if point not in self._rows:
            wider = self._space.demands(point)
            possible = (row for question in ("", *wider) for row in self._rows_by_rarest.get(question, ()))
            rows = [row for row in possible if self._points[row] != point and covers(wider, self._asking[row])]
            self._rows[point] = np.array(rows, dtype=np.intp)
        return self._rows[point]
