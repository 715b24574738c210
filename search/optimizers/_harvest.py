"""Free cells: those whose every question has been asked for other cells of the same search."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
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
        self._seen: dict[Point, int] = {}
        self._asking: list[Demands] = []
        self._filed: defaultdict[str, list[int]] = defaultdict(list)
        self._narrower: dict[Point, tuple[int, list[int]]] = {}

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
        self._file(points)
        found = np.zeros((len(self._seen), len(self._task_ids)), dtype=bool)
        for point, tasks in self._drawn.items():
            if covered := self._covered(point):
                found[covered] |= tasks
        for observation in wanted:
            if covered := self._covered(observation.point):
                found[np.ix_(covered, [self._column[task] for task in observation.task_ids])] = True
        for point in points:
            if (tasks := found[self._seen[point]]).any():
                yield point, tuple(self._task_ids[tasks].tolist())

    def _file(self, points: Sequence[Point]) -> None:
        """Files new ones under the question that fewest of them ask: whoever covers one asks that as well."""
        new = [point for point in points if point not in self._seen]
        asking = [self._space.demands(point) for point in new]
        asked_by = Counter(question for demands in asking for question in demands)
        for point, demands in zip(new, asking, strict=True):
            self._filed[min(demands, key=asked_by.__getitem__, default="")].append(len(self._seen))
            self._seen[point] = len(self._seen)
            self._asking.append(demands)

    def _none(self) -> Tasks:
        return np.zeros(len(self._task_ids), dtype=bool)

    def _covered(self, point: Point) -> list[int]:
        """Rows of the other configurations that ask for nothing that this one does not ask for."""
        looked_at, rows = self._narrower.get(point, (0, []))
        if looked_at < len(self._seen):
            wider, own = self._space.demands(point), self._seen.get(point)
            for question in ("", *wider):
                filed = self._filed.get(question, [])
                new = filed[bisect_left(filed, looked_at) :]
                rows += [row for row in new if row != own and covers(wider, self._asking[row])]
            self._narrower[point] = len(self._seen), rows
        return rows
