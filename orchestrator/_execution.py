"""One task through one configuration: dataflow over the DAG, budgets, failure policy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

from archloom.graphs import Configuration
from archloom.nodes import (
    BudgetReachedError,
    Candidates,
    ModelNode,
    NoCandidatesError,
    NodeError,
    Task,
)
from archloom.orchestrator._context import NodeContext, node_ledgers
from archloom.orchestrator._errors_in_groups import first_error
from archloom.orchestrator._estimate import worst_case
from archloom.orchestrator._ledger import ZERO, Ledger
from archloom.orchestrator._outcome import NodeOutcome, RunResult
from archloom.orchestrator.models import Samplers
from archloom.tools.errors import ArchloomError, ToolError


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
        ordinals: Mapping[str, int],
        task: Task,
        *,
        replicate: int = 0,
    ) -> None:
        self.configuration, self.task = configuration, task
        self._samplers, self._ordinals, self._replicate = samplers, ordinals, replicate
        self._ledger = Ledger(configuration.budget)
        self._done: dict[str, asyncio.Future[NodeOutcome]] = {}
        loop = asyncio.get_running_loop()
        for name in configuration.order:
            self._done[name] = loop.create_future()
        self._in_turn = not worst_case(configuration, samplers, task).fits(configuration.budget)

    def finished(self, outcome: NodeOutcome) -> None:
        """Tells the nodes that wait for it; called once for each node, also for outcomes of an earlier run."""
        self._done[outcome.node].set_result(outcome)

    async def run_node(self, name: str) -> NodeOutcome:
        """What the node does once its inputs are there.

        Failures of the node are part of the outcome.

        Raises:
            ArchloomError: what no node can help: an unusable model or store, the search budget.
        """
        node = self.configuration.nodes[name]
        if self._in_turn:
            order = self.configuration.order
            await asyncio.gather(*(self._done[other] for other in order[: order.index(name)]))
        parents = [await self._done[parent] for parent in node.after]
        start_s = max((parent.finish_s for parent in parents), default=0.0)
        nothing = NodeOutcome(name, start_s=start_s, finish_s=start_s)
        for parent in parents:
            if parent.error is not None and self.configuration.nodes[parent.node].on_error == "fail":
                return replace(nothing, error=parent.error, message=parent.message)
        given: Candidates = tuple(candidate for parent in parents for candidate in parent.candidates)
        if node.needs_input and not given:
            return replace(
                nothing, error=NoCandidatesError.code, message=f"nodes.{name}: no candidate reached it."
            )
        ctx = self._context(name, start_s)
        error: ArchloomError | None = None
        candidates: Candidates = ()
        try:
            candidates = await node.run(self.task, given, ctx)
        except BudgetReachedError as exc:
            ctx.truncated = True
            candidates, error = given, None if given else exc
        except (NodeError, ToolError) as exc:
            error = exc
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        if error is None and not candidates:
            error = NoCandidatesError(f"nodes.{name}: gave no candidate.")
        return NodeOutcome(
            node=name,
            candidates=candidates,
            usage=ctx.usage,
            start_s=start_s,
            finish_s=start_s + ctx.elapsed_s,
            truncated=ctx.truncated,
            error=error.code if error else None,
            message=error.message if error else "",
            notes=tuple(ctx.notes),
        )

    def _context(self, name: str, start_s: float) -> NodeContext:
        node = self.configuration.nodes[name]
        limits = [limit for limit in (
            None if self.configuration.budget.time_s is None else self.configuration.budget.time_s - start_s,
            node.budget.time_s if node.budget else None,
        ) if limit is not None]
        return NodeContext(
            node=name,
            task=self.task,
            configuration=self.configuration,
            samplers=self._samplers,
            ordinal=self._ordinals.get(name, 0) if isinstance(node, ModelNode) else 0,
            replicate=self._replicate,
            ledgers=node_ledgers(self._ledger, node.budget),
            time_left_s=min(limits, default=float("inf")),
        )

    def result(self) -> RunResult:
        """The run as a whole, once every node has finished."""
        outcomes = tuple(self._done[name].result() for name in self.configuration.order)
        last = self._done[self.configuration.output].result()
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
