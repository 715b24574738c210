"""A configuration as a LangGraph ``entrypoint`` with one ``task`` per node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from archloom.orchestrator._errors_in_groups import first_error
from archloom.orchestrator._execution import Execution
from archloom.orchestrator._outcome import NodeOutcome, RunResult

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.pregel import Pregel

Start = Callable[[Any], Awaitable[Execution]]
"""Makes the state of one run out of the graph's input."""


def compile_graph(
    name: str,
    start: Start,
    write: Callable[[RunResult], Any],
    *,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> Pregel[Any, Any, Any, Any]:
    """The LangGraph object that runs one task.

    All node tasks are submitted at once, in canonical order, and each waits for its inputs: LangGraph sees one
    task per node, with its name, in its streams and checkpoints, and the schedule is that of a dataflow graph.
    (Its ``StateGraph`` runs in supersteps, where a slow sibling holds back unrelated branches.)

    Args:
        name: Name of the workflow.
        start: Makes the state of a run.
        write: From the result to the graph's output.
        checkpointer: Keeps finished nodes, so that a run that is taken up again does not repeat them.
    """
    from langgraph.func import entrypoint, task

    async def workflow(inputs: Any) -> Any:
        execution = await start(inputs)

        def node_task(node: str) -> Any:
            async def body(of_task: str) -> dict[str, Any]:
                return (await execution.run_node(node)).to_json()

            body.__name__ = node
            return task(body)

        calls = {node: node_task(node)(execution.task.id) for node in execution.configuration.order}

        async def relay(node: str) -> None:
            execution.finished(NodeOutcome.from_json(await calls[node]))

        try:
            async with asyncio.TaskGroup() as group:
                for node in calls:
                    group.create_task(relay(node))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from failed
        return write(execution.result())

    workflow.__name__ = name
    return entrypoint(checkpointer=checkpointer)(workflow)
