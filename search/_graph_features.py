"""What a graph is like, as numbers: counts, size, depth, width, and Weisfeiler-Lehman labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from archloom.graphs._topology import Graph, Topology, depths, leaves

_LABELS = 32
"""Columns that labels are hashed into."""
_ROUNDS = 2


def feature_names(topology: Topology) -> tuple[tuple[str, ...], ...]:
    """The names of all features, by kind."""
    return (
        tuple(f"count({role}:{model})" for role in topology.roles for model in topology.models),
        tuple(f"size={number + 1}" for number in range(topology.max_nodes)),
        tuple(f"depth={number + 1}" for number in range(topology.max_depth)),
        tuple(f"width={number + 1}" for number in range(topology.max_width)),
        tuple(f"label{number}" for number in range(_LABELS)),
    )


def features(topology: Topology, graph: Graph) -> NDArray[np.float64]:
    """The features of a graph within these limits; those of each kind are together of length 1."""
    depth, width = shape(graph)
    counts = Counter((place.role, place.model) for place in graph)
    labels = np.zeros(_LABELS)
    for label in _labels(graph):
        labels[crc32(label.encode()) % _LABELS] += 1
    parts = [
        np.array([counts[role, model] for role in topology.roles for model in topology.models], dtype=np.float64),
        np.eye(topology.max_nodes)[len(graph) - 1],
        np.eye(topology.max_depth)[depth - 1],
        np.eye(topology.max_width)[width - 1],
        labels,
    ]
    return np.concatenate([part / np.linalg.norm(part) for part in parts])


def shape(graph: Graph) -> tuple[int, int]:
    """Depth and width of a graph, in places."""
    found = depths(graph)
    return 1 + max(found), max(map(found.count, found))


def _labels(graph: Graph) -> Iterator[str]:
    """Labels of all places: themselves, then with what they read, then with what those read."""
    ends = set(leaves(graph))
    labels = [f"{place.role}:{place.model}{'!' if number in ends else ''}" for number, place in enumerate(graph)]
    yield from labels
    for _ in range(_ROUNDS):
        labels = [
            f"{own}({','.join(sorted(labels[parent] for parent in place.after))})"
            for own, place in zip(labels, graph, strict=True)
        ]
        yield from labels
