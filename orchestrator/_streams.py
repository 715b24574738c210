"""Streams: which nodes of a workflow ask the same question, and which pool each of them reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from archloom.graphs import Configuration, Input
from archloom.nodes import Candidate, Candidates, Composite, ModelNode, Node, PromptError, Request, Task
from archloom.orchestrator.models import Question, Samplers

_TASK = Task.ask("\u00011 + 1\u0001", id="probe")
_BARE = tuple(Candidate(id=f"probe#{i}", text=f"\u0001{i}\u0001") for i in range(4))
_ANNOTATED = tuple(
    Candidate(id=f"probe#{i}", text=f"\u0001{i}\u0001", answer=str(i), score=float(i), critiques=(f"\u0001{i}",))
    for i in range(4)
)
_PROBES: tuple[Candidates, ...] = (_BARE, _ANNOTATED, _BARE[:1], _ANNOTATED[:1])
"""Without letters and with everything there or missing, so that prompts which can render alike do so here."""

_UNRENDERABLE = (PromptError, ArithmeticError, LookupError, TypeError, ValueError)
"""What a template's expressions raise on a probe that they were not written for."""


class Asker(NamedTuple):
    """A node, and whether candidates reach it: a generator whose predecessors gave nothing asks the bare task.

    A node of a body has its name in ``Configuration.all_nodes``: ``refine[*].again``.
    """

    node: str
    given: bool


Streams: TypeAlias = Mapping[Asker, tuple[int, ...]]
"""The stream of each model node, for each run of the body that it is in; without loops around it there is one."""


class _Place(NamedTuple):
    """A model node in the graph that it is in.

    Attributes:
        path: What its name begins with.
        name: Its name in its own graph.
        graph: That graph.
        times: How often it runs for a task, at most.
        bare: Nothing comes before its body, so that what it is given there may be nothing.
    """

    path: str
    name: str
    graph: Configuration
    times: int
    bare: bool


def stream_ordinals(configuration: Configuration, samplers: Samplers) -> Streams:
    """The streams of each model node: 0 for the first node that asks a question, then 1, 2, ...

    Two nodes may ask the same question when their model, parameters and prompt can be the same, whatever their
    inputs will be; that is decided by rendering each prompt for probes, before anything runs. Nodes are counted
    in canonical order, never by timing, so equal nodes stay independent in every schedule, and the first of
    them reads the same pool in every configuration. The runs of a loop count on: first every node takes a stream
    for its first run, then those in loops for their second, and so on, so that no loop moves the streams of others.
    """
    taken: Counter[str] = Counter()
    streams: dict[Asker, list[int]] = {}
    askers = [(asker, place.times, _questions(place, samplers, asker.given)) for asker, place in _askers(configuration)]
    for turn in range(max((times for _, times, _ in askers), default=0)):
        for asker, times, questions in askers:
            if turn < times:
                stream = max(taken[question] for question in questions)
                streams.setdefault(asker, []).append(stream)
                for question in questions:
                    taken[question] = stream + 1
    return {asker: tuple(turns) for asker, turns in streams.items()}


def _askers(configuration: Configuration) -> Iterator[tuple[Asker, _Place]]:
    """First the nodes as they are meant to run, then those that may lose their predecessors: that must not
    move the streams of the others."""
    places = list(_places(configuration, "", 1, bare=True))
    lost = []
    for place in places:
        node = place.graph.nodes[place.name]
        given, bare = (Asker(place.path + place.name, given=given) for given in (True, False))
        begins_bare = not node.after or (place.bare and _only_input(place.graph, node))
        if begins_bare and not node.needs_input:
            yield bare, place
        elif not node.needs_input:
            lost.append((bare, place))
        if node.after:
            yield given, place
    yield from lost


def _only_input(graph: Configuration, node: Node) -> bool:
    return all(isinstance(graph.nodes[parent], Input) for parent in node.after)


def _places(graph: Configuration, path: str, times: int, *, bare: bool) -> Iterator[_Place]:
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, ModelNode):
            yield _Place(path, name, graph, times, bare)
        elif isinstance(node, Composite):
            begins_bare = bare and _only_input(graph, node)
            for part in node.parts:
                inside = graph.bodies[name][part.label]
                nothing = begins_bare or not part.given
                yield from _places(inside, f"{path}{name}[{part.label}].", times * part.times, bare=nothing)


def _questions(place: _Place, samplers: Samplers, given: bool) -> set[str]:
    """Keys of all that a node asks when it is probed."""
    node = place.graph.nodes[place.name]
    assert isinstance(node, ModelNode)
    asked = {samplers[node.model], *samplers[node.model].fallbacks}
    found = {
        Question.of(sampler.client.identity, request.messages, node.sampling).key
        for probe in (_PROBES if given else ((),))
        for request in _asked(node, probe)
        for sampler in asked
    }
    source = {"role": "prompt", "content": node.prompt or node.template}
    return found or {Question.of(sampler.client.identity, (source,), node.sampling).key for sampler in asked}


def _asked(node: ModelNode, given: Candidates) -> tuple[Request, ...]:
    try:
        return node.requests(_TASK, given)
    except _UNRENDERABLE:
        return ()
