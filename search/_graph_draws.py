"""Random graphs of a grammar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archloom.graphs._topology import Grammar, Graph, Place, Topology

Chances = NDArray[np.float64]


def grown(grammar: Grammar, rng: np.random.Generator) -> Graph:
    """A graph layer by layer: each node reads one of the layer before, and perhaps more of what came earlier.

    It is within the limits on nodes, width and depth by construction, and its nodes can read what they read. How
    likely edges are is drawn once for the whole graph, so that sparse and dense graphs both come.
    """
    graph: list[Place] = []
    before: list[int] = []
    density = rng.random()
    for width in _layers(grammar.topology, rng):
        layer: list[int] = []
        earlier = tuple(graph)
        for _ in range(width):
            place = _placed(grammar, earlier, before, density, rng)
            if place is None:
                return tuple(graph)
            layer.append(len(graph))
            graph.append(place)
        before = layer
    return tuple(graph)


def _layers(limits: Topology, rng: np.random.Generator) -> list[int]:
    """Widths of the layers of a random graph; all sizes that the limits allow are alike likely."""
    size = int(rng.integers(1, min(limits.max_nodes, limits.max_width * limits.max_depth) + 1))
    depth = int(rng.integers(-(-size // limits.max_width), min(size, limits.max_depth) + 1))
    widths = [1] * depth
    for _ in range(size - depth):
        widths[int(rng.choice([n for n, width in enumerate(widths) if width < limits.max_width]))] += 1
    return widths


def _placed(
    grammar: Grammar, earlier: Graph, before: Sequence[int], density: float, rng: np.random.Generator
) -> Place | None:
    """A node of the next layer; ``before`` are the places of the last one."""
    options: list[tuple[str, str, list[int]]] = []
    for role in grammar.topology.roles:
        readable = [n for n, place in enumerate(earlier) if grammar.can_follow(role, [place.role])]
        if set(readable) & set(before) if before else grammar.can_follow(role, []):
            options += [(role, model, readable) for model in grammar.topology.models if grammar.can_ask(role, model)]
    if not options:
        return None
    role, model, readable = options[int(rng.integers(len(options)))]
    if not before:
        return Place(role, model)
    nearest = int(rng.choice([n for n in readable if n in before]))
    after = {nearest, *(n for n in readable if rng.random() < density / 2)}
    return Place(role, model, tuple(sorted(after)))


def drawn(grammar: Grammar, chances: Sequence[Chances], rng: np.random.Generator) -> Graph:
    """A graph whose choices are drawn one by one by the chances of each axis; it may break a limit.

    A role that cannot come first is not drawn where nothing is before it, an edge that the roles forbid is skipped,
    and a node that needs one gets the likeliest or another by its chance.
    """
    roles, models = grammar.topology.roles, grammar.topology.models
    graph: list[Place] = []
    number: dict[int, int] = {}
    axes = iter(chances)
    for i in range(grammar.topology.max_nodes):
        may = [True, *(bool(graph) or grammar.can_follow(role, []) for role in roles)]
        chosen = pick(next(axes) * may, rng)
        model_chances, edge_chances = next(axes), [float(next(axes)[1]) for _ in range(i)]
        if not chosen:
            continue
        role = roles[chosen - 1]
        model = models[pick(model_chances * [grammar.can_ask(role, model) for model in models], rng)]
        open_to = [j for j in range(i) if j in number and grammar.can_follow(role, [graph[number[j]].role])]
        after = [j for j in open_to if rng.random() < edge_chances[j]]
        if not after and open_to and grammar.templates[role].needs_input:
            after = [open_to[pick(np.array([edge_chances[j] for j in open_to]), rng)]]
        number[i] = len(graph)
        graph.append(Place(role, model, tuple(number[j] for j in after)))
    return tuple(graph)


def pick(chances: Chances, rng: np.random.Generator) -> int:
    """An option by these chances, which need not add up to 1; the first where all are 0."""
    total = float(chances.sum())
    return int(rng.choice(len(chances), p=chances / total)) if total > 0 else 0
