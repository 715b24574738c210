"""Optimizers that came from searches over graphs: policies, pilots, proposals, edits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from archloom.graphs import Document, Limits, Objective
from archloom.orchestrator import Cell
from archloom.search import Axis, Space, space_of
from archloom.search._topology import TopologySpace
from archloom.search.errors import OptimizerOptionsError
from archloom.search.optimizers import Observation, Optimizer, make_optimizer
from archloom.search.optimizers._compute import Compute
from archloom.search.optimizers._pilots import Pilots, multisets
from archloom.search.optimizers._policy import Policy, Trial
from archloom.testing._optimizers import MakeOptimizer, OptimizerConformance, small_space

TEXT = """\
archloom: 1
answer: number
models:
  big: {provider: simulated, model: big, price: {input: 9, output: 9}}
  mid: {provider: simulated, model: mid, price: {input: 3, output: 3}}
  low: {provider: simulated, model: low, price: {input: 1, output: 1}}
nodes:
  draft: {type: generator, model: mid, max_tokens: 64}
  answer: {type: vote, after: draft}
output: answer
search: {topology: {roles: [generator, fuser, verifier], models: [big, mid, low], max_nodes: 6}}
"""
TASKS = tuple(f"task-{number}" for number in range(16))


def topology(text: str = TEXT) -> TopologySpace:
    found = space_of(Document.parse(text))
    assert isinstance(found, TopologySpace)
    return found


def maker(name: str, **options: object) -> MakeOptimizer:
    def make(space: Space, task_ids: Sequence[str], objective: Objective, seed: int) -> Optimizer:
        return make_optimizer(name, space, task_ids, objective, seed=seed, options=options)

    return make


class TestReinforce(OptimizerConformance):
    @pytest.fixture(params=["none", "moving"])
    def make(self, request: pytest.FixtureRequest) -> MakeOptimizer:
        return maker("reinforce", tasks=3, baseline=request.param)


class TestAgentReinforce(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("agent_reinforce", tasks=3)


class TestAgentTTS(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("agent_tts", startup=2)


class TestMCTS(OptimizerConformance):
    @pytest.fixture
    def make(self) -> MakeOptimizer:
        return maker("mcts")


def told(space: TopologySpace, wanted: Sequence[Observation]) -> list[Cell]:
    """A world in which every big model helps, up to three, and depth does not."""
    cells = []
    for point, tasks in ((observation.point, observation.task_ids) for observation in wanted):
        graph = space.graph(point)
        score = min(3, sum(place.model == "big" for place in graph)) / 4 + 0.02 * len(graph)
        cells += [
            Cell(space.key(point), task, score, tokens=10 * len(graph), cost_usd=0.0, latency_s=1.0, calls=len(graph))
            for task in tasks
        ]
    return cells


@pytest.mark.parametrize("name", ["reinforce", "agent_reinforce", "agent_tts", "mcts"])
def test_a_topology_is_searched_and_resumed(name: str) -> None:
    space, afresh = topology(), topology()
    optimizer = make_optimizer(name, space, TASKS, Objective(), seed=1)
    log: list[Cell] = []
    points = []
    for _ in range(5):
        wanted = optimizer.ask()
        points += [observation.point for observation in wanted]
        cells = told(space, wanted)
        optimizer.tell(cells)
        log += cells
    for point in points:
        afresh.key(point)
    resumed = make_optimizer(name, afresh, TASKS, Objective(), seed=1)
    resumed.tell(log)
    assert resumed.ask() == optimizer.ask()
    assert resumed.recommend().point == optimizer.recommend().point


@pytest.mark.parametrize("name", ["reinforce", "agent_reinforce", "agent_tts", "mcts"])
def test_what_pays_is_found(name: str) -> None:
    space = topology()
    options = {"budget": 60} if name == "agent_reinforce" else {}
    optimizer = make_optimizer(name, space, TASKS[:8], Objective(), seed=0, options=options)
    for _ in range(60):
        optimizer.tell(told(space, optimizer.ask()))
    assert optimizer.recommend().evidence.score.estimate >= 0.75


def test_a_step_moves_every_choice_that_was_made_by_the_learning_rate() -> None:
    space = Space([Axis("edge", (False, True)), Axis("role", ("a", "b", "c")), Axis("model", ("m", "n"))])
    policy = Policy(space, learning_rate=0.1, learns=[0, 1])
    policy.learn([Trial((1, 2, 1), 1.0)])
    assert policy.logits.round(6).tolist() == [[0, 0.1, 0], [-0.1, -0.1, 0.1], [0, 0, 0]]
    assert policy.chances[0][1] == pytest.approx(1 / (1 + np.exp(-0.1)))
    policy.learn([Trial((0, 2, 1), -1.0)], baseline=0.0)
    assert policy.chances[0][1] > 0.52, "what did badly becomes less likely"


def test_a_choice_that_does_not_matter_learns_nothing() -> None:
    space = small_space()
    policy = Policy(space, learning_rate=0.1)
    policy.learn([Trial((0, 0, 1, 0), 1.0)])
    assert policy.logits[3].tolist() == [0, 0, 0]
    assert policy.logits[2].tolist() != [0, 0, 0]


def test_chances_that_are_believed_replace_those_there() -> None:
    policy = Policy(Space([Axis("edge", (False, True)), Axis("role", ("a", "b", "c"))]), learning_rate=0.1)
    policy.believe({0: [0.2, 0.8], 1: [0, 0.5, 0.5]})
    assert policy.chances[0].tolist() == pytest.approx([0.2, 0.8])
    assert policy.chances[1].tolist() == pytest.approx([0.01 / 1.01, 0.5 / 1.01, 0.5 / 1.01])
    assert policy.modes == (1, 1)


def test_a_moving_baseline_learns_nothing_from_equal_rewards() -> None:
    space = Space([Axis("hole", (1, 2, 3, 4)), Axis("edge", (False, True))])
    moved = {}
    for baseline in ("none", "moving"):
        optimizer = make_optimizer("reinforce", space, TASKS, Objective(), options={"baseline": baseline, "tasks": 4})
        for _ in range(4):
            wanted = optimizer.ask()
            optimizer.tell([cell(space, o.point, task, 0.5) for o in wanted for task in o.task_ids])
        moved[baseline] = optimizer.published()["chances"]  # type: ignore[attr-defined]
    assert moved["moving"] == {"hole": [0.25] * 4, "edge": [0.5] * 2}
    assert moved["none"] != moved["moving"]


def test_a_limit_that_is_exceeded_lowers_the_reward() -> None:
    space = Space([Axis("edge", (False, True))])
    objective = Objective(within=Limits(tokens=10))
    optimizer = make_optimizer("reinforce", space, TASKS, objective, options={"baseline": "none", "graphs": 1})
    optimizer.tell([cell(space, (1,), task, 1.0, tokens=30) for task in TASKS[:8]])
    assert optimizer.published()["likeliest"] == {"edge": False}  # type: ignore[attr-defined]


def test_the_published_graph_may_be_none_of_the_space() -> None:
    space = small_space()
    optimizer = make_optimizer("reinforce", space, TASKS, Objective(), options={"graphs": 1, "baseline": "none"})
    optimizer.tell([cell(space, (1, 1, 0, 0), task, 1.0) for task in TASKS[:8]])
    optimizer.tell([cell(space, (0, 2, 0, 0), task, 1.0) for task in TASKS[:8]])
    optimizer.tell([cell(space, (0, 2, 1, 0), task, -1.0) for task in TASKS[:8]])
    assert optimizer.published()["likeliest"] is None or space.read(optimizer.published()["likeliest"])  # type: ignore[attr-defined]
    assert optimizer.recommend().point == (1, 1, 0, 0)


def test_little_evidence_is_drawn_towards_all_others() -> None:
    space = Space([Axis("hole", tuple(range(4)))])
    optimizer = make_optimizer("reinforce", space, TASKS, Objective())
    optimizer.tell([cell(space, (0,), task, 0.8) for task in TASKS])
    optimizer.tell([cell(space, (1,), TASKS[0], 1.0), cell(space, (2,), TASKS[0], 0.0)])
    assert optimizer.recommend().point == (0,)


@pytest.mark.parametrize(
    ("prices", "budget", "most", "expected"),
    [
        ({"a": 1, "b": 3}, 4, 8, [("a",) * 4, ("a", "b")]),
        ({"a": 1, "b": 3}, 4, 3, [("a",) * 3, ("a", "b")]),
        ({"a": 2, "b": 3}, 4, 8, [("a", "a"), ("b",)]),
        ({"a": 2}, 1, 8, []),
    ],
    ids=["all that use it up", "no more than so many", "nothing fits beside", "too dear"],
)
def test_mixes_use_the_budget_up(prices: dict[str, float], budget: float, most: int, expected: list[object]) -> None:
    assert multisets(prices, budget, most) == expected


def test_pilots_come_first_each_also_without_its_weakest_member() -> None:
    space = topology()
    optimizer = make_optimizer("agent_reinforce", space, TASKS, Objective(), options={"pilots": 2, "budget": 12})
    alone = optimizer.ask()
    assert [[place.model for place in space.graph(o.point)] for o in alone] == [["big"], ["mid"], ["low"]]
    assert {observation.task_ids for observation in alone} == {TASKS[:8]}
    optimizer.tell(told(space, alone))
    mixes = [sorted(place.model for place in space.graph(o.point)) for o in optimizer.ask()]
    # Of the first, "big" alone is left, which was observed already.
    assert mixes == [["big", "mid"], ["mid"] * 4, ["mid"] * 3]


def test_graphs_are_brought_within_the_budget() -> None:
    space = topology()
    optimizer = make_optimizer("agent_reinforce", space, TASKS, Objective(), options={"start": "random", "budget": 10})
    compute = Compute(space, tokens_in=200, tokens_out=250)
    for _ in range(5):
        wanted = optimizer.ask()
        assert all(compute.of(observation.point) <= 10 for observation in wanted)
        optimizer.tell(told(space, wanted))


def test_edges_only_leaves_roles_and_models_as_they_are() -> None:
    space = topology()
    options = {"start": "random", "edges_only": True, "baseline": "none"}
    optimizer = make_optimizer("agent_reinforce", space, TASKS, Objective(), options=options)
    for _ in range(3):
        optimizer.tell(told(space, optimizer.ask()))
    chances = optimizer.published()["chances"]  # type: ignore[attr-defined]
    moved = {name.split(".")[2] for name, own in chances.items() if len(set(own)) > 1}
    assert moved == {"after"}


def test_the_best_pilot_shapes_the_policy() -> None:
    space = topology()
    pilots = Pilots(space, Compute(space, tokens_in=200, tokens_out=250), budget=12, count=2)
    best = pilots.chosen({"big": 0.9, "mid": 0.5, "low": 0.1}, [])[0]
    logits = {space.axes[axis].name: own for axis, own in pilots.logits(best).items()}
    assert [logits[f"topology.{place}.role"][0] for place in (1, 2, 3)] == [-1, -1, 1]
    big, mid, low = logits["topology.1.model"]
    assert big == mid > low


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("agent_reinforce", {"start": "pilots"}, "needs a free topology"),
        ("agent_reinforce", {"budget": 3}, "comes of no document"),
        ("agent_tts", {"budget": 3}, "comes of no document"),
        ("mcts", {"model": "big"}, "'big' is no model"),
        ("reinforce", {"baseline": "mean"}, "baseline"),
    ],
)
def test_what_a_space_cannot_do_is_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptimizerOptionsError, match=message):
        make_optimizer(name, small_space(), TASKS, Objective(), options=options)


SHAPES = (
    ("price: {input: 9, output: 9}", "shape: {parameters: 8.0e+9, layers: 32, width: 4096, heads: 32, kv_heads: 8}"),
    ("price: {input: 3, output: 3}", "shape: {parameters: 3.0e+9, layers: 28, width: 3072, heads: 24, kv_heads: 8}"),
    ("price: {input: 1, output: 1}", "shape: {parameters: 1.0e+9, layers: 16, width: 2048, heads: 32, kv_heads: 8}"),
)


def test_compute_is_flops_where_shapes_are_known_then_dollars_then_calls() -> None:
    flops, calls = TEXT, TEXT
    for price, shape in SHAPES:
        flops, calls = flops.replace(price, shape), calls.replace(f", {price}", "")
    units = {}
    for text in (flops, TEXT, calls):
        compute = Compute(topology(text), tokens_in=200, tokens_out=250)
        units[compute.unit] = [compute.of_call("low"), compute.of_call("big"), compute.of_call("low", 2)]
    assert units["calls"] == [1, 1, 1]
    assert units["cost_usd"] == pytest.approx([1, 9, 950 / 450])
    low, big, fused = units["flops"]
    assert low == 1
    assert 7.9 < big < 8, "eight times the weights, and a little less attention to each"
    assert 950 / 450 < fused < 2.2


def test_compute_counts_what_every_node_is_shown() -> None:
    space = topology()
    compute = Compute(space, tokens_in=200, tokens_out=250)
    words = {
        "nodes": [
            {"role": "generator", "model": "low"},
            {"role": "generator", "model": "low"},
            {"role": "fuser", "model": "mid", "after": [1, 2]},
        ]
    }
    assert compute.of(space.read(words)) == pytest.approx(1 + 1 + 3 * 950 / 450)


def test_agent_tts_keeps_its_budget_and_begins_by_using_it_up() -> None:
    space = topology()
    optimizer = make_optimizer("agent_tts", space, TASKS[:2], Objective(), options={"budget": 20, "startup": 3})
    compute = Compute(space, tokens_in=200, tokens_out=250)
    used = []
    for _ in range(8):
        wanted = optimizer.ask()
        used.append(compute.of(wanted[0].point))
        optimizer.tell(told(space, wanted))
    assert max(used) <= 20
    assert min(used[:3]) > 15


def test_mcts_begins_as_written_and_edits_the_best() -> None:
    space = topology()
    optimizer = make_optimizer("mcts", space, TASKS[:2], Objective(), options={"top": 1})
    seen = []
    for _ in range(6):
        (wanted,) = optimizer.ask()
        if not seen:
            assert wanted.point == space.written
        else:
            best = max(seen, key=lambda point: told(space, [Observation(point, ("x",))])[0].value)
            assert wanted.point in space.neighbours(best)
        seen.append(wanted.point)
        optimizer.tell(told(space, [wanted]))


def test_mcts_chooses_parents_by_the_published_mixture() -> None:
    space = Space([Axis("hole", tuple(range(6)))])
    scores = [0.9, 0.8, 0.5, 0.4, 0.1]
    counts = np.zeros(5)
    for seed in range(400):
        optimizer = make_optimizer("mcts", space, ("t",), Objective(), seed=seed)
        optimizer.tell([cell(space, (hole,), "t", score) for hole, score in enumerate(scores)])
        counts[optimizer._parent(optimizer._rng())[0]] += 1  # type: ignore[attr-defined]
    weights = np.exp(20 * np.array(scores[:4]))
    expected = [*(0.3 / 4 + 0.7 * weights / weights.sum()), 0]
    assert (counts / 400).tolist() == pytest.approx(expected, abs=0.08)


def cell(space: Space, point: tuple[int, ...], task: str, score: float, tokens: int = 1) -> Cell:
    return Cell(space.key(point), task, score, tokens=tokens, cost_usd=0.0, latency_s=0.1, calls=1)
