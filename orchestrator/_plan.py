"""The plan: what an evaluation will cost, and what the store already has, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archloom.graphs import Configuration
from archloom.nodes import ModelNode, Task
from archloom.orchestrator._estimate import estimate
from archloom.orchestrator._ledger import ZERO, Usage
from archloom.orchestrator._streams import Asker, Streams, stream_ordinals
from archloom.orchestrator.models import Address, Samplers, SampleStore, stream_number


@dataclass(frozen=True)
class PlannedNode:
    """One node over all tasks.

    Attributes:
        node: Its name.
        type: Its type.
        least: Cost when every reply is as short as can be.
        most: Cost when every reply uses its ``max_tokens`` and every re-ask is needed; a hard bound.
        stored: Samples that the store has. Known for nodes that come first; what later nodes ask depends on
            the replies, so for them it is ``None``.
        missing: Samples of such a node that have to be drawn.
        inner: It is in a body; the composite node around it counts it in.
    """

    node: str
    type: str
    least: Usage
    most: Usage
    stored: int | None
    missing: int | None
    inner: bool = False


def plan(
    configuration: Configuration, samplers: Samplers, tasks: Iterable[Task], store: SampleStore
) -> list[PlannedNode]:
    """What each node will do on these tasks, in canonical order, those of bodies after the node they are in.

    No model is started, nothing is written.
    """
    streams = stream_ordinals(configuration, samplers)
    nodes = configuration.all_nodes
    least: dict[str, Usage] = dict.fromkeys(nodes, ZERO)
    most = dict(least)
    addresses: dict[str, set[Address]] = {name: set() for name in configuration.order}
    for task in tasks:
        for bounds in (each for top in estimate(configuration, samplers, task).values() for each in top.walk()):
            name = bounds.node
            least[name], most[name] = least[name] + bounds.least, most[name] + bounds.most
        for name in configuration.order:
            addresses[name] |= _first_addresses(configuration, samplers, streams, name, task)
    out = []
    for name, node in nodes.items():
        inner = name not in addresses
        known = isinstance(node, ModelNode) and not node.after and not inner
        stored = sum(store.get(address) is not None for address in addresses[name]) if known else None
        missing = len(addresses[name]) - stored if stored is not None else None
        out.append(PlannedNode(name, node.type, least[name], most[name], stored, missing, inner))
    return out


def _first_addresses(
    configuration: Configuration, samplers: Samplers, streams: Streams, name: str, task: Task
) -> set[Address]:
    """Addresses of the samples that a node without predecessors will ask for."""
    node = configuration.nodes[name]
    if not isinstance(node, ModelNode) or node.after:
        return set()
    sampler, sampling = samplers[node.model], node.sampling_for(task)
    stream = stream_number(streams[Asker(name, given=False)][0], 0)
    return {
        Address(sampler.question(request.messages, sampling).key, stream, request.start + i)
        for request in node.requests(task, ())
        for i in range(request.n)
    }
