"""One task through one configuration: dataflow over the DAG, budgets, failure policy."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from archloom.graphs import Configuration
from archloom.nodes import (
    BudgetReachedError,
    Candidate,
    Candidates,
    NoCandidatesError,
    NodeError,
    Task,
    TooFewSamplesError,
    UnparsedError,
)
from archloom.orchestrator._context import NodeContext, node_ledgers
from archloom.orchestrator._errors_in_groups import first_error
from archloom.orchestrator._estimate import worst_case
from archloom.orchestrator._ledger import ZERO, Ledger
from archloom.orchestrator._outcome import NodeOutcome, RunResult
from archloom.orchestrator._streams import Asker
from archloom.orchestrator.models import Samplers
from archloom.tools.errors import ArchloomError, ToolError

_log = logging.getLogger(__name__)

_FOR_WANT_OF_CALLS = (BudgetReachedError, TooFewSamplesError, UnparsedError, NoCandidatesError)
"""How a node fails when a budget kept some of its calls from being made."""


class _Stop(NamedTuple):
    """Why a node does not run."""

    code: str
    message: str


class Execution:
    """The state of one run. ``run_node`` may be called for all nodes at once and in any order: each waits for
    what it needs, so a node starts as soon as its inputs are ready and no sibling holds it back.

    When a budget might not suffice for the worst case of all nodes, nodes also wait for those before them in
    canonical order, so that who gets the rest never depends on timing.
    """

    def __init__(
        self,
        configuration: Configuration,
        samplers: Samplers,
        ordinals: Mapping[Asker, int],
        task: Task,
        *,
        replicate: int = 0,
    ) -> None:
        self.configuration, self.task = configuration, task
        self._samplers, self._ordinals, self._replicate = samplers, ordinals, replicate
        self._ledger = Ledger(configuration.budget)
        self._done = {name: asyncio.Event() for name in configuration.order}
        self._outcomes: dict[str, NodeOutcome] = {}
        self._ran: set[str] = set()
        self._in_turn = not _enough(configuration, samplers, task)

    def finished(self, outcome: NodeOutcome) -> None:
        """Tells the nodes that wait for it; called once for each node, also for outcomes of an earlier run."""
        if outcome.node not in self._ran:
            self._ledger.settle(ZERO, outcome.usage)
        self._outcomes[outcome.node] = outcome
        self._done[outcome.node].set()

    async def run_node(self, name: str) -> NodeOutcome:
        """What the node does once its inputs are there.

        Failures of the node are part of the outcome.

        Raises:
            ArchloomError: what no node can help: an unusable model or store, the search budget.
        """
        self._ran.add(name)
        node = self.configuration.nodes[name]
        if self._in_turn:
            order = self.configuration.order
            for other in order[: order.index(name)]:
                await self._done[other].wait()
        parents = [await self._outcome(parent) for parent in node.after]
        start_s = max((parent.finish_s for parent in parents), default=0.0)
        given = _united(parents)
        if stop := self._stop(name, parents, given):
            return NodeOutcome(name, start_s=start_s, finish_s=start_s, error=stop.code, message=stop.message)
        ctx = self._context(name, start_s, given)
        error: ArchloomError | None = None
        candidates: Candidates = ()
        try:
            candidates = await node.run(self.task, given, ctx)
        except ExceptionGroup as group:
            error = _fate(name, first_error(group))
        except Exception as exc:  # noqa: BLE001 - here a run records the fate of its nodes
            error = _fate(name, exc)
        if error is None and not candidates:
            error = NoCandidatesError(f"nodes.{name}: gave no candidate.")
        if ctx.truncated and isinstance(error, _FOR_WANT_OF_CALLS):
            candidates, error = given, None if given else BudgetReachedError(error.message)
        return NodeOutcome(
            node=name,
            candidates=candidates,
            usage=ctx.usage,
            start_s=start_s,
            finish_s=round(start_s + ctx.elapsed_s, 6),
            truncated=ctx.truncated,
            error=error.code if error else None,
            message=error.message if error else "",
            notes=tuple(ctx.notes),
            endings=dict(ctx.endings),
            given=tuple(candidate.id for candidate in given),
        )

    async def _outcome(self, name: str) -> NodeOutcome:
        await self._done[name].wait()
        return self._outcomes[name]

    def _stop(self, name: str, parents: Sequence[NodeOutcome], given: Candidates) -> _Stop | None:
        """What keeps a node from running: a parent that failed, or that no candidate reached it.

        A parent that the budget stopped only gives nothing: what the others gave is the best so far.
        """
        for parent in parents:
            if parent.error is None or parent.error == BudgetReachedError.code:
                continue
            if self.configuration.nodes[parent.node].on_error == "fail":
                return _Stop(parent.error, parent.message)
        if given or not self.configuration.nodes[name].needs_input:
            return None
        for parent in parents:
            if parent.error == BudgetReachedError.code:
                return _Stop(parent.error, parent.message)
        return _Stop(NoCandidatesError.code, f"nodes.{name}: no candidate reached it.")

    def _context(self, name: str, start_s: float, given: Candidates) -> NodeContext:
        whole, own = self.configuration.budget, self.configuration.nodes[name].budget
        left_s = math.inf if whole.time_s is None else whole.time_s - start_s
        own_s = math.inf if own is None or own.time_s is None else own.time_s
        return NodeContext(
            node=name,
            task=self.task,
            configuration=self.configuration,
            samplers=self._samplers,
            ordinal=self._ordinals.get(Asker(name, given=bool(given)), 0),
            replicate=self._replicate,
            ledgers=node_ledgers(self._ledger, own),
            time_left_s=min(left_s, own_s),
        )

    async def run(self) -> RunResult:
        """Runs all nodes.

        Raises:
            ArchloomError: what no node can help.
        """

        async def run_and_tell(name: str) -> None:
            self.finished(await self.run_node(name))

        try:
            async with asyncio.TaskGroup() as group:
                for name in self.configuration.order:
                    group.create_task(run_and_tell(name))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from failed
        return self.result()

    def result(self) -> RunResult:
        """The run as a whole, once every node has finished."""
        outcomes = tuple(self._outcomes[name] for name in self.configuration.order)
        last = self._outcomes[self.configuration.output]
        return RunResult(
            task=self.task.id,
            configuration=self.configuration.id,
            candidate=last.candidates[0] if last.candidates else None,
            usage=reduce(lambda total, outcome: total + outcome.usage, outcomes, ZERO),
            latency_s=last.finish_s,
            truncated=any(outcome.truncated for outcome in outcomes),
            error=last.error,
            message=last.message,
            nodes=outcomes,
        )


def _united(parents: Sequence[NodeOutcome]) -> Candidates:
    """All their candidates in order. One that came by several ways is one, with all that was said about it."""
    united: dict[str, Candidate] = {}
    for candidate in (candidate for parent in parents for candidate in parent.candidates):
        known = united.get(candidate.id)
        united[candidate.id] = candidate if known is None else _merged(known, candidate)
    return tuple(united.values())


def _merged(first: Candidate, second: Candidate) -> Candidate:
    """One candidate with the annotations of both; where both were judged, the second judgement counts."""
    new = tuple(critique for critique in second.critiques if critique not in first.critiques)
    both = replace(first, critiques=first.critiques + new)
    return both.annotated(
        score=second.score,
        accepted=second.accepted,
        votes=second.votes,
        support=second.support,
        executed=second.executed,
    )


def _enough(configuration: Configuration, samplers: Samplers, task: Task) -> bool:
    """True when no budget can end before all nodes have had all they may want."""
    budget = configuration.budget
    if budget.calls is None and budget.tokens is None and budget.cost_usd is None:
        return True
    return worst_case(configuration, samplers, task).fits(budget)


def _fate(name: str, exc: BaseException) -> ArchloomError:
    """What a run records about a node that raised this; what no node can help is raised again."""
    if isinstance(exc, NodeError | ToolError):
        return exc
    if isinstance(exc, ArchloomError):
        raise exc
    _log.error("nodes.%s failed", name, exc_info=exc)
    return NodeError(f"nodes.{name}: {type(exc).__name__}: {exc}")
