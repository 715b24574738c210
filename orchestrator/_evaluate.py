"""Evaluating configurations on tasks: cells, a few tasks at a time, every one written down as it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace

from archloom.graphs import Configuration
from archloom.orchestrator._cell import Cell
from archloom.orchestrator._errors_in_groups import first_error
from archloom.orchestrator._memo import Memo
from archloom.orchestrator._outcome import RunResult
from archloom.orchestrator._workflow import ModelPool, Workflow
from archloom.tasks import Example, TaskError, TaskSet
from archloom.tools.errors import UsageError


class Evaluator:
    """Makes cells. What the store has is free; each cell carries its deployed cost all the same.

    Nodes that two configurations have in common, with all that comes before them, run once for each task, and a text
    is scored once.

    Args:
        pool: Models and store.
        tasks: Where tasks, targets and the scorer come from.
        concurrency: Tasks under way at once.
        memo: Where outcomes of nodes are kept; by default a new one.
    """

    def __init__(self, pool: ModelPool, tasks: TaskSet, *, concurrency: int = 8, memo: Memo | None = None) -> None:
        self.pool, self.tasks = pool, tasks
        self._concurrency = concurrency
        self._memo = memo or Memo()
        self._workflows: dict[str, Workflow] = {}
        self._scores: dict[tuple[str, str | None, str], float] = {}
        self._examples = {example.task.id: example for example in tasks.examples}

    async def observe(
        self, configuration: Configuration, task_ids: Iterable[str], *, replicate: int = 0
    ) -> AsyncGenerator[tuple[Cell, RunResult], None]:
        """The cells of a configuration on these tasks, in the order in which they are done.

        Raises:
            SearchBudgetError: the charged budget ended; cells given so far are complete.
            ModelUnavailableError: a model cannot be used at all.
            UsageError: the scorer gave a score that is not from 0 to 1.
        """
        workflow = self._workflow(configuration)
        models = self.pool.peek(configuration).values()
        shapes_known = all(sampler.costs.shape is not None for sampler in models)
        done: asyncio.Queue[tuple[Cell, RunResult] | None] = asyncio.Queue()
        waiting = [self._examples[task_id] for task_id in task_ids]

        async def work() -> None:
            while waiting:
                example = waiting.pop(0)
                result = await workflow.arun(example.task, replicate=replicate)
                score: float | None = None
                try:
                    score = await self._score(example, result)
                except TaskError as exc:  # the task itself is bad: nobody was wrong
                    result = replace(result, error=exc.code, message=exc.message)
                await done.put((Cell.of(result, score, replicate=replicate, shapes_known=shapes_known), result))

        async def work_all() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._concurrency, len(waiting))):
                        group.create_task(work())
            finally:
                await done.put(None)

        working = asyncio.create_task(work_all())
        try:
            while (cell := await done.get()) is not None:
                yield cell
            await working
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _workflow(self, configuration: Configuration) -> Workflow:
        """The one of the last time, which knows its models and streams; names of nodes are not part of an id."""
        known = self._workflows.get(configuration.id)
        if known is None or known.configuration is not configuration:
            known = self._workflows[configuration.id] = Workflow(configuration, pool=self.pool, memo=self._memo)
        return known

    async def _score(self, example: Example, result: RunResult) -> float | None:
        if result.error is not None:
            return None
        scored = (example.task.id, result.answer, result.text)
        if scored not in self._scores:
            if len(self._scores) >= self._memo.capacity:
                self._scores.clear()
            self._scores[scored] = await self._new_score(example, result)
        return self._scores[scored]

    async def _new_score(self, example: Example, result: RunResult) -> float:
        scorer = self.tasks.scorer
        if getattr(scorer, "blocking", False):
            score = await asyncio.to_thread(scorer.score, result.answer, result.text, example.target)
        else:
            score = scorer.score(result.answer, result.text, example.target)
        if not 0 <= score <= 1:  # intervals, regret and the mixed model all count on it
            raise UsageError(f"The scorer {scorer.name!r} gave {score} for {example.task.id}; scores are from 0 to 1.")
        return score


def matched_samples(tokens: float, single: Sequence[Cell]) -> int:
    """How many single calls cost this many tokens per task: the size of a matched-compute baseline, at least 1."""
    mean = sum(cell.tokens for cell in single) / len(single)
    return max(1, round(tokens / mean)) if mean else 1
