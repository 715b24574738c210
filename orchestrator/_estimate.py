"""What a run may cost, before it runs: by rendering every prompt with placeholder candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from archloom.graphs import Configuration
from archloom.nodes import Candidate, Candidates, ModelNode, PromptError, Request, Task
from archloom.orchestrator._ledger import ZERO, Usage
from archloom.orchestrator.models import Samplers

_WORD = "xxxxxxx "
"""Placeholders are as long as so many of these, one a token."""
_LEAST_BYTES = 6
"""Prompt bounds count bytes; a token of running text rarely holds more than this many."""


@dataclass(frozen=True)
class NodeEstimate:
    """Bounds for one node on one task.

    Attributes:
        least: Cost when every reply is empty and nothing is asked twice; a run that fails may cost less.
        most: Cost when every reply uses its ``max_tokens`` and every re-ask is needed.
    """

    node: str
    least: Usage
    most: Usage


def estimate(configuration: Configuration, samplers: Samplers, task: Task) -> Mapping[str, NodeEstimate]:
    """Bounds for each node, in canonical order."""
    given_most: dict[str, Candidates] = {}
    out: dict[str, NodeEstimate] = {}
    for name in configuration.order:
        node = configuration.nodes[name]
        longest = tuple(candidate for parent in node.after for candidate in given_most[parent])
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
        given_most[name] = tuple(map(_in_words, node.longest(longest)))
        out[name] = NodeEstimate(name, least, most)
    return out


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
    total = ZERO
    for bounds in estimate(configuration, samplers, task).values():
        total = total + bounds.most
    return total
