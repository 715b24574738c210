"""What a reader asks of a free graph: how large, deep and wide it is, and how many nodes it has of each kind."""

from __future__ import annotations

from collections import Counter
from itertools import product

from archloom.graphs._topology import Graph, Topology
from archloom.search._graph_features import shape
from archloom.search._space import Axis, Point

_MANY = 3
"""As many nodes of one kind and more count as one value: few graphs have more, and they say little by themselves."""


def graph_traits(topology: Topology) -> tuple[Axis, ...]:
    """Size, depth and width, then for each role, and each model of a role, how many nodes have it."""
    few = tuple(range(min(_MANY, topology.max_nodes)))
    counted = (*few, f"{len(few)}+" if topology.max_nodes > len(few) else len(few))
    return (
        *(
            Axis(name, tuple(range(1, most + 1)), ordered=True)
            for name, most in (
                ("nodes", topology.max_nodes),
                ("depth", topology.max_depth),
                ("width", topology.max_width),
            )
        ),
        *(Axis(name, counted) for name in topology.roles),
        *(Axis(f"{role} {model}", counted) for role, model in _kinds(topology)),
    )


def traits_of_graph(topology: Topology, graph: Graph) -> Point:
    """The value of each trait, by its place among the options."""
    roles = Counter(place.role for place in graph)
    kinds = Counter((place.role, place.model) for place in graph)
    counts = (*(roles[role] for role in topology.roles), *(kinds[kind] for kind in _kinds(topology)))
    return (len(graph) - 1, *(most - 1 for most in shape(graph)), *(min(_MANY, count) for count in counts))


def _kinds(topology: Topology) -> tuple[tuple[str, str], ...]:
    """Roles with models, where there is more than one model to tell apart."""
    return tuple(product(topology.roles, topology.models)) if len(topology.models) > 1 else ()
