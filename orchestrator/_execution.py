"""One task through one configuration: dataflow over the DAG, budgets, failure policy."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

from archloom.graphs import Configuration, Input
from archloom.nodes import (
    BodyFailedError,
    BodyRun,
    BudgetReachedError,
    Candidates,
    Composite,
    NoCandidatesError,
    NodeError,
    Part,
    Task,
    TooFewSamplesError,
    UnparsedError,
)
from archloom.orchestrator._context import NodeContext, node_ledgers
from archloom.orchestrator._errors_in_groups import first_error
from archloom.orchestrator._estimate import node_bounds
from archloom.orchestrator._ledger import ZERO, total
from archloom.orchestrator._memo import TaskMemo
from archloom.orchestrator._outcome import NodeOutcome, RunResult
from archloom.orchestrator._scope import Scope, limits_use, whole
from archloom.orchestrator._streams import Asker, Streams
from archloom.orchestrator._united import united
from archloom.orchestrator.models import Samplers
from archloom.tools.errors import ArchloomError, ToolError

_log = logging.getLogger(__name__)

_FOR_WANT_OF_CALLS = {each.code for each in (BudgetReachedError, TooFewSamplesError, UnparsedError, NoCandidatesError)}
"""How a node fails when a budget kept some of its calls from being made."""


class _Failure(NamedTuple):
    """Why a node gives nothing."""

    code: str
    message: str


class _Begun(NamedTuple):
    """A node that runs: since when, and whether its bodies take turns."""

    start_s: float
    in_turn: bool
    turns: asyncio.Lock


class Execution:
    """The state of one run. ``run_node`` may be called for all nodes at once and in any order: each waits for
    what it needs, so a node starts as soon as its inputs are ready and no sibling holds it back.

    When a budget might not suffice for the worst case of all nodes, nodes also wait for those before them in
    canonical order, so that who gets the rest never depends on timing. A body of a composite node runs as an
    execution of its own, inside that of its workflow: with the same ledgers, and its own place in the streams.
    """

    def __init__(
        self,
        configuration: Configuration,
        samplers: Samplers,
        streams: Streams,
        task: Task,
        *,
        replicate: int = 0,
        scope: Scope | None = None,
        memo: TaskMemo | None = None,
    ) -> None:
        self.configuration, self.task = configuration, task
        self._samplers, self._streams, self._replicate = samplers, streams, replicate
        self._scope = scope or whole(configuration, samplers, task)
        # What a budget cuts short depends on the rest of the graph, too.
        self._memo = None if self._scope.in_turn else memo
        self._done = {name: asyncio.Event() for name in configuration.order}
        self._outcomes: dict[str, NodeOutcome] = {}
        self._ran: set[str] = set()
        self._nodes = [name for name in configuration.order if not isinstance(configuration.nodes[name], Input)]
        for name in set(configuration.order) - set(self._nodes):
            start_s = self._scope.start_s
            self.finished(NodeOutcome(name, self._scope.given, start_s=start_s, finish_s=start_s), name)

    def finished(self, outcome: NodeOutcome, name: str | None = None) -> None:
        """Tells the nodes that wait for it; called once for each node, also for outcomes of an earlier run.

        Args:
            outcome: What the node did.
            name: The node, where it goes by another name in the run log.
        """
        name = name or outcome.node
        if name not in self._ran:
            for ledger in self._scope.ledgers:
                ledger.settle(ZERO, outcome.usage)
        self._outcomes[name] = outcome
        self._done[name].set()

    async def run_node(self, name: str) -> NodeOutcome:
        """What the node does once its inputs are there.

        Failures of the node are part of the outcome.

        Raises:
            ArchloomError: what no node can help: an unusable model or store, the search budget.
        """
        self._ran.add(name)
        node = self.configuration.nodes[name]
        if self._scope.in_turn:
            order = self.configuration.order
            for other in order[: order.index(name)]:
                await self._done[other].wait()
        parents = [await self._outcome(parent) for parent in node.after]
        start_s = max((parent.finish_s for parent in parents), default=self._scope.start_s)
        given = united(parents)
        if stop := self._stop(name, parents, given):
            known = self._scope.run + name
            return NodeOutcome(known, start_s=start_s, finish_s=start_s, error=stop.code, message=stop.message)
        ctx = self._context(name, start_s, given)
        failure: _Failure | None = None
        candidates: Candidates = ()
        try:
            candidates = await node.run(self.task, given, ctx)
        except ExceptionGroup as group:
            failure = _fate(ctx.node, first_error(group))
        except Exception as exc:  # noqa: BLE001 - here a run records the fate of its nodes
            failure = _fate(ctx.node, exc)
        if failure is None and not candidates:
            failure = _Failure(NoCandidatesError.code, f"nodes.{ctx.node}: gave no candidate.")
        if ctx.truncated and failure is not None and failure.code in _FOR_WANT_OF_CALLS:
            candidates, failure = given, None if given else _Failure(BudgetReachedError.code, failure.message)
        return NodeOutcome(
            node=ctx.node,
            candidates=candidates,
            usage=ctx.usage,
            start_s=start_s,
            finish_s=round(start_s + ctx.elapsed_s, 6),
            truncated=ctx.truncated,
            error=failure.code if failure else None,
            message=failure.message if failure else "",
            notes=tuple(ctx.notes),
            endings=dict(sorted(ctx.endings.items())),
            given=tuple(candidate.id for candidate in given),
            inner=tuple(outcome for run in ctx.inner for outcome in run),
        )

    async def _outcome(self, name: str) -> NodeOutcome:
        await self._done[name].wait()
        return self._outcomes[name]

    def _stop(self, name: str, parents: Sequence[NodeOutcome], given: Candidates) -> _Failure | None:
        """What keeps a node from running: a parent that failed, or that no candidate reached it.

        A parent that the budget stopped only gives nothing: what the others gave is the best so far.
        """
        node = self.configuration.nodes[name]
        for before, parent in zip(node.after, parents, strict=True):
            if parent.error is None or parent.error == BudgetReachedError.code:
                continue
            if self.configuration.nodes[before].on_error == "fail":
                return _Failure(parent.error, parent.message)
        # A body begins with nothing when its node does; whatever else a composite node comes after, it works on.
        works_on = isinstance(node, Composite) and any(parent in self._nodes for parent in node.after)
        if given or not (node.needs_input or works_on):
            return None
        for parent in parents:
            if parent.error == BudgetReachedError.code:
                return _Failure(parent.error, parent.message)
        return _Failure(NoCandidatesError.code, f"nodes.{self._scope.run}{name}: no candidate reached it.")

    def _context(self, name: str, start_s: float, given: Candidates) -> NodeContext:
        scope, own = self._scope, self.configuration.nodes[name].budget
        own_s = math.inf if own is None or own.time_s is None else own.time_s

        begun = _Begun(start_s, scope.in_turn or not self._enough(name, given), asyncio.Lock())

        async def run_body(
            ctx: NodeContext, part: Part, given: Candidates, turn: int, task: Task, elapsed_s: float
        ) -> BodyRun:
            scope = self._inside(name, begun, ctx, part, given, turn, elapsed_s)
            return await self._run_body(self.configuration.bodies[name][part.label], scope, begun, ctx, task)

        return NodeContext(
            node=scope.run + name,
            task=self.task,
            configuration=self.configuration,
            samplers=self._samplers,
            ordinal=self._ordinal(name, given),
            replicate=self._replicate,
            seed="/".join((self.task.id, *self._identity(name), str(self._replicate), *scope.seed)),
            bodies=run_body,
            ledgers=node_ledgers(scope.ledgers, own),
            time_left_s=round(min(scope.deadline_s - start_s, own_s), 6),  # as finish times are: no sliver is left
        )

    def _enough(self, name: str, given: Candidates) -> bool:
        """True when a composite node's own budget cannot end before its bodies have had all they may want."""
        node = self.configuration.nodes[name]
        if not isinstance(node, Composite) or node.budget is None or not limits_use(node.budget):
            return True
        return node_bounds(self.configuration, self._samplers, self.task, name, given).most.fits(node.budget)

    def _ordinal(self, name: str, given: Candidates) -> int:
        turns = self._streams.get(Asker(self._scope.path + name, given=bool(given)), ())
        return turns[self._scope.turn] if turns else 0

    def _identity(self, name: str) -> tuple[str, str]:
        """What the node is, and which of the equal ones in its graph.

        What else is in the graph does not count: like samples, what depends on random numbers is shared between
        configurations.
        """
        signatures = self.configuration.signatures
        equal = [other for other in self.configuration.order if signatures[other] == signatures[name]]
        return signatures[name], str(equal.index(name))

    def _inside(
        self, name: str, begun: _Begun, ctx: NodeContext, part: Part, given: Candidates, turn: int, elapsed_s: float
    ) -> Scope:
        """Where a run of a body of a node is, so long after the node began."""
        assert turn < part.times, f"nodes.{ctx.node} runs {part.label!r} more often than it says"
        label = part.run_label(turn)
        return Scope(
            run=f"{ctx.node}[{label}].",
            path=f"{self._scope.path}{name}[{part.label}].",
            turn=self._scope.turn * part.times + turn,
            given=given,
            ledgers=ctx.ledgers,
            start_s=round(begun.start_s + elapsed_s, 6),
            deadline_s=begun.start_s + ctx.time_left_s,
            in_turn=begun.in_turn,
            seed=(*self._scope.seed, *self._identity(name), label),
        )

    async def _run_body(
        self, body: Configuration, scope: Scope, begun: _Begun, ctx: NodeContext, task: Task
    ) -> BodyRun:
        """Runs a body, and books it on its node."""
        inside = Execution(body, self._samplers, self._streams, task, replicate=self._replicate, scope=scope)
        outcomes: list[NodeOutcome] = []
        ctx.inner.append(outcomes)  # now, so that runs stand in the order in which the node asks for them
        if not scope.in_turn:
            done = await inside.run()
        else:
            async with begun.turns:  # first come, first served: in the order in which the node asks for them
                done = await inside.run()
        outcomes.extend(done.nodes)
        ctx.usage = ctx.usage + done.usage
        ctx.endings.update(done.endings)
        ctx.truncated = ctx.truncated or done.truncated
        ctx.elapsed_s = max(ctx.elapsed_s, done.latency_s - begun.start_s)
        error = None if done.error is None else BodyFailedError(done.error, done.message)
        return BodyRun(inside.gives, done.truncated, error)

    async def run(self) -> RunResult:
        """Runs all nodes.

        Raises:
            ArchloomError: what no node can help.
        """

        async def run_and_tell(name: str) -> None:
            outcome = await self.run_node(name)
            self.finished(outcome, name)
            if self._memo:
                self._memo.keep(name, outcome)

        open_nodes = [name for name in self._nodes if not self._recalled(name)]
        if self._memo and len(open_nodes) < 2:  # nobody to wait for: no group, which would cost more than a vote
            for name in open_nodes:
                await run_and_tell(name)
            return self.result()
        try:
            async with asyncio.TaskGroup() as group:
                for name in open_nodes:
                    group.create_task(run_and_tell(name))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from failed
        return self.result()

    def _recalled(self, name: str) -> bool:
        """Whether the memo has what this node gives, which then counts as done."""
        known = self._memo.get(name) if self._memo else None
        if known is not None:
            self.finished(known, name)
        return known is not None

    @property
    def gives(self) -> Candidates:
        """The candidates of its output, once every node has finished."""
        return self._outcomes[self.configuration.output].candidates

    def result(self) -> RunResult:
        """The run as a whole, once every node has finished."""
        outcomes = tuple(self._outcomes[name] for name in self._nodes)
        last = self._outcomes[self.configuration.output]
        return RunResult(
            task=self.task.id,
            configuration=self.configuration.id,
            candidate=last.candidates[0] if last.candidates else None,
            usage=total(outcome.usage for outcome in outcomes),
            latency_s=last.finish_s,
            truncated=any(outcome.truncated for outcome in outcomes),
            error=last.error,
            message=last.message,
            nodes=outcomes,
        )


def _fate(name: str, exc: BaseException) -> _Failure:
    """What a run records about a node that raised this; what no node can help is raised again."""
    if isinstance(exc, BodyFailedError):
        return _Failure(exc.failed, exc.message)
    if isinstance(exc, NodeError | ToolError):
        return _Failure(exc.code, exc.message)
    if isinstance(exc, ArchloomError):
        raise exc
    _log.error("nodes.%s failed", name, exc_info=exc)
    return _Failure(NodeError.code, f"nodes.{name}: {type(exc).__name__}: {exc}")
