"""A memo of node outcomes: configurations that begin alike share what the beginning gave."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, get_args

from archloom.graphs import Configuration
from archloom.nodes import FinishReason, Task
from archloom.orchestrator._outcome import NodeOutcome
from archloom.orchestrator._streams import Asker, Streams

_CAME_BACK: Final = frozenset(get_args(FinishReason))
CAPACITY: Final = 200_000
"""Candidates that a memo keeps: with texts of a kilobyte, a few hundred megabytes at most."""


class Memo:
    """Keeps what nodes gave, for the next configuration in which the same node has the same beginning.

    An outcome is decided by the node's spec and place, its stream, and all of that for the nodes before it (names
    included, which its candidates carry); by the task, the replicate and the limit on time. So one that is kept is,
    byte for byte, what another run over the same samples would give. Not kept are outcomes that another run may better:
    failed nodes, failed and late calls. When it is full, what came first makes room.

    Args:
        capacity: Candidates that it keeps.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._room = capacity
        self._beginnings: dict[Hashable, int] = {}
        self._outcomes: dict[tuple[int, str, int], NodeOutcome] = {}

    def beginnings(self, configuration: Configuration, streams: Streams) -> dict[str, int]:
        """A number for each node: equal numbers, equal outcomes.

        Args:
            configuration: Whose nodes.
            streams: Those of its askers.
        """
        found: dict[str, int] = {}
        seen: list[str] = []
        for name in configuration.order:
            signature = configuration.signatures[name]
            key = (
                name,
                signature,
                seen.count(signature),  # equal nodes draw other random numbers
                tuple((asker, turns) for asker, turns in streams.items() if _belongs(asker, name)),
                tuple(found[parent] for parent in configuration.nodes[name].after),
                configuration.budget.time_s,
                configuration.answer,
            )
            seen.append(signature)
            found[name] = self._beginnings.setdefault(key, len(self._beginnings))
        return found

    def of(self, beginnings: Mapping[str, int], task: Task, replicate: int) -> TaskMemo:
        """The part of it that one run may use."""
        return TaskMemo(self, beginnings, task.id, replicate)

    def get(self, key: tuple[int, str, int]) -> NodeOutcome | None:
        """What is kept here."""
        return self._outcomes.get(key)

    def put(self, key: tuple[int, str, int], outcome: NodeOutcome) -> None:
        """Keeps an outcome, unless another run may give a better one."""
        if outcome.error is None and _CAME_BACK.issuperset(outcome.endings) and key not in self._outcomes:
            self._outcomes[key] = outcome
            self._room -= len(outcome.candidates)
            while self._room < 0:
                self._room += len(self._outcomes.pop(next(iter(self._outcomes))).candidates)


class TaskMemo:
    """What a memo has for one run of one task."""

    def __init__(self, memo: Memo, beginnings: Mapping[str, int], task: str, replicate: int) -> None:
        self._memo, self._beginnings, self._task, self._replicate = memo, beginnings, task, replicate

    def get(self, node: str) -> NodeOutcome | None:
        """What this node gives, if that is known."""
        return self._memo.get((self._beginnings[node], self._task, self._replicate))

    def keep(self, node: str, outcome: NodeOutcome) -> None:
        """Keeps what a node gave."""
        self._memo.put((self._beginnings[node], self._task, self._replicate), outcome)


def _belongs(asker: Asker, name: str) -> bool:
    """Whether it is this node, or one inside it."""
    return asker.node == name or asker.node.startswith(f"{name}[")
