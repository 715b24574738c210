"""Streams: which nodes of a workflow ask the same question, and which pool each of them reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from archloom.graphs import Configuration
from archloom.nodes import Candidate, Candidates, ModelNode, PromptError, Request, Task
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
    """A node, and whether candidates reach it: a generator whose predecessors gave nothing asks the bare task."""

    node: str
    given: bool


def stream_ordinals(configuration: Configuration, samplers: Samplers) -> Mapping[Asker, int]:
    """The stream of each model node: 0 for the first node that asks a question, then 1, 2, ...

    Two nodes may ask the same question when their model, parameters and prompt can be the same, whatever their
    inputs will be; that is decided by rendering each prompt for probes, before anything runs. Nodes are counted
    in canonical order, never by timing, so equal nodes stay independent in every schedule, and the first of
    them reads the same pool in every configuration.
    """
    taken: Counter[str] = Counter()
    ordinals: dict[Asker, int] = {}
    for asker in _askers(configuration):
        questions = _questions(configuration, samplers, asker)
        ordinals[asker] = max(taken[question] for question in questions)
        for question in questions:
            taken[question] = ordinals[asker] + 1
    return ordinals


def _askers(configuration: Configuration) -> Iterator[Asker]:
    """First the nodes as they are meant to run, then those that may lose their predecessors: that must not
    move the streams of the others."""
    models = [name for name in configuration.order if isinstance(configuration.nodes[name], ModelNode)]
    yield from (Asker(name, given=bool(configuration.nodes[name].after)) for name in models)
    for name in models:
        node = configuration.nodes[name]
        if node.after and not node.needs_input:
            yield Asker(name, given=False)


def _questions(configuration: Configuration, samplers: Samplers, asker: Asker) -> set[str]:
    """Keys of all that a node asks when it is probed."""
    node = configuration.nodes[asker.node]
    assert isinstance(node, ModelNode)
    asked = {samplers[node.model], *samplers[node.model].fallbacks}
    found = {
        Question.of(sampler.client.identity, request.messages, node.sampling).key
        for probe in (_PROBES if asker.given else ((),))
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
