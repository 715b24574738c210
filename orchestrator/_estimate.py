"""What a run may cost, before it runs: by rendering every prompt with placeholder candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from archloom.graphs import Configuration, Input
from archloom.nodes import Candidate, Candidates, Composite, ModelNode, Part, PromptError, Request, Task
from archloom.orchestrator._ledger import ZERO, Usage, total
from archloom.orchestrator.models import Samplers

_WORD = "xxxxxxx "
"""Placeholders are as long as so many of these, one a token."""
_LEAST_BYTES = 6
"""Prompt bounds count bytes; a token of running text rarely holds more than this many."""


@dataclass(frozen=True)
class NodeEstimate:
    """Bounds for one node on one task.

    Attributes:
        node: Its name.
        least: Cost when every reply is empty and nothing is asked twice; a run that fails may cost less.
        most: Cost when every reply uses its ``max_tokens`` and every re-ask is needed.
        inner: Bounds for the nodes of its bodies, over all their runs. Of alternatives only one runs.
    """

    node: str
    least: Usage
    most: Usage
    inner: tuple[NodeEstimate, ...] = ()

    def walk(self) -> Iterator[NodeEstimate]:
        """These bounds and all inside them."""
        yield self
        for bounds in self.inner:
            yield from bounds.walk()


class _Bounds(NamedTuple):
    """Bounds, and the most and the longest candidates that come out."""

    nodes: tuple[NodeEstimate, ...]
    gives: Candidates


def estimate(configuration: Configuration, samplers: Samplers, task: Task) -> Mapping[str, NodeEstimate]:
    """Bounds for each node, in canonical order."""
    return {bounds.node: bounds for bounds in _of_graph(configuration, samplers, task, (), "").nodes}


def node_bounds(
    configuration: Configuration, samplers: Samplers, task: Task, name: str, given: Candidates
) -> NodeEstimate:
    """Bounds for one node that is given these candidates."""
    [bounds] = _of_node(configuration, samplers, task, name, given, "").nodes
    return bounds


def _of_graph(configuration: Configuration, samplers: Samplers, task: Task, given: Candidates, prefix: str) -> _Bounds:
    longest: dict[str, Candidates] = {}
    found: list[NodeEstimate] = []
    for name in configuration.order:
        node = configuration.nodes[name]
        if isinstance(node, Input):
            longest[name] = given
            continue
        shown = tuple(candidate for parent in node.after for candidate in longest[parent])
        bounds = _of_node(configuration, samplers, task, name, shown, prefix)
        found += bounds.nodes
        longest[name] = bounds.gives
    return _Bounds(tuple(found), longest[configuration.output])


def _of_node(
    configuration: Configuration, samplers: Samplers, task: Task, name: str, longest: Candidates, prefix: str
) -> _Bounds:
    node = configuration.nodes[name]
    if isinstance(node, Composite):
        return _of_composite(configuration, samplers, task, name, longest, prefix)
    least, most = ZERO, ZERO
    if isinstance(node, ModelNode):
        sampler = samplers[node.model]
        for request in node.requests(task, longest):
            need = sampler.need(request.messages, node.sampling)
            for _ in range(request.n * node.attempts):
                most = most + need
        for request in _shortest_requests(node, task, longest):
            tokens_in = sampler.client.prompt_tokens_bound(request.messages) // _LEAST_BYTES
            for _ in range(request.n):
                least = least + sampler.costs.of_call(tokens_in, 0)
    return _Bounds((NodeEstimate(prefix + name, least, most),), tuple(map(_in_words, node.longest(longest))))


def _of_composite(
    configuration: Configuration, samplers: Samplers, task: Task, name: str, longest: Candidates, prefix: str
) -> _Bounds:
    node = configuration.nodes[name]
    assert isinstance(node, Composite)
    runs: dict[str, list[_Bounds]] = {part.label: [] for part in node.parts}
    seen: dict[str, tuple[Candidates, Task]] = {}

    def bound(part: Part, given: Candidates, about: Task | None = None) -> Candidates:
        asked = (given, about or task)
        if seen.get(part.label) == asked:  # a loop that hands on as much as before costs as much as before
            runs[part.label].append(runs[part.label][-1])
        else:
            inside = f"{prefix}{name}[{part.label}]."
            body = configuration.bodies[name][part.label]
            runs[part.label].append(_of_graph(body, samplers, asked[1], given, inside))
        seen[part.label] = asked
        return runs[part.label][-1].gives

    gives = node.worst(task, longest, bound)
    parts = {part.label: _summed([run.nodes for run in runs[part.label]], part.fewest) for part in node.parts}
    always = [parts[part.label] for part in node.parts if not part.alternative]
    either = [parts[part.label] for part in node.parts if part.alternative]
    least = total(row.least for rows in always for row in rows)
    most = total(row.most for rows in always for row in rows)
    if either:
        least = least + _each_field(min, [total(row.least for row in rows) for rows in either])
        most = most + _each_field(max, [total(row.most for row in rows) for rows in either])
    inner = tuple(row for rows in parts.values() for row in rows)
    return _Bounds((NodeEstimate(prefix + name, least, most, inner),), gives)


def _summed(runs: Sequence[Sequence[NodeEstimate]], fewest: int) -> tuple[NodeEstimate, ...]:
    """The nodes of a body over the dearest runs, and over the fewest."""
    return tuple(
        NodeEstimate(
            rows[0].node,
            total([rows[0].least] * fewest),
            total(row.most for row in rows),
            _summed([row.inner for row in rows], fewest),
        )
        for rows in zip(*runs, strict=True)
    )


def _each_field(choose: Callable[[Iterable[float]], float], usages: Sequence[Usage]) -> Usage:
    """The least or the most of each figure."""
    figures = {name: choose(getattr(usage, name) for usage in usages) for name in vars(ZERO)}
    return Usage(**figures)  # type: ignore[arg-type]  # the least and the most of whole numbers are whole


def _shortest_requests(node: ModelNode, task: Task, longest: Candidates) -> tuple[Request, ...]:
    """What it asks about a single empty candidate; nothing when its prompt needs more than that."""
    try:
        return node.requests(task, tuple(replace(first, text="", critiques=()) for first in longest[:1]))
    except PromptError:
        return ()


def _in_words(longest: Candidate) -> Candidate:
    """A placeholder of the same length in words, because some clients count words and not bytes.

    Its answer is as long, for prompts that show answers.
    """
    text = _words(len(longest.text))
    critiques = tuple(_words(len(each)) for each in longest.critiques)
    return replace(longest, text=text, answer=text, critiques=critiques)


@cache
def _words(length: int) -> str:
    return _WORD * -(-length // len(_WORD))


def worst_case(configuration: Configuration, samplers: Samplers, task: Task) -> Usage:
    """The most that all nodes together can cost on this task."""
    return total(bounds.most for bounds in estimate(configuration, samplers, task).values())
