"""Published claims re-enacted: workflows on simulated tasks, and differences between them with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from archloom.graphs import Configuration, Document
from archloom.orchestrator import Cell, Evaluator, ModelPool, configuration_of
from archloom.orchestrator.models import MemoryStore
from archloom.tasks import load_tasks

Yaml = Mapping[str, Any]

_Z = 1.96


class Interval(NamedTuple):
    """A mean and its 95 % interval, over tasks."""

    low: float
    mean: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """The normal interval of these values' mean."""
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
        half = _Z * math.sqrt(variance / len(values))
        return cls(mean - half, mean, mean + half)


@dataclass(frozen=True)
class Measured:
    """What a workflow did on all tasks, in the order of the tasks."""

    cells: tuple[Cell, ...]

    @property
    def accuracy(self) -> Interval:
        """Mean score; a failed cell counts as 0."""
        return Interval.of([cell.value for cell in self.cells])

    @property
    def tokens(self) -> float:
        """Mean deployed tokens of a task."""
        return math.fsum(cell.tokens for cell in self.cells) / len(self.cells)

    @property
    def calls(self) -> float:
        """Mean calls of a task."""
        return math.fsum(cell.calls for cell in self.cells) / len(self.cells)

    @property
    def latency_s(self) -> float:
        """Mean recorded seconds of a task."""
        return math.fsum(cell.latency_s for cell in self.cells) / len(self.cells)

    def above(self, other: Measured) -> Interval:
        """How much higher it scores than another on the same tasks, paired."""
        return Interval.of([a.value - b.value for a, b in zip(self.cells, other.cells, strict=True)])


class Lab:
    """One population of tasks and models, on which workflows are compared; they share all samples that they can.

    Args:
        models: As in a document; entries of the provider ``simulated``.
        tasks: How many tasks.
        seed: Of the tasks.
    """

    def __init__(self, models: Yaml, *, tasks: int, seed: int = 0) -> None:
        self._models = models
        self._tasks = load_tasks(f"simulated:claims{seed}?size={tasks}")
        self._store = MemoryStore()

    async def use(self, name: str, **parameters: object) -> Measured:
        """A library graph; the model ``m`` answers and ``judge`` judges unless said otherwise."""
        return await self.run({"x": {"use": f"library/{name}", "with": {"model": "m", **parameters}}}, output="x")

    async def majority(self, samples: int, **fields: object) -> Measured:
        """Plain majority voting over so many samples: what every technique must be told from."""
        draft = {"type": "generator", "model": "m", "samples": samples, **fields}
        return await self.run({"draft": draft, "vote": {"type": "vote", "after": "draft"}}, output="vote")

    async def run(self, nodes: Yaml, *, output: str) -> Measured:
        """A workflow of these nodes on all tasks."""
        configuration = self._configuration(nodes, output)
        ids = [example.task.id for example in self._tasks.examples]
        async with ModelPool(self._store) as pool:
            evaluator = Evaluator(pool, self._tasks)
            cells = {cell.task: cell async for cell, _ in evaluator.observe(configuration, ids)}
        return Measured(tuple(cells[task] for task in ids))

    def _configuration(self, nodes: Yaml, output: str) -> Configuration:
        document = {"archloom": 1, "answer": "number", "models": self._models, "nodes": nodes, "output": output}
        return configuration_of(Document.parse(yaml.safe_dump(document)))
