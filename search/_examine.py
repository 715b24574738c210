"""What the store tells about the winner for nothing: its runs, what each node adds, and how often its judges err."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import astuple, dataclass
from typing import Any

from archloom.graphs import Configuration
from archloom.nodes import Candidate
from archloom.orchestrator import Cell, Decided, Evaluator, ModelPool, NodeRan, RunLog, RunResult
from archloom.orchestrator.errors import ReplayMissError
from archloom.orchestrator.models import SampleStore
from archloom.search._ablation import judges, up_to_judge, without
from archloom.search._audit import Tally
from archloom.search._held_out import HeldOut
from archloom.tasks import Example, TaskSet

_EVENT = "examined"
_RIGHT = 0.5
"""Score from which a candidate counts as right."""


@dataclass(frozen=True)
class Judged:
    """The verdicts of one judge.

    Attributes:
        node: Its name.
        configuration: Name of the configuration in which it judged.
        tallies: One for each held-out task on which it ran.
    """

    node: str
    configuration: str
    tallies: tuple[Tally, ...]

    @property
    def candidates(self) -> int:
        """How many it judged."""
        return sum(tally.right + tally.wrong for tally in self.tallies)


@dataclass(frozen=True)
class Ablated:
    """The winner without one of its nodes, on the held-out tasks."""

    node: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Examined:
    """Everything that was free. What would have needed a new sample is not here."""

    judged: tuple[Judged, ...] = ()
    ablated: tuple[Ablated, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the run log."""
        return {
            "judged": [
                {"node": j.node, "configuration": j.configuration, "tallies": [list(astuple(t)) for t in j.tallies]}
                for j in self.judged
            ],
            "ablated": [{"node": a.node, "cells": [cell.to_json() for cell in a.cells]} for a in self.ablated],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Examined:
        """The inverse of :meth:`to_json`."""
        judged = (Judged(j["node"], j["configuration"], tuple(Tally(*t) for t in j["tallies"])) for j in data["judged"])
        ablated = (Ablated(a["node"], tuple(Cell(**cell) for cell in a["cells"])) for a in data["ablated"])
        return cls(tuple(judged), tuple(ablated))


async def examine(held: HeldOut, report: TaskSet, store: SampleStore, log: RunLog) -> Examined:
    """Replays parts of the compared configurations; no sample is drawn, and what the log has is not done again.

    Args:
        held: The held-out comparison.
        report: Its tasks.
        store: Where the samples are.
        log: Where the result is written, and looked for first.
    """
    of = ",".join(held.contenders)
    known = [event for event in log.events if isinstance(event, Decided) and event.what == _EVENT]
    for event in reversed(known):
        if event.fields["of"] == of:
            return Examined.from_json(event.fields["found"])
    async with ModelPool(store, use="replay") as pool:
        evaluator = Evaluator(pool, report)
        found = Examined(tuple(await _judged(held, evaluator)), tuple(await _ablated(held, evaluator)))
        for cell, result in await _replayed(evaluator, held.winner.configuration, _tasks(held)) or ():
            for outcome in result.nodes:
                log.write(NodeRan(task=cell.task, outcome=outcome.to_json(), config=cell.config))
    if found != Examined():
        log.write(Decided(what=_EVENT, fields={"of": of, "found": found.to_json()}))
    return found


async def _ablated(held: HeldOut, evaluator: Evaluator) -> list[Ablated]:
    winner, ids = held.winner.configuration, _tasks(held)
    found = []
    for name in winner.order:
        rest = without(winner, name) if ids else None
        replayed = await _replayed(evaluator, rest, ids) if rest is not None else None
        if replayed is not None:
            found.append(Ablated(name, tuple(cell for cell, _ in replayed)))
    return found


async def _judged(held: HeldOut, evaluator: Evaluator) -> list[Judged]:
    """Each judge once, where it judged most: the same judge stands in many configurations of a search."""
    found: dict[str, Judged] = {}
    examples = {example.task.id: example for example in evaluator.tasks.examples}
    for contender in held.contenders.values():
        ids = [cell.task for cell in held.cells.get(contender.configuration.id, [])]
        for name in judges(contender.configuration):
            replayed = await _replayed(evaluator, up_to_judge(contender.configuration, name), ids)
            if not replayed:
                continue
            tallies = tuple(_tally(evaluator.tasks, examples[cell.task], result, name) for cell, result in replayed)
            judged = Judged(name, contender.name, tallies)
            same = found.setdefault(_identity(contender.configuration, name), judged)
            if judged.candidates > same.candidates:
                found[_identity(contender.configuration, name)] = judged
    return [judged for judged in found.values() if judged.candidates]


def _identity(configuration: Configuration, name: str) -> str:
    """What a judge is, wherever it stands and whatever it does with its verdicts."""
    node = configuration.nodes[name]
    model = getattr(node, "model", None)
    spec = node.model_dump_json(exclude={"after", "keep", "on_none", "on_error", "budget"})
    return spec if model is None else spec + configuration.models[model].model_dump_json()


def _tally(tasks: TaskSet, example: Example, result: RunResult, name: str) -> Tally:
    outcome = next(outcome for outcome in result.nodes if outcome.node == name)
    judged = [(_worth(tasks, example, each) >= _RIGHT, each.accepted) for each in outcome.candidates]
    right = [accepted for is_right, accepted in judged if is_right and accepted is not None]
    wrong = [accepted for is_right, accepted in judged if not is_right and accepted is not None]
    return Tally(len(right), sum(right), len(wrong), sum(wrong))


def _worth(tasks: TaskSet, example: Example, candidate: Candidate) -> float:
    return tasks.scorer.score(candidate.answer, candidate.text, example.target)


def _tasks(held: HeldOut) -> list[str]:
    return [cell.task for cell in held.cells.get(held.winner.configuration.id, [])]


async def _replayed(
    evaluator: Evaluator, configuration: Configuration, task_ids: Sequence[str]
) -> list[tuple[Cell, RunResult]] | None:
    """Cells and runs in the order of the tasks; ``None`` when a sample is missing."""
    seen: AsyncGenerator[tuple[Cell, RunResult], None] = evaluator.observe(configuration, task_ids)
    try:
        async with aclosing(seen):
            done = {cell.task: (cell, result) async for cell, result in seen}
    except ReplayMissError:
        return None
    return [done[task] for task in task_ids]
