"""Published tables as evaluators: every cell is known, so an optimizer can be judged without a call."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from archloom.orchestrator import Cell
from archloom.search._space import Axis, Point, Space
from archloom.search.errors import TableError
from archloom.search.optimizers import Observation

MISSING = "missing"
"""Error class of a cell that the table does not have."""


class Entry(NamedTuple):
    """A cell as tables in AgentOpt's format have it."""

    score: float
    latency_s: float
    tokens_in: float
    tokens_out: float
    cost_usd: float


@dataclass(frozen=True)
class Table:
    """Scores and costs of configurations on tasks.

    Attributes:
        name: The benchmark.
        configurations: Names such as ``planner=A + solver=B``; each role is an axis of the space.
        task_ids: The tasks.
        entries: Entry by configuration and task; some may be missing.
    """

    name: str
    configurations: tuple[str, ...]
    task_ids: tuple[str, ...]
    entries: Mapping[str, Mapping[str, Entry]]

    @classmethod
    def load(cls, path: Path) -> Table:
        """Reads a gzipped table in AgentOpt's format.

        Raises:
            TableError: it is no such table.
        """
        try:
            with gzip.open(path) as file:
                data = json.load(file)
            entries = {
                config: {task: Entry(*map(float, entry)) for task, entry in row.items()}
                for config, row in data["cells"].items()
            }
            return cls(data["benchmark"], tuple(data["models"]), tuple(map(str, data["datapoints"])), entries)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise TableError(f"{path}: not a gzipped table in AgentOpt's format: {exc!r}.") from exc

    @cached_property
    def roles(self) -> dict[str, tuple[str, ...]]:
        """The options of each role, in alphabetical order."""
        found: dict[str, set[str]] = {}
        for config in self.configurations:
            for role, option in _choices(config).items():
                found.setdefault(role, set()).add(option)
        return {role: tuple(sorted(options)) for role, options in found.items()}


def _choices(config: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in config.split(" + "))


class TableEvaluator:
    """Observes cells of a table, and knows what brute force would spend.

    Attributes:
        space: A point per configuration of the table; others are not valid.
        task_ids: The tasks of the table.
        spent_usd: Cost of all cells observed so far.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._by_point = {
            tuple(options.index(_choices(config)[role]) for role, options in table.roles.items()): config
            for config in table.configurations
        }
        self.space = Space(
            (Axis(role, options) for role, options in table.roles.items()),
            valid=self._by_point.__contains__,
            canonical=self._by_point.__getitem__,
        )
        self.task_ids = table.task_ids
        self.spent_usd = 0.0

    @property
    def brute_force_usd(self) -> float:
        """Cost of every cell of the table."""
        return sum(entry.cost_usd for row in self._table.entries.values() for entry in row.values())

    def cell(self, point: Point, task_id: str) -> Cell:
        """A cell without paying for it; one that the table does not have is a failed cell that cost nothing.

        The table does not count calls: one per role is assumed.
        """
        config = self.space.key(point)
        entry = self._table.entries.get(config, {}).get(task_id)
        if entry is None:
            return Cell(config, task_id, None, tokens=0, cost_usd=0.0, latency_s=0.0, calls=0, error=MISSING)
        tokens = round(entry.tokens_in + entry.tokens_out)
        return Cell(config, task_id, entry.score, tokens, entry.cost_usd, entry.latency_s, calls=len(self.space.axes))

    def observe(self, wanted: Sequence[Observation]) -> list[Cell]:
        """Pays for cells and hands them out in the order wanted."""
        cells = [self.cell(observation.point, task_id) for observation in wanted for task_id in observation.task_ids]
        self.spent_usd += sum(cell.cost_usd for cell in cells)
        return cells

    def true_scores(self) -> dict[Point, float]:
        """Mean score of every configuration over all tasks; a missing cell counts as 0."""
        count = len(self.task_ids)
        return {
            point: sum(self.cell(point, task_id).value for task_id in self.task_ids) / count
            for point in self.space.points()
        }
