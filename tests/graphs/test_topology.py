"""Free topologies: canonical graphs, what may follow what, and the workflows they are."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, Document, DocumentError
from archloom.graphs._topology import Grammar, Graph, Place, Topology, canonical, check_topology, depths, leaves

TEXT = """\
archloom: 1
answer: number
models:
  a: {provider: openai, model: a}
  b: {provider: simulated, model: b}
nodes:
  draft: {type: generator, model: a, samples: 3, max_tokens: 64}
  merge: {type: fuser, model: b, after: draft}
  answer: {type: vote, after: merge}
output: answer
"""
LIMITS = Topology(roles=("generator", "fuser", "critic", "verifier"), models=("a", "b"), max_nodes=4, max_width=2)


def workflow(text: str = TEXT) -> Configuration:
    return Document.parse(text).configure()


def grammar(topology: Topology = LIMITS, text: str = TEXT) -> Grammar:
    return Grammar.of(workflow(text), topology)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    places = []
    for number in range(draw(st.integers(1, 6))):
        after = [parent for parent in range(number) if draw(st.booleans())]
        places.append(Place(draw(st.sampled_from("gf")), draw(st.sampled_from("ab")), tuple(after)))
    return tuple(places)


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same graph in another order that is as good."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < len(graph):
        ready = [n for n in range(len(graph)) if n not in order and set(graph[n].after) <= set(order)]
        order.append(int(rng.choice(ready)))
    at = {number: position for position, number in enumerate(order)}
    return tuple(graph[n]._replace(after=tuple(sorted(at[p] for p in graph[n].after))) for n in order)


def as_networkx(graph: Graph) -> nx.DiGraph[int]:
    out: nx.DiGraph[int] = nx.DiGraph()
    for number, place in enumerate(graph):
        out.add_node(number, what=(place.role, place.model))
        out.add_edges_from((parent, number) for parent in place.after)
    return out


def same(one: Graph, other: Graph) -> bool:
    return bool(nx.is_isomorphic(as_networkx(one), as_networkx(other), node_match=lambda a, b: a == b))


@given(graphs(), st.integers(0, 1000))
@settings(deadline=None)
def test_graphs_of_one_shape_have_one_canonical_form(graph: Graph, seed: int) -> None:
    found = canonical(graph)
    assert canonical(shuffled(graph, seed)) == found == canonical(found)
    assert same(found, graph)
    assert depths(found) == sorted(depths(found))


@given(graphs(), graphs())
@settings(deadline=None, max_examples=300)
def test_canonical_forms_are_equal_only_for_graphs_of_one_shape(one: Graph, other: Graph) -> None:
    assert (canonical(one) == canonical(other)) == same(one, other)


def ring(*sizes: int) -> Graph:
    """Generators and fusers that alternate in rings: all look alike from where they stand."""
    first = [Place("g", "a") for _ in range(sum(sizes))]
    second, start = [], 0
    for size in sizes:
        second += [Place("f", "a", tuple(sorted((start + i, start + (i + 1) % size)))) for i in range(size)]
        start += size
    return (*first, *second)


def test_graphs_that_colours_cannot_tell_apart_are_told_apart() -> None:
    assert canonical(ring(4)) != canonical(ring(2, 2))
    for graph in (ring(4), ring(2, 2), ring(4, 2, 2)):
        assert len({canonical(shuffled(graph, seed)) for seed in range(20)}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_isomorphic_graphs_are_one_configuration(seed: int) -> None:
    free = grammar(Topology(roles=("generator", "fuser"), models=("a", "b"), max_width=8))
    names = {"g": "generator", "f": "fuser"}
    graph = tuple(place._replace(role=names[place.role]) for place in ring(4))
    assert free.configuration(shuffled(graph, seed)).id == free.configuration(graph).id


G, F, C, V = (Place(role, "a") for role in LIMITS.roles)


def after(place: Place, *parents: int) -> Place:
    return place._replace(after=parents)


@pytest.mark.parametrize(
    ("graph", "allowed"),
    [
        pytest.param((G,), True, id="one call"),
        pytest.param((G, after(F, 0)), True, id="a fuser behind a generator"),
        pytest.param((G, after(G, 0)), True, id="a generator may improve on another"),
        pytest.param((G, after(C, 0), after(V, 1), after(F, 2)), True, id="as deep as allowed"),
        pytest.param((), False, id="nothing"),
        pytest.param((F,), False, id="a fuser needs input"),
        pytest.param((G, V), False, id="a verifier needs input"),
        pytest.param((C, after(G, 0)), False, id="a critic cannot begin"),
        pytest.param((G, G, G), False, id="too wide"),
        pytest.param((G, after(G, 0), after(G, 1), after(G, 2), after(G, 3)), False, id="too many"),
    ],
)
def test_rules(graph: Graph, allowed: bool) -> None:
    assert grammar().allows(graph) is allowed


def test_depth_is_limited() -> None:
    flat = LIMITS.model_copy(update={"max_depth": 2})
    assert grammar(flat).allows((G, after(F, 0)))
    assert not grammar(flat).allows((G, after(C, 0), after(F, 1)))


def test_a_model_must_be_able_to_do_what_a_role_asks() -> None:
    strict = TEXT.replace("after: draft}", "after: draft, output_format: {regex: '[0-9]+'}}")
    strict = strict.replace("provider: openai, model: a", "provider: vllm, model: a").replace(
        "model: b, after", "model: a, after"
    )
    free = grammar(text=strict)
    assert free.allows((G, after(F, 0)))
    assert not free.allows((G, after(F, 0)._replace(model="b")))


def test_nodes_are_set_like_the_one_of_their_role_and_lead_to_the_output() -> None:
    graph = (G, G._replace(model="b"), after(V, 0), after(F, 0, 1))
    found = grammar().configuration(graph)
    assert {name: (node.type, getattr(node, "model", None), node.after) for name, node in found.nodes.items()} == {
        "generator1": ("generator", "a", ()),
        "generator2": ("generator", "b", ()),
        "verifier": ("verifier", "a", ("generator1",)),
        "fuser": ("fuser", "a", ("generator1", "generator2")),
        "answer": ("vote", None, ("fuser", "verifier")),
    }
    assert [getattr(found.nodes[name], "samples", None) for name in ("generator1", "generator2", "fuser")] == [3, 3, 1]
    assert Document.parse(found.to_yaml()).configure().id == found.id


def test_a_node_is_never_named_like_the_output() -> None:
    text = TEXT.replace("answer: {type: vote", "generator: {type: vote").replace("output: answer", "output: generator")
    found = grammar(text=text).configuration((G,))
    assert found.nodes["generator"].type == "vote"
    assert found.nodes["generator_"].type == "generator"


def test_the_workflow_as_written_is_one_of_its_graphs() -> None:
    assert grammar().written() == (G, after(F, 0)._replace(model="b"))
    assert grammar(LIMITS.model_copy(update={"models": ("a",)})).written() is None
    assert grammar(LIMITS.model_copy(update={"max_depth": 1})).written() is None


@pytest.mark.parametrize(
    ("change", "topology", "codes"),
    [
        pytest.param(("", ""), LIMITS, [], id="nothing"),
        pytest.param(
            ("", ""), {"roles": ("generator", "fusser"), "models": ("a",)}, ["E015", "E013"], id="no such role"
        ),
        pytest.param(
            ("", ""), {"roles": ("generator", "fuser", "vote"), "models": ("a",)}, ["E013"], id="asks no model"
        ),
        pytest.param(("", ""), {"models": ("a", "c")}, ["E021"], id="no such model"),
        pytest.param(("", ""), {"roles": ("fuser", "critic"), "models": ("a",)}, ["E013", "E013"], id="nothing begins"),
        pytest.param(
            ("  merge:", "  other: {type: fuser, model: a, after: draft}\n  merge:"),
            LIMITS,
            ["E013"],
            id="two of one role",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    change: tuple[str, str], topology: Topology | dict[str, object], codes: list[str]
) -> None:
    text = TEXT.replace(*change) if change[0] else TEXT
    text = text.replace("after: merge", "after: [merge, other]") if "other:" in text else text
    limits = topology if isinstance(topology, Topology) else Topology.model_validate(topology)
    base = workflow(text)
    assert [broken.code for broken in check_topology(base.nodes, base.models, base.output, limits)] == codes


@pytest.mark.parametrize(
    ("written", "message"),
    [
        pytest.param("{models: []}", "search.topology.models", id="no model"),
        pytest.param("{models: [a, a]}", "'a' is named twice", id="twice"),
        pytest.param("{models: [a], max_nodes: 99}", "less than or equal to 16", id="too many nodes"),
        pytest.param("{models: [a], depth: 3}", "unknown field", id="unknown field"),
    ],
)
def test_a_wrong_block_is_a_problem_of_the_document(written: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        Document.parse(TEXT + f"search:\n  topology: {written}\n")


def test_leaves_are_what_nobody_reads() -> None:
    assert leaves((G, G, after(F, 0))) == [1, 2]
