"""What is said of free graphs, and which of it matters."""

from __future__ import annotations

import numpy as np
import pytest

from archloom.graphs import Document
from archloom.graphs._topology import Graph, Place, Topology
from archloom.search import Point, space_of
from archloom.search._graph_traits import graph_traits, traits_of_graph
from archloom.search._importance import main_effects
from archloom.search._topology import TopologySpace

TOPOLOGY = Topology(roles=("generator", "fuser"), models=("a", "b"), max_nodes=6, max_width=4, max_depth=3)
TEXT = """\
archloom: 1
answer: number
models: {a: {provider: simulated, model: a}, b: {provider: simulated, model: b}}
nodes:
  draft: {type: generator, model: a, samples: {choose: [1, 3]}}
  answer: {type: vote, after: draft}
output: answer
search:
  topology: {roles: [generator, critic, fuser, verifier], models: [a, b], max_nodes: 6}
"""


def said(graph: Graph, topology: Topology = TOPOLOGY) -> dict[str, object]:
    axes = graph_traits(topology)
    return {axis.name: axis.options[index] for axis, index in zip(axes, traits_of_graph(topology, graph), strict=True)}


@pytest.fixture(scope="module")
def space() -> TopologySpace:
    found = space_of(Document.parse(TEXT))
    assert isinstance(found, TopologySpace)
    return found


def test_a_graph_is_told_by_its_size_its_shape_and_its_kinds_of_nodes() -> None:
    graph = (*[Place("generator", "a")] * 3, Place("generator", "b"), Place("fuser", "b", (0, 1, 2)))
    assert said(graph) == {
        "nodes": 5,
        "depth": 2,
        "width": 4,
        "generator": "3+",
        "fuser": 1,
        "generator a": "3+",
        "generator b": 1,
        "fuser a": 0,
        "fuser b": 1,
    }


def test_one_model_is_not_told_apart_from_none() -> None:
    alone = TOPOLOGY.model_copy(update={"models": ("a",)})
    assert set(said((Place("generator", "a"),), alone)) == {"nodes", "depth", "width", "generator", "fuser"}


def test_a_few_nodes_at_most_are_counted_to_the_last() -> None:
    few = TOPOLOGY.model_copy(update={"max_nodes": 3})
    assert said((Place("generator", "a"),) * 3, few)["generator a"] == 3


def test_every_drawn_graph_has_a_value_of_each_trait(space: TopologySpace) -> None:
    for point in space.scattered(np.random.default_rng(0), 200):
        for axis, index in zip(space.traits, space.traits_of(point), strict=True):
            assert 0 <= index < len(axis.options), axis.name
        assert space.traits_of(point) == space.traits_of(space.normal(point))


def test_the_trait_that_makes_the_score_comes_first(space: TopologySpace) -> None:
    """Scores rise with the judges of model b up to two of them, whatever else a graph has."""
    rng = np.random.default_rng(0)
    points: list[Point] = list(dict.fromkeys(space.sample(rng) for _ in range(150)))
    judges = [sum(place.role == "verifier" and place.model == "b" for place in space.graph(p)) for p in points]
    level = 0.4 + 0.2 * np.minimum(judges, 2)
    scores = level[:, None] + rng.normal(0, 0.1, (len(points), 30)) + rng.normal(0, 0.2, 30)
    first, *others = main_effects(space, points, scores)
    assert first.axis.name == "verifier b"
    assert first.share.low > max(effect.share.estimate for effect in others)
    assert first.axis.options[first.worst] == 0
    assert first.axis.options[first.best] in {2, "3+"}
    assert first.gap.estimate == pytest.approx(0.4, abs=0.08)


def test_holes_of_the_document_are_listed_with_the_traits(space: TopologySpace) -> None:
    rng = np.random.default_rng(1)
    points: list[Point] = list(dict.fromkeys(space.sample(rng) for _ in range(100)))
    level = np.array([0.3 + 0.3 * point[0] for point in points])  # three samples are better than one
    found = main_effects(space, points, level[:, None] + rng.normal(0, 0.1, (len(points), 20)))
    assert found[0].axis.name == "nodes.draft.samples"
    assert (found[0].best, found[0].worst) == (1, 0)
