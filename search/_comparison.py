"""Workflows side by side on one task set: what ``archloom eval`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Literal, NamedTuple

from archloom.graphs import Configuration
from archloom.nodes import Budget
from archloom.orchestrator import (
    Cell,
    CellObserved,
    Evaluator,
    ModelPool,
    NodeRan,
    RunLog,
    Stopped,
    Usage,
    best_of_n,
    cells_file,
    self_consistency,
    single_call,
)
from archloom.orchestrator.errors import SearchBudgetError
from archloom.orchestrator.models import SampleStore
from archloom.orchestrator.report import Interval, Row
from archloom.search._evidence import check_evidence
from archloom.search._files import write_whole
from archloom.search._statistics import mean_interval, paired_difference
from archloom.tasks import TaskSet


class Gap(NamedTuple):
    """Difference between the first workflow and another, paired over tasks, with its 95 % interval."""

    name: str
    estimate: float
    low: float
    high: float
    tasks: int
    tokens_ratio: float


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the workflows, then baselines; gaps of the first against each other row."""

    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...]
    charged: Usage
    budget_ended: bool


async def evaluate_all(
    configurations: Sequence[Configuration],
    tasks: TaskSet,
    *,
    folder: Path,
    store: SampleStore,
    budget: Budget,
    concurrency: int = 8,
    baselines: bool = True,
    progress: Callable[[str, dict[str, list[Cell]]], None] = lambda head, cells: None,
) -> Comparison:
    """Runs workflows, and their baselines at matched tokens, on all tasks; goes on where the folder's run stopped.

    Raises:
        RunLogError: the folder holds another run.
        NoEvidenceError: every cell failed, or the budget ended before the first was done.
    """
    started = monotonic()
    log = RunLog.open(folder, "eval", {"tasks": tasks.digest[:16], "workflows": ",".join(c.id for c in configurations)})
    try:
        async with ModelPool(store, budget=budget) as pool:
            run = _Run(log, Evaluator(pool, tasks, concurrency=concurrency), progress)
            try:
                for configuration in configurations:
                    await run.add(configuration, "tried")
                run.need_evidence()
                if baselines:
                    await run.baselines(configurations[0])
            except SearchBudgetError as exc:
                run.need_evidence(exc)
                run.budget_ended = True
            finally:
                log.write(Stopped(charged=pool.charged.settled, wall_s=round(monotonic() - started, 3)))
            write_whole(folder / "cells.jsonl", cells_file([cell for own in run.done.values() for cell in own]))
            return run.comparison()
    finally:
        log.close()


class _Listed(NamedTuple):
    """How a configuration appears in the table."""

    name: str
    role: Literal["tried", "baseline"]


class _Run:
    """Cells of one evaluation, from the log and from the models."""

    def __init__(
        self, log: RunLog, evaluator: Evaluator, progress: Callable[[str, dict[str, list[Cell]]], None]
    ) -> None:
        self.log, self.evaluator, self.progress = log, evaluator, progress
        self.done: dict[str, list[Cell]] = {}
        self.listed: dict[str, _Listed] = {}
        self.budget_ended = False
        self._failure = ""
        self._known = {
            (event.cell["config"], event.cell["task"]): Cell(**event.cell)
            for event in log.events
            if isinstance(event, CellObserved) and event.cell["error"] is None  # what failed is tried again
        }
        evaluator.pool.charged.settled = log.charged

    async def add(self, configuration: Configuration, role: Literal["tried", "baseline"]) -> None:
        """Lists a configuration in the table and makes its cells."""
        id_, name = configuration.id, configuration.name
        if name in {listed.name for listed in self.listed.values()}:
            name = f"{name} ({id_[:6]})"
        self.listed.setdefault(id_, _Listed(name, role))
        await self.cells(configuration)

    async def cells(self, configuration: Configuration) -> list[Cell]:
        id_ = configuration.id
        if id_ in self.done:
            return self.done[id_]
        ids = [example.task.id for example in self.evaluator.tasks.examples]
        own = self.done.setdefault(id_, [self._known[id_, task] for task in ids if (id_, task) in self._known])
        missing = [task for task in ids if (id_, task) not in self._known]
        async for cell, result in self.evaluator.observe(configuration, missing):
            for outcome in result.nodes:
                self.log.write(NodeRan(task=cell.task, outcome=outcome.to_json()))
            self.log.write(CellObserved(cell=cell.to_json(), charged=self.evaluator.pool.charged.settled))
            own.append(cell)
            self._failure = self._failure or result.message
            self._tell()
        order = {task: place for place, task in enumerate(ids)}
        own.sort(key=lambda cell: order[cell.task])
        return own

    def need_evidence(self, ended: SearchBudgetError | None = None) -> None:
        """Goes on only when something was observed.

        Raises:
            NoEvidenceError: nothing was, or all of it failed.
        """
        check_evidence([cell for own in self.done.values() for cell in own], failure=self._failure, ended=ended)

    async def baselines(self, first: Configuration) -> None:
        """What the first workflow's tokens buy otherwise: a single call, and voting or judging over several."""
        one = single_call(first)
        if one is None:
            return
        await self.add(one, "baseline")
        tokens = fmean(cell.tokens for cell in self.done[first.id])
        for make in (self_consistency, best_of_n):
            samples = await self._matched(partial(make, first), tokens)
            rival = make(first, samples)
            if rival is not None and samples > 1:  # of one sample there is nothing to choose
                await self.add(rival, "baseline")

    async def _matched(self, make: Callable[[int], Configuration | None], tokens: float) -> int:
        """The number of samples at which a baseline costs these tokens per task, measured on these tasks."""
        samples = 1
        for _ in range(2):  # the first draws of a pool may be shorter or longer than its mean
            rival = make(samples)
            spent = fmean(cell.tokens for cell in await self.cells(rival)) if rival is not None else 0.0
            samples = max(1, round(samples * tokens / spent)) if spent else samples
        return samples

    def _tell(self) -> None:
        paid = self.evaluator.pool.charged.settled
        count = sum(map(len, self.done.values()))
        self.progress(f"{count:,} cells, {paid.calls:,} calls, {paid.tokens:,} tokens charged", self.done)

    def comparison(self) -> Comparison:
        first, *others = [id_ for id_ in self.listed if self.done.get(id_)]
        return Comparison(
            rows=tuple(self._row(id_) for id_ in (first, *others)),
            gaps=tuple(gap for other in others if (gap := self._gap(first, other)) is not None),
            charged=self.evaluator.pool.charged.settled,
            budget_ended=self.budget_ended,
        )

    def _row(self, id_: str) -> Row:
        cells = self.done[id_]
        score = mean_interval([cell.value for cell in cells])
        return Row(
            name=self.listed[id_].name,
            config_id=id_,
            role=self.listed[id_].role,
            tasks=len(cells),
            missing=sum(cell.failed for cell in cells),
            score=score.estimate,
            interval=Interval(low=score.low, high=score.high),
            **costs(cells),
        )

    def _gap(self, first: str, other: str) -> Gap | None:
        theirs = {cell.task: cell for cell in self.done[other]}
        both = [(cell, theirs[cell.task]) for cell in self.done[first] if cell.task in theirs]
        if not both:
            return None
        gap = paired_difference([a.value for a, _ in both], [b.value for _, b in both])
        ratio = sum(a.tokens for a, _ in both) / max(1, sum(b.tokens for _, b in both))
        return Gap(self.listed[other].name, *gap, len(both), ratio)


def costs(cells: Sequence[Cell]) -> dict[str, float]:
    """Mean deployed costs per task."""
    return {name: fmean(getattr(cell, name) for cell in cells) for name in ("tokens", "cost_usd", "latency_s", "calls")}
