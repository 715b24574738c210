"""The memo of node outcomes: it saves work and changes nothing, not a byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, Document, ModelSpec, ScriptedModel, SimulatedModel
from archloom.nodes import Budget, Candidate, Generator, Sample, Vote
from archloom.orchestrator import Cell, Evaluator, ModelPool, RunResult
from archloom.orchestrator._memo import Memo
from archloom.orchestrator._outcome import NodeOutcome
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Address, MemoryStore
from archloom.tasks import Numeric, Target, load_tasks
from archloom.testing._graphs import COMPOSITES, configurations
from archloom.testing._replies import Call, FunctionClient

MODELS: dict[str, ModelSpec] = {
    "m": SimulatedModel(model="m", hit=0.9, false_alarm=0.2),
    "n": SimulatedModel(model="n", fail=0.1, retries=0),
}
TASKS = load_tasks("simulated:memo?size=3")
IDS = [example.task.id for example in TASKS.examples]
SOME_BUDGET = st.one_of(
    st.just(Budget()),
    st.builds(Budget, tokens=st.integers(1, 3000)),
    st.builds(Budget, calls=st.integers(1, 30), time_s=st.floats(0.1, 5.0)),
)


async def observed(
    graphs: Sequence[Configuration], memo: Memo, *, replicate: int = 0
) -> list[list[tuple[Cell, RunResult]]]:
    """The cells of these configurations, one after the other, over one store."""
    async with ModelPool(MemoryStore()) as pool:
        evaluator = Evaluator(pool, TASKS, memo=memo)
        found = []
        for graph in graphs:
            own = [each async for each in evaluator.observe(graph, IDS, replicate=replicate)]
            found.append(sorted(own, key=lambda each: each[0].task))
        return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(
        configurations(
            MODELS,
            types=COMPOSITES,
            budgets=SOME_BUDGET,
            node_budgets=st.none() | SOME_BUDGET,
            policies=True,
            early=True,
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 2),
)
def test_the_memo_changes_nothing(graphs: list[Configuration], capacity: int) -> None:
    # Each graph, and each again with another budget and another output: they begin alike and end otherwise.
    again = [replace(graph, budget=Budget(time_s=1.0)) for graph in graphs]
    parts = [_part(graph) for graph in graphs]
    wanted = [*graphs, *again, *parts, *graphs]
    without = asyncio.run(observed(wanted, Memo(0)))
    assert asyncio.run(observed(wanted, Memo())) == without
    assert asyncio.run(observed(wanted, Memo(5 * capacity))) == without


def test_what_a_budget_cut_short_is_not_taken_for_the_whole() -> None:
    def of(*names: str) -> Configuration:
        drafts = {"a": Generator(model="m", samples=2), "b": Generator(model="m", samples=2, max_tokens=99)}
        nodes = {name: drafts[name] for name in names} | {"answer": Vote(after=names)}
        return Configuration("w", MODELS, nodes, "answer", budget=Budget(calls=3), answer="number")

    wanted = [of("a", "b"), of("a"), of("b"), of("a", "b")]
    found = asyncio.run(observed(wanted, Memo()))
    assert found == asyncio.run(observed(wanted, Memo(0)))
    assert [cells[0][0].calls for cells in found] == [3, 2, 2, 3]


def _part(graph: Configuration) -> Configuration:
    """The graph up to the first node that has a predecessor, or as it is."""
    output = next((name for name in graph.order if graph.nodes[name].after), graph.output)
    kept, waiting = set[str](), [output]
    while waiting:
        kept.add(name := waiting.pop())
        waiting.extend(graph.nodes[name].after)
    return replace(graph, nodes={name: node for name, node in graph.nodes.items() if name in kept}, output=output)


class Reads(MemoryStore):
    """Counts how often a sample is looked for."""

    count = 0

    def get(self, address: Address) -> Sample | None:
        self.count += 1
        return super().get(address)


class Scores(Numeric):
    """Remembers what it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "asked", [])

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        self.asked.append(candidate_text)
        return super().score(candidate_answer, candidate_text, target)


def judged(output: str) -> Configuration:
    """One of two ways to choose among the same drafts."""
    return Document.parse(
        """
        archloom: 1
        answer: number
        models: {m: {provider: simulated}}
        nodes:
          draft: {type: generator, model: m, samples: 3}
          review: {type: verifier, model: m, keep: all, after: draft}
          majority: {type: vote, after: draft}
          weighted: {type: vote, weight: score, after: review}
        output: {choose: [majority, weighted]}
        """
    ).configure({"output": output})


async def test_another_vote_over_the_same_drafts_reads_nothing_and_scores_no_text_twice() -> None:
    store, scores = Reads(), Scores()
    async with ModelPool(store) as pool:
        evaluator = Evaluator(pool, replace(TASKS, scorer=scores))
        weighted = [each async for each, _ in evaluator.observe(judged("weighted"), IDS)]
        reads = store.count
        majority = [each async for each, _ in evaluator.observe(judged("majority"), IDS)]
    assert reads > 0
    assert store.count == reads
    assert len(scores.asked) == len(set(scores.asked))
    assert all(cheap.tokens < dear.tokens for cheap, dear in zip(majority, weighted, strict=True))


async def test_a_replicate_is_another_draw() -> None:
    async with ModelPool(MemoryStore()) as pool:
        evaluator = Evaluator(pool, TASKS)
        first, second = [
            [result.candidate async for _, result in evaluator.observe(judged("majority"), IDS, replicate=replicate)]
            for replicate in (0, 1)
        ]
    assert first != second


async def test_what_failed_is_tried_again() -> None:
    async def reply(call: Call) -> str:
        if len(client.calls) == 1:
            raise ModelCallError("busy", failure="server")
        return "It is 7"

    client = FunctionClient(reply)
    graph = Configuration(
        "w", {"m": ScriptedModel(retries=0)}, {"draft": Generator(model="m")}, "draft", answer="number"
    )
    async with ModelPool(MemoryStore(), client=lambda spec: client) as pool:
        evaluator = Evaluator(pool, TASKS)
        [(first, _)] = [each async for each in evaluator.observe(graph, IDS[:1])]
        [(second, _)] = [each async for each in evaluator.observe(graph, IDS[:1])]
    assert first.failed
    assert second.answer == "7"


def test_a_full_memo_makes_room_for_what_is_new() -> None:
    def outcome(count: int) -> NodeOutcome:
        return NodeOutcome("n", tuple(Candidate(id=f"n#{i}", text="") for i in range(count)))

    memo = Memo(5)
    for number in range(3):
        memo.put((number, "t", 0), outcome(2))
    assert [memo.get((number, "t", 0)) for number in range(3)] == [None, outcome(2), outcome(2)]
    memo.put((3, "t", 0), outcome(6))
    assert not any(memo.get((number, "t", 0)) for number in range(4))
