"""The space of free topologies: counted, drawn, edited, encoded, written and read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.graphs import Document, DocumentError, InvalidConfigurationError
from archloom.graphs._topology import Place, depths
from archloom.orchestrator.models import MemoryStore
from archloom.search import SearchResult, prepare, run_search, space_of
from archloom.search._graph_edits import edits
from archloom.search._topology import TopologySpace

TEXT = """\
archloom: 1
name: free
answer: number
models:
  a: {provider: simulated, model: a, tokens: 20}
  b: {provider: simulated, model: b, tokens: 20}
nodes:
  draft: {type: generator, model: a, samples: {choose: [1, 3]}, max_tokens: 64}
  merge: {type: fuser, model: b, after: draft, temperature: {choose: [0.1, 0.9]}}
  answer: {type: vote, after: merge}
output: answer
search:
  tasks: simulated:free?size=40
  search_tasks: 6
  report_tasks: 6
  topology: {roles: [generator, fuser, critic, verifier], models: [a, b], max_nodes: 6, max_width: 3, max_depth: 3}
"""
PLAIN = TEXT.replace("{choose: [1, 3]}", "1").replace(", temperature: {choose: [0.1, 0.9]}", "")
ALONE = "\n".join(line for line in PLAIN.splitlines() if "merge:" not in line).replace("after: merge", "after: draft")
FULL = "roles: [generator, fuser, critic, verifier], models: [a, b], max_nodes: 6, max_width: 3, max_depth: 3"


def space(limits: str = FULL, text: str = TEXT) -> TopologySpace:
    found = space_of(Document.parse(text.replace(FULL, limits)))
    assert isinstance(found, TopologySpace)
    return found


@pytest.fixture(scope="module")
def large() -> TopologySpace:
    return space()


@pytest.mark.parametrize(
    ("limits", "count"),
    [
        # g; g,g; g>g; g>f
        pytest.param("roles: [generator, fuser], models: [a], max_nodes: 2", 4, id="two places"),
        pytest.param("roles: [generator, fuser], models: [a], max_nodes: 2, max_width: 1", 3, id="a chain"),
        pytest.param("roles: [generator, fuser], models: [a], max_nodes: 2, max_depth: 1", 2, id="a layer"),
        # one model: 4 graphs; now 2 + 3 + 4 + 4
        pytest.param("roles: [generator, fuser], models: [a, b], max_nodes: 2", 13, id="two models"),
        # unlabelled DAGs on 1, 2 and 3 nodes: 1 + 2 + 6
        pytest.param("roles: [generator], models: [a], max_nodes: 3", 9, id="all graphs of three nodes"),
        # and on 4: 31
        pytest.param("roles: [generator], models: [a], max_nodes: 4", 40, id="all graphs of four nodes"),
    ],
)
def test_small_topologies_are_counted_exactly(limits: str, count: int) -> None:
    small = space(limits, PLAIN if "fuser" in limits else ALONE)
    points = small.points()
    assert len(points) == count
    assert len({small.configuration(point).id for point in points}) == count
    assert {small.sample(np.random.default_rng(seed)) for seed in range(40 * count)} == set(points)


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_everything_handed_out_is_a_normal_point_within_the_limits(seed: int) -> None:
    large, rng = space(), np.random.default_rng(seed)
    chances = [rng.dirichlet(np.ones(len(axis.options))) for axis in large.axes]
    start = large.sample(rng)
    near = large.neighbours(start)
    for point in (start, large.draw(chances, rng), large.mutate(start, rng), *near[:10]):
        assert large.valid(point)
        assert large.normal(point) == point
        assert large.point(large.key(point)) == point
        found = depths(large.graph(point))
        assert len(found) <= 6
        assert max(found) < 3
        assert max(Counter(found).values()) <= 3
    assert start not in near
    assert large.mutate(start, rng) != start


def test_every_size_is_drawn_about_equally_often(large: TopologySpace) -> None:
    rng = np.random.default_rng(0)
    sizes = Counter(len(large.graph(large.sample(rng))) for _ in range(600))
    assert sorted(sizes) == [1, 2, 3, 4, 5, 6]
    assert min(sizes.values()) > 60


def test_sparse_and_dense_graphs_are_drawn(large: TopologySpace) -> None:
    rng = np.random.default_rng(0)
    graphs = [graph for graph in (large.graph(large.sample(rng)) for _ in range(400)) if max(depths(graph)) > 1]
    degrees = [[len(place.after) for place in graph if place.after] for graph in graphs]
    trees = sum(max(each) == 1 for each in degrees) / len(degrees)
    dense = sum(sum(each) >= 2 * len(each) for each in degrees) / len(degrees)
    assert 0.1 < trees < 0.6
    assert 0.05 < dense < 0.6


def test_drawing_follows_the_chances(large: TopologySpace) -> None:
    chances = [np.full(len(axis.options), 1 / len(axis.options)) for axis in large.axes]
    for number, axis in enumerate(large.axes):
        if axis.name.endswith(".role"):
            chances[number] = np.array([0.0, 0.5, 0.5, 0, 0]) if axis.name < "topology.4" else np.eye(5)[0]
        elif ".after." in axis.name:
            chances[number] = np.array([0.0, 1.0])
    rng = np.random.default_rng(0)
    graphs = [large.graph(large.draw(chances, rng)) for _ in range(20)]
    assert {tuple(place.after for place in graph) for graph in graphs} == {((), (0,), (0, 1))}
    assert {place.role for graph in graphs for place in graph} == {"generator", "fuser"}


def test_two_points_of_one_shape_are_one_configuration(large: TopologySpace) -> None:
    names = [axis.name for axis in large.axes]
    one, other = [0] * len(names), [0] * len(names)
    for point, place, model in ((one, 1, 0), (one, 2, 1), (other, 3, 1), (other, 5, 0)):
        point[names.index(f"topology.{place}.role")] = 1
        point[names.index(f"topology.{place}.model")] = model
    assert large.key(tuple(one)) == large.key(tuple(other))
    assert large.normal(tuple(one)) == large.normal(tuple(other))


def test_a_hole_of_a_role_that_is_not_there_does_not_matter(large: TopologySpace) -> None:
    graph = (Place("generator", "a"),)
    points = [large.point_of(graph, (samples, heat)) for samples in (0, 1) for heat in (0, 1)]
    assert len(set(points)) == 2
    assert large.active(points[0])[:2] == (True, False)
    samples = {large.configuration(point).nodes["generator"].samples for point in points}  # type: ignore[attr-defined]
    assert samples == {1, 3}


def test_neighbours_are_one_edit_away() -> None:
    small = space("roles: [generator, fuser], models: [a, b], max_nodes: 3", PLAIN)
    chain = small.point_of((Place("generator", "a"), Place("fuser", "a", (0,))))
    near = {small.graph(point) for point in small.neighbours(chain)}
    a, b = Place("generator", "a"), Place("generator", "b")
    expected = [
        (a,),  # a node less
        (a, Place("fuser", "b", (0,))),  # another model
        (b, Place("fuser", "a", (0,))),
        (a, Place("generator", "a", (0,))),  # another role
        (a, b, Place("fuser", "a", (0,))),  # a node more, beside
        (a, Place("fuser", "a", (0,)), Place("fuser", "b", (1,))),  # behind
        (a, Place("generator", "b", (0,)), Place("fuser", "a", (1,))),  # between
    ]
    assert {small.graph(small.point_of(graph)) for graph in expected} <= near
    assert (a, a) not in near, "an edge less leaves the fuser without input"
    assert all(small.valid(point) for point in small.neighbours(chain))


def test_edits_say_what_they_are() -> None:
    graph = (Place("g", "a"), Place("f", "a", (0,)))
    kinds = Counter(kind for kind, _ in edits(graph, ("g", "f"), ("a", "b")))
    assert kinds == {"remove": 2, "role": 2, "model": 2, "edge": 1, "add": 4 * (1 + 2) + 4}


def test_codes_tell_graphs_apart_and_fill_every_column(large: TopologySpace) -> None:
    rng = np.random.default_rng(1)
    points = list(dict.fromkeys(large.sample(rng) for _ in range(100)))
    rows = large.encode(points)
    assert rows.shape == (len(points), len(large.columns))
    assert large.blocks[-1].stop == len(large.columns)
    assert len({tuple(row) for row in rows.round(9).tolist()}) == len(points)
    for block in large.blocks[2:]:
        assert np.linalg.norm(rows[:, block], axis=1) == pytest.approx(1)
    assert large.encode([]).shape == (0, len(large.columns))


def test_features_count_roles_and_models(large: TopologySpace) -> None:
    graph = (Place("generator", "a"), Place("generator", "a"), Place("fuser", "b", (0, 1)))
    row = dict(zip(large.columns, large.encode([large.point_of(graph)])[0].tolist(), strict=True))
    assert row["count(generator:a)"] == pytest.approx(2 / 5**0.5)
    assert row["count(fuser:b)"] == pytest.approx(1 / 5**0.5)
    assert [row["size=3"], row["depth=2"], row["width=2"], row["size=2"]] == [1, 1, 1, 0]


def test_what_is_written_is_read_back(large: TopologySpace) -> None:
    rng = np.random.default_rng(2)
    points = [large.sample(rng) for _ in range(50)]
    assert [large.read(large.words(point)) for point in points] == points
    assert large.words(large.point_of((Place("generator", "a"), Place("fuser", "b", (0,))))) == {
        "nodes": [
            {"role": "generator", "model": "a", "after": []},
            {"role": "fuser", "model": "b", "after": [1]},
        ],
        "choices": {"nodes.draft.samples": 1, "nodes.merge.temperature": 0.1},
    }


NODE = {"role": "generator", "model": "a"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param([], "valid dictionary", id="no object"),
        pytest.param({"nodes": [NODE], "edges": []}, "Extra inputs", id="unknown field"),
        pytest.param({"nodes": [NODE | {"after": ["1"]}]}, "valid integer", id="a name for a number"),
        pytest.param({"nodes": [NODE | {"role": "judge"}]}, "no 'judge'", id="no such role"),
        pytest.param({"nodes": [NODE | {"model": "c"}]}, "no 'generator' of 'c'", id="no such model"),
        pytest.param({"nodes": [NODE | {"after": [1]}]}, "other than earlier", id="reads itself"),
        pytest.param({"nodes": [NODE, NODE | {"after": [0]}]}, "other than earlier", id="counts from zero"),
        pytest.param({"nodes": [NODE | {"role": "critic"}]}, "forbid", id="against a rule"),
        pytest.param({"nodes": [NODE] * 7}, "more than 6", id="too many"),
        pytest.param({"nodes": [NODE], "choices": {"nodes.draft.samples": 2}}, "does not offer 2", id="no such option"),
        pytest.param({"nodes": [NODE], "choices": {"heat": 2}}, "no choice 'heat'", id="no such choice"),
    ],
)
def test_what_is_no_configuration_is_not_read(large: TopologySpace, words: object, message: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=message):
        large.read(words)


def test_the_written_workflow_is_a_point(large: TopologySpace) -> None:
    assert large.written is not None
    assert large.describe(large.written) == (
        "generator a + fuser b · depth 2 · draft.samples 1 · merge.temperature 0.1"
    )
    assert space("models: [a], roles: [generator, fuser]").written is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(("models: [a, b]", "models: [a, c]"), r"search.topology.models\[1\].*no model 'c'", id="model"),
        pytest.param(("verifier], models", "vote], models"), r"search.topology.roles\[3\].*asks no model", id="role"),
        pytest.param(("after: draft,", "after: draft, optional: true,"), "no hole", id="structural hole"),
    ],
)
def test_a_topology_that_does_not_fit_is_refused(change: tuple[str, str], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        space_of(Document.parse(TEXT.replace(*change)))


async def _search(folder: Path, *overrides: str) -> SearchResult:
    document = Document.parse(TEXT, overrides=overrides)
    return await run_search(prepare(document, document.search), folder=folder, store=MemoryStore())


@pytest.mark.parametrize("optimizer", [pytest.param("random", marks=pytest.mark.slow), "reinforce"])
async def test_a_search_ends_in_an_ordinary_workflow_and_repeats(tmp_path: Path, optimizer: str) -> None:
    for name in "ab":
        found = await _search(tmp_path / name, f"search.optimizer={optimizer}", "search.budget.tokens=30000")
    best = Document.load(tmp_path / "a/best.yaml")
    assert not best.holes
    assert best.search.topology is None
    assert best.configure().id == found.winner.id
    assert (tmp_path / "a/cells.jsonl").read_bytes() == (tmp_path / "b/cells.jsonl").read_bytes()
