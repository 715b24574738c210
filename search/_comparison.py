"""Workflows side by side on one task set: what ``archloom eval`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Literal, NamedTuple

from archloom.graphs import Configuration
from archloom.nodes import Budget
from archloom.orchestrator import (
    AnyEvent,
    Cell,
    CellObserved,
    Evaluator,
    ModelPool,
    NodeRan,
    RunLog,
    ServerSeen,
    Stopped,
    Usage,
    best_of_n,
    cells_file,
    describe_endings,
    self_consistency,
    single_call,
)
from archloom.orchestrator.errors import SearchBudgetError
from archloom.orchestrator.models import SampleStore, StoreUse
from archloom.orchestrator.report import Interval, Row
from archloom.search._cells import MEASURES
from archloom.search._evidence import check_evidence
from archloom.search._files import write_whole
from archloom.search._paired import paired
from archloom.search._statistics import mean_interval
from archloom.tasks import TaskSet


class Gap(NamedTuple):
    """Difference between the first workflow and another, paired over tasks, with its 95 % interval.

    ``p_value`` is that of the exact McNemar test, where all scores are 0 or 1; ``tasks_needed`` the number of tasks
    that would tell the two apart at 5 % with a power of 0.8, were this the true difference.
    """

    name: str
    estimate: float
    low: float
    high: float
    tasks: int
    tokens_ratio: float
    p_value: float | None = None
    tasks_needed: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the workflows, then baselines; gaps of the first against each other row.

    ``cost_models`` says how the calls of each model are priced.
    """

    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...]
    charged: Usage
    budget_ended: bool
    endings: str | None
    """How calls ended that did not end by themselves, in words."""
    servers: tuple[tuple[str, str], ...] = ()
    """What the servers that tell about it did, by model, in words."""
    cost_models: tuple[tuple[str, str], ...] = ()


async def evaluate_all(
    configurations: Sequence[Configuration],
    tasks: TaskSet,
    *,
    folder: Path,
    store: SampleStore,
    use: StoreUse = "reuse",
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
    identity = {"tasks": tasks.digest[:16], "workflows": ",".join(c.id for c in configurations)}
    log = RunLog.open(folder, "eval", identity | ({"store": use} if use != "reuse" else {}))
    try:
        async with ModelPool(store, use=use, budget=budget) as pool:
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
                for model, load in (await pool.loads()).items():
                    log.write(ServerSeen(model=model, load=load))
                log.write(Stopped(charged=pool.charged.settled, wall_s=round(monotonic() - started, 3)))
            write_whole(folder / "cells.jsonl", cells_file([cell for own in run.done.values() for cell in own]))
            return replace(run.comparison(), cost_models=cost_models(pool, configurations))
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
                self.log.write(NodeRan(task=cell.task, outcome=outcome.to_json(), config=id_))
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
            endings=describe_endings(cell for own in self.done.values() for cell in own),
            servers=servers_seen(self.log.events),
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
        pair = paired([a.value for a, _ in both], [b.value for _, b in both])
        ratio = sum(a.tokens for a, _ in both) / max(1, sum(b.tokens for _, b in both))
        p_value = pair.mcnemar.p_value if pair.mcnemar else None
        return Gap(self.listed[other].name, *pair.difference, pair.tasks, ratio, p_value, pair.needed)


def servers_seen(events: Iterable[AnyEvent]) -> tuple[tuple[str, str], ...]:
    """What servers did while this run used them, by model; the last process of the run speaks."""
    seen = {event.model: str(event.load) for event in events if isinstance(event, ServerSeen)}
    return tuple(sorted(seen.items()))


def costs(cells: Sequence[Cell]) -> dict[str, float]:
    """Mean deployed costs per task, of those that are known."""
    means = {name: fmean(cell.measure(name) for cell in cells) for name in MEASURES if name != "score"}
    return {name: mean for name, mean in means.items() if not isnan(mean)}


def cost_models(pool: ModelPool, configurations: Iterable[Configuration]) -> tuple[tuple[str, str], ...]:
    """How the calls of the models that these use are priced, and what their FLOPs follow from, by model."""
    found: dict[str, str] = {}
    for configuration in configurations:
        for name, sampler in pool.peek(configuration).items():
            costs = str(sampler.costs)
            if found.setdefault(name, costs) != costs:  # another document's model of the same name
                found[f"{name} of {configuration.name}"] = costs
    return tuple(found.items())
