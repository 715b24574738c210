"""Reading a run folder: the cells that two runs, or two rows of one, can be compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from archloom.orchestrator import Cell, CellObserved, Started, read_events
from archloom.orchestrator.errors import RunLogError
from archloom.orchestrator.report import ReportData
from archloom.search._paired import Paired, paired
from archloom.tools.errors import UsageError


@dataclass(frozen=True)
class RunFolder:
    """A finished evaluation or search.

    Attributes:
        path: Where it is.
        tasks: Digest of the tasks that its rows were scored on; those of the report, for a search.
        main: Id of the configuration that the run is about: the first workflow of an evaluation, the winner of a
            search.
        cells: By configuration and task.
    """

    path: Path
    tasks: str
    main: str
    cells: Mapping[str, Mapping[str, Cell]]

    @classmethod
    def read(cls, path: Path) -> RunFolder:
        """The run in this folder.

        Raises:
            RunLogError: there is none, or it cannot be read.
            UsageError: it is a search that has not come to its report.
        """
        events = read_events(path)
        if not events or not isinstance(events[0], Started):
            raise RunLogError(f"{path}: the run log is empty.", hint="Name the folder of a run.")
        started = events[0]
        cells: dict[str, dict[str, Cell]] = {}
        for event in events:
            if isinstance(event, CellObserved) and event.part == "report":
                cell = Cell(**event.cell)
                cells.setdefault(cell.config, {})[cell.task] = cell  # a failure that was tried again is replaced
        if started.kind == "search":
            return cls(path, started.identity["tasks"].partition("/")[2], _winner(path), cells)
        return cls(path, started.identity["tasks"], started.identity["workflows"].partition(",")[0], cells)

    def row(self, config: str, name: str) -> Side:
        """One configuration of this run.

        Raises:
            UsageError: it has no cells here.
        """
        if not self.cells.get(config):
            raise UsageError(
                f"{self.path}: {name} (configuration {config}) was not scored in this run.",
                hint="'archloom eval' scores it on a task set.",
            )
        return Side(name, config, self.tasks, self.cells[config])


def _winner(path: Path) -> str:
    file = path / "report.json"
    again = "'archloom search' on this folder finishes it."
    if not file.exists():
        raise UsageError(f"{path}: there is no finished search.", hint=again)
    try:
        winner = ReportData.model_validate_json(file.read_bytes()).winner
    except ValidationError as exc:
        raise UsageError(f"{file}: not a report of this version of archloom.", hint=again) from exc
    if winner is None:
        raise UsageError(f"{file}: names no winner.", hint=again)
    return winner.config_id


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        name: For people.
        config: Id of the configuration.
        tasks: Digest of the task set.
        cells: By task.
    """

    name: str
    config: str
    tasks: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Differing:
    """A task on which the two differ."""

    task: str
    scores: tuple[float | None, float | None]
    """``None`` is a failed cell, which counts as 0."""
    answers: tuple[str | None, str | None]


@dataclass(frozen=True)
class SideBySide:
    """Two configurations on the tasks that both were scored on.

    Attributes:
        sides: What is compared.
        pair: Difference, tests and tasks needed.
        scores: Mean score of each.
        tokens: Deployed tokens per task of each; likewise the cost.
        failed: Failed cells of each.
        differing: The tasks on which the scores differ.
    """

    sides: tuple[Side, Side]
    pair: Paired
    scores: tuple[float, float]
    tokens: tuple[float, float]
    cost_usd: tuple[float, float]
    failed: tuple[int, int]
    differing: tuple[Differing, ...]


def side_by_side(first: Side, second: Side) -> SideBySide:
    """Compares two configurations task by task.

    Raises:
        UsageError: they were scored on different task sets, or have no task in common.
    """
    if first.tasks != second.tasks:
        raise UsageError(
            f"{first.name} and {second.name} were scored on different task sets ({first.tasks} and {second.tasks}), "
            "so their difference would be one of tasks too.",
            hint="Score both with 'archloom eval' on one set; --held-out takes the one that a search kept.",
        )
    tasks = sorted(first.cells.keys() & second.cells.keys())
    if not tasks:
        raise UsageError(
            f"{first.name} and {second.name} have no task in common: the budget of one ended before.",
            hint="The same 'archloom eval' with a larger budget goes on.",
        )
    one, two = [first.cells[task] for task in tasks], [second.cells[task] for task in tasks]
    return SideBySide(
        sides=(first, second),
        pair=paired([cell.value for cell in one], [cell.value for cell in two]),
        scores=(fmean(cell.value for cell in one), fmean(cell.value for cell in two)),
        tokens=(fmean(cell.tokens for cell in one), fmean(cell.tokens for cell in two)),
        cost_usd=(fmean(cell.cost_usd for cell in one), fmean(cell.cost_usd for cell in two)),
        failed=(sum(cell.failed for cell in one), sum(cell.failed for cell in two)),
        differing=tuple(
            Differing(a.task, (a.score, b.score), (a.answer, b.answer))
            for a, b in zip(one, two, strict=True)
            if a.score != b.score
        ),
    )
