"""Streams: which nodes of a workflow ask the same question, and which pool each of them reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from archloom.graphs import Configuration
from archloom.nodes import Candidate, ModelNode, Task
from archloom.orchestrator.models import Samplers, request_key

_TASK = Task.ask("\u0001probe question\u0001", id="probe")
_CANDIDATES = tuple(
    Candidate(
        id=f"probe#{i}",
        text=f"\u0001probe {i}\u0001",
        answer=str(i),
        score=float(i),
        critiques=(f"critique {i}",),
    )
    for i in range(2)
)


def stream_ordinals(configuration: Configuration, samplers: Samplers) -> Mapping[str, int]:
    """The stream of each model node: 0 for the first node that asks a question, then 1, 2, ...

    Two nodes may ask the same question when their model, parameters and prompt are the same, whatever their
    inputs will be; that is decided by rendering each prompt for one probe task, before anything runs. Nodes
    are counted in canonical order, never by timing, so equal nodes stay independent in every schedule, and the
    first of them reads the same pool in every configuration.
    """
    seen: Counter[str] = Counter()
    ordinals: dict[str, int] = {}
    for name in configuration.order:
        node = configuration.nodes[name]
        if not isinstance(node, ModelNode):
            continue
        identity = samplers[node.model].client.identity
        requests = node.requests(_TASK, _CANDIDATES if node.after else ())
        question = request_key(identity, tuple(m for r in requests for m in r.messages), node.sampling)
        ordinals[name] = seen[question]
        seen[question] += 1
    return ordinals
