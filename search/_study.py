"""A study: space, evaluator, optimizer, objective and budget; it stops, goes on, and replays exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal, NamedTuple

from archloom.graphs import Configuration, Objective
from archloom.nodes import Budget
from archloom.orchestrator import (
    Cell,
    CellObserved,
    Decided,
    Evaluator,
    RunLog,
    Stopped,
    Usage,
    cells_file,
)
from archloom.orchestrator.errors import SearchBudgetError
from archloom.search._consultation import Consultation
from archloom.search._evidence import check_evidence
from archloom.search._of_document import DocumentSpace
from archloom.search._space import Point
from archloom.search.optimizers import Observation, Optimizer, Recommendation
from archloom.search.optimizers._thinking import Publisher, Thinker

Progress = Callable[["State"], None]
SEARCH_SHARE = 0.75
"""Share of a search budget that the search may use; the rest is for the held-out report."""


class Reached(NamedTuple):
    """What the search would have recommended once it had paid this much.

    Attributes:
        tokens: Charged so far; likewise the cost.
        leader: Id of the configuration.
        cells: Cells observed so far.
        front: Ids of the leader and of what it would have named beside it.
    """

    tokens: int
    cost_usd: float
    leader: str
    cells: int
    front: tuple[str, ...] = ()


@dataclass
class State:
    """How far a study is; what the live table shows.

    Attributes:
        phase: What it does now.
        cells: Cells observed so far, in all parts.
        search: Cells of the search part by configuration.
        leader: The configuration that the search would recommend now.
        charged: Paid so far, over all processes of this run.
        started: ``monotonic()`` of this process's start.
        stopped: Why the search ended.
    """

    phase: str = "search"
    cells: int = 0
    search: dict[str, list[Cell]] = field(default_factory=dict)
    report: dict[str, list[Cell]] = field(default_factory=dict)
    leader: str | None = None
    charged: Usage = field(default_factory=Usage)
    started: float = field(default_factory=monotonic)
    stopped: str = ""
    convergence: list[Reached] = field(default_factory=list)


class Study:
    """Runs a search to its recommendation, and evaluates configurations on held-out tasks.

    Everything is written to the log as it happens. A study that is run again on the same log takes the cells
    that are there as known and goes the same way: the optimizer is told cells in the order in which it asked
    for them, never in the order in which they were done.
    """

    def __init__(
        self,
        space: DocumentSpace,
        evaluator: Evaluator,
        optimizer: Optimizer,
        log: RunLog,
        *,
        objective: Objective,
        progress: Progress = lambda state: None,
    ) -> None:
        self.space, self.evaluator, self.optimizer, self.log = space, evaluator, optimizer, log
        self.objective = objective
        self.state = State()
        self._progress = progress
        self._consult = Consultation(space.document, evaluator.pool, log)
        self._known = {
            (event.part, *_key(event.cell)): event
            for event in log.events
            if isinstance(event, CellObserved) and event.cell["error"] is None  # what failed is tried again
        }
        self.observed: dict[Point, None] = {}
        self._failure = ""
        self._paid_then = Usage()  # when the cells that the optimizer was told last were observed
        evaluator.pool.charged.settled = max(log.charged, self._consult.charged, key=lambda usage: usage.calls)

    @property
    def charged(self) -> Usage:
        """Paid so far by all processes of this run."""
        return self.evaluator.pool.charged.settled

    async def search(self) -> Recommendation:
        """Asks, observes and tells until the optimizer or the budget ends it.

        Raises:
            NoEvidenceError: the budget ended before anything was observed, or all of it failed.
        """
        ended: SearchBudgetError | None = None
        with self._search_share():
            while not self.state.stopped:
                cells: list[Cell] = []
                try:
                    if isinstance(self.optimizer, Thinker):
                        await self.optimizer.think(self._consult)
                    wanted = self.optimizer.ask()
                    if not wanted:
                        self.state.stopped = "the optimizer's own stopping rule"
                        break
                    for observation in wanted:
                        await self._observe(observation, cells)
                except SearchBudgetError as exc:
                    self.state.stopped, ended = f"the search's share of the budget ({SEARCH_SHARE:.0%}) is used", exc
                if len(self.observed) > 1:  # one configuration may fail by itself
                    self._need_evidence(ended)
                self.optimizer.tell(cells)
                self._converge(cells)
        self._need_evidence(ended)
        recommendation = self.optimizer.recommend()
        published = self.optimizer.published() if isinstance(self.optimizer, Publisher) else {}
        self._decide("search_stopped", why=self.state.stopped, **published)
        return recommendation

    async def report_on(
        self, configurations: Iterable[Configuration], task_ids: Sequence[str]
    ) -> dict[str, list[Cell]]:
        """Cells of these configurations on held-out tasks, by configuration; fewer when the budget ends."""
        self.state.phase = "report"
        out: dict[str, list[Cell]] = {}
        for configuration in configurations:
            if configuration.id in self.state.report:
                out[configuration.id] = self.state.report[configuration.id]
                continue
            cells = out.setdefault(configuration.id, [])
            try:
                await self._cells("report", configuration, task_ids, cells)
            except SearchBudgetError as exc:
                self.state.stopped = exc.message
            order = {task: place for place, task in enumerate(task_ids)}
            cells.sort(key=lambda cell: order[cell.task])
            self.state.report[configuration.id] = cells
        return out

    def close(self) -> None:
        """Writes what this process paid; call it however the study ends."""
        self.log.write(Stopped(charged=self.charged, wall_s=round(monotonic() - self.state.started, 3)))

    @property
    def cells(self) -> list[Cell]:
        """All cells of the study, search and report."""
        return [cell for part in (self.state.search, self.state.report) for c in part.values() for cell in c]

    def cells_file(self) -> bytes:
        """All cells of the study, search and report, in one fixed order."""
        return cells_file(self.cells)

    def _need_evidence(self, ended: SearchBudgetError | None) -> None:
        cells = [cell for own in self.state.search.values() for cell in own]
        check_evidence(cells, failure=self._failure, ended=ended)

    def _need_time(self) -> None:
        limit = self.evaluator.pool.charged.budget.time_s
        if limit is not None and monotonic() - self.state.started >= limit:
            raise SearchBudgetError("the time of the search budget is used up.")

    @contextmanager
    def _search_share(self) -> Iterator[None]:
        """Keeps the search within its share, so that something is left for the report."""
        ledger = self.evaluator.pool.charged
        whole = ledger.budget
        ledger.budget = Budget.model_validate(
            {
                name: max(1, int(SEARCH_SHARE * limit)) if isinstance(limit, int) else SEARCH_SHARE * limit
                for name, limit in whole
                if limit is not None
            }
        )
        try:
            yield
        finally:
            ledger.budget = whole

    async def _observe(self, observation: Observation, cells: list[Cell]) -> None:
        self.observed[observation.point] = None
        configuration = self.space.configuration(observation.point)
        found: list[Cell] = []
        try:
            await self._cells("search", configuration, observation.task_ids, found)
        finally:
            order = {task: place for place, task in enumerate(observation.task_ids)}
            found.sort(key=lambda cell: order[cell.task])
            cells.extend(found)
            self.state.search.setdefault(configuration.id, []).extend(found)

    async def _cells(
        self, part: Literal["search", "report"], configuration: Configuration, task_ids: Sequence[str], out: list[Cell]
    ) -> None:
        """Known cells from the log, the rest from the evaluator while there is time.

        Raises:
            SearchBudgetError: the budget ended; the cells that were done are in ``out``.
        """
        missing = []
        for task in task_ids:
            known = self._known.get((part, configuration.id, task, 0))
            if known is None:
                missing.append(task)
            else:
                out.append(Cell(**known.cell))
                self._paid_then = max(self._paid_then, known.charged, key=lambda usage: usage.tokens)
        self._count(len(task_ids) - len(missing))
        if missing:
            self._need_time()
        async with aclosing(self.evaluator.observe(configuration, missing)) as observed:
            async for cell, result in observed:
                self._failure = self._failure or result.message
                self._paid_then = self.charged
                self.log.write(CellObserved(part=part, cell=cell.to_json(), charged=self.charged))
                out.append(cell)
                self._count(1)
                if len(out) < len(task_ids):
                    self._need_time()

    def _count(self, cells: int) -> None:
        self.state.cells += cells
        self.state.charged = self.charged
        self._progress(self.state)

    def _converge(self, cells: list[Cell]) -> None:
        if not cells:
            return
        recommendation = self.optimizer.recommend()
        self.state.leader = self.space.configuration(recommendation.point).id
        paid = self._paid_then
        front = tuple(self.space.configuration(point).id for point in points_of(recommendation))
        reached = Reached(paid.tokens, paid.cost_usd, self.state.leader, self.state.cells, front)
        self.state.convergence.append(reached)

    def _decide(self, what: str, **fields: object) -> None:
        known = any(isinstance(event, Decided) and event.what == what for event in self.log.events)
        if not known:
            self.log.write(Decided(what=what, fields=dict(fields)))


def _key(cell: dict[str, Any]) -> tuple[str, str, int]:
    return (cell["config"], cell["task"], cell.get("replicate", 0))


def points_of(recommendation: Recommendation) -> tuple[Point, ...]:
    """The recommended point and the front, each once."""
    return tuple(dict.fromkeys((recommendation.point, *recommendation.front)))
