"""What a configuration asks of its models, so that two of them can be compared before anything is drawn.

A sample belongs to its question, stream and number, so all ``n' <= n`` samples are the first of one pool, and whatever
is decided over a pool that is there costs nothing more. Which configurations these are can be told from their nodes
alone: the answer does not depend on what some store happens to hold.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

import orjson

from archloom.graphs import Configuration
from archloom.nodes import Composite, Generator, ModelNode, Node, Verifier

Demands: TypeAlias = Mapping[str, tuple[int, ...]]
"""For each question that the nodes ask of their models, how many samples of it they want. A question on several others
(a verdict on each draft) counts those too."""

_AFTERWARDS: Mapping[type[Node], frozenset[str]] = {
    Generator: frozenset({"min_success"}),
    Verifier: frozenset({"min_success", "on_unparsed", "threshold", "keep"}),
}
"""Nodes that ask one question of each candidate, or of none: their fields that decide what becomes of the replies, not
what is asked."""
_ASKED = {"type", *ModelNode.model_fields} - {"after", "budget", "on_error", "min_success", "on_unparsed"}
"""What two nodes must have in common for the engine to think that they might ask the same."""


def demands(configuration: Configuration) -> Demands:
    """What a configuration asks for.

    One with a budget per task may stop short of what its nodes want, and what a composite node runs depends on what it
    finds; they compare with nothing but themselves.
    """
    nodes = configuration.nodes.values()
    limited = any(limit is not None for _, limit in configuration.budget) or any(node.budget for node in nodes)
    if limited or any(isinstance(node, Composite) for node in nodes):
        return {configuration.id: ()}
    return _Reading(configuration).demands


def covers(wider: Demands, narrower: Demands) -> bool:
    """Whether all that the second asks for is among what the first asks for."""
    return all(
        question in wider and all(have >= want for have, want in zip(wider[question], counts, strict=True))
        for question, counts in narrower.items()
    )


class _Reading:
    """The demands of one configuration.

    Nodes are told apart by what they are and by the order in which the engine numbers the streams of equal ones, never
    by their names.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._nodes = configuration.nodes
        self._gives: dict[str, str] = {}
        self._question: dict[str, str] = {}
        self._counts: dict[str, tuple[int, ...]] = {}
        self._taken: Counter[str] = Counter()
        self.demands: dict[str, tuple[int, ...]] = {}
        for name in configuration.order:
            self._read(name)

    def _read(self, name: str) -> None:
        node = self._nodes[name]
        spec = node.model_dump(mode="json", exclude={"after"})
        count = _count(node)
        left_out = {count, *_AFTERWARDS.get(type(node), ())}
        asked = {field: value for field, value in spec.items() if field not in left_out}
        alike = _digest([{field: spec.get(field) for field in _ASKED}, bool(node.after)])  # one stream after the other
        stream, self._taken[alike] = self._taken[alike], self._taken[alike] + 1
        self._gives[name] = _digest([spec, stream, [self._gives[parent] for parent in node.after]])
        own = () if count is None else (int(getattr(node, count)),)
        if isinstance(node, Verifier) and all(self._is_pool(parent) for parent in node.after):
            inputs = [self._question[parent] for parent in node.after]
            counts = (*own, *(number for parent in node.after for number in self._counts[parent]))
        else:
            inputs, counts = [self._gives[parent] for parent in node.after], own
        pooled = type(node) in _AFTERWARDS and not _looks_first(node)
        self._question[name] = _digest([asked, stream, inputs]) if pooled else self._gives[name]
        self._counts[name] = counts
        if isinstance(node, ModelNode):
            self.demands[self._question[name]] = counts

    def _is_pool(self, name: str) -> bool:
        """Whether fewer of its candidates are the first of more: samples of a question that others do not change."""
        node = self._nodes[name]
        return type(node) is Generator and not _looks_first(node)


def _count(node: Node) -> str | None:
    """The field that says how many samples of a question it wants, where fewer are the first of more.

    A verifier that may ask again takes the samples that come after its own, so it is another one with fewer votes.
    """
    if _looks_first(node):
        return None
    return "samples" if type(node) is Generator else "votes" if type(node) is Verifier and not node.reasks else None


def _looks_first(node: Node) -> bool:
    """Whether what it draws depends on the replies to what it drew."""
    return isinstance(node, Generator) and (node.first is not None or node.until is not None)


def _digest(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
