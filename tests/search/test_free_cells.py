"""Free cells: what is said to cost nothing costs nothing, and says so whatever a store holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archloom.graphs import Configuration, Document, ModelSpec, SimulatedModel
from archloom.nodes import FinishReason, Generator, Node, Verifier
from archloom.orchestrator import Cell, Evaluator, ModelPool
from archloom.orchestrator.models import MemoryStore, SampleStore
from archloom.search import DocumentSpace, space_of
from archloom.search._demands import covers, demands
from archloom.search.optimizers import Observation, make_optimizer
from archloom.search.optimizers._harvest import Harvest
from archloom.tasks import load_tasks
from archloom.testing._graphs import COMPOSITES, configurations

MODELS: dict[str, ModelSpec] = {name: SimulatedModel(model=name) for name in ("m", "n")}
TASKS = load_tasks("simulated:free?size=12")
IDS = [example.task.id for example in TASKS.examples]
SPACE = """
archloom: 1
name: pools
answer: number
models: {m: {provider: simulated, model: m, skill: [2, 3]}, n: {provider: simulated, model: n, skill: [3, 3]}}
nodes:
  draft: {type: generator, model: {choose: [m, n]}, samples: {choose: [1, 2, 4]}}
  review: {type: verifier, model: n, keep: {choose: [all, passed]}, after: draft}
  majority: {type: vote, after: draft}
  weighted: {type: vote, weight: score, after: review}
output: {choose: [majority, weighted]}
search: {objective: {maximize: score}}
"""


def pools(output: str, samples: int, *, model: str = "m", keep: str = "all", budget: str = "{}") -> Configuration:
    document = Document.parse(f"{SPACE}budget: {budget}\n")
    choices = {"nodes.draft.model": model, "nodes.draft.samples": samples, "nodes.review.keep": keep, "output": output}
    return document.configure(choices)


CASES: Mapping[str, tuple[Configuration, Configuration, bool]] = {
    "fewer samples": (pools("majority", 4), pools("majority", 2), True),
    "more samples": (pools("majority", 2), pools("majority", 4), False),
    "another model": (pools("majority", 4), pools("majority", 2, model="n"), False),
    "the vote without the judge": (pools("weighted", 4), pools("majority", 4), True),
    "the judge of what was not judged": (pools("majority", 4), pools("weighted", 4), False),
    "fewer verdicts": (pools("weighted", 4), pools("weighted", 2), True),
    "another use of the verdicts": (pools("weighted", 4), pools("weighted", 2, keep="passed"), True),
    "a budget may cut it short": (
        pools("majority", 4, budget="{tokens: 9000}"),
        pools("majority", 2, budget="{tokens: 9000}"),
        False,
    ),
}


@pytest.mark.parametrize(("wider", "narrower", "free"), CASES.values(), ids=CASES)
def test_who_asks_for_what_another_asks_for(wider: Configuration, narrower: Configuration, free: bool) -> None:
    assert covers(demands(wider), demands(narrower)) is free
    assert covers(demands(wider), demands(wider))


def chain(until: str = "", *, reader: str = "fuser", samples: int) -> Configuration:
    return Document.parse(
        f"""
        archloom: 1
        answer: number
        models: {{m: {{provider: simulated}}}}
        nodes:
          draft: {{type: generator, model: m, samples: {samples}{until}}}
          last: {{type: {reader}, model: m, after: draft}}
        output: last
        """
    ).configure()


@pytest.mark.parametrize("reader", ["fuser", "ranker"])
def test_who_reads_all_drafts_at_once_reads_others_when_there_are_fewer(reader: str) -> None:
    assert not covers(demands(chain(reader=reader, samples=4)), demands(chain(reader=reader, samples=3)))


@pytest.mark.parametrize("early", [", first: 1", ", until: {threshold: 0.9}"])
def test_what_ends_early_may_not_draw_what_others_draw(early: str) -> None:
    wide, narrow = chain(early, reader="verifier", samples=4), chain(early, reader="verifier", samples=3)
    assert not covers(demands(wide), demands(narrow))


async def charged_after(first: Configuration, second: Configuration) -> int:
    """Calls that the second costs on tasks on which all calls of the first came back."""
    async with ModelPool(MemoryStore()) as pool:
        observed = [cell async for cell, _ in Evaluator(pool, TASKS).observe(first, IDS[:2])]
        whole = [cell.task for cell in observed if not cell.failed and set(cell.endings) <= set(get_args(FinishReason))]
        before = pool.charged.settled.calls
        _ = [each async for each in Evaluator(pool, TASKS).observe(second, whole)]
        return pool.charged.settled.calls - before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(configurations(MODELS, types=COMPOSITES, early=True), st.data())
def test_what_is_said_to_be_free_is_free(wide: Configuration, data: st.DataObject) -> None:
    def fewer(node: Node) -> Node:
        field = {Generator: "samples", Verifier: "votes"}.get(type(node))
        if field is None or (isinstance(node, Generator) and node.first is not None):
            return node
        return node.model_copy(update={field: data.draw(st.integers(1, getattr(node, field)))})

    output = data.draw(st.sampled_from(wide.order))
    kept, waiting = set[str](), [output]
    while waiting:
        kept.add(name := waiting.pop())
        waiting.extend(wide.nodes[name].after)
    narrow = replace(wide, nodes={name: fewer(wide.nodes[name]) for name in wide.nodes if name in kept}, output=output)
    if covers(demands(wide), demands(narrow)):
        assert asyncio.run(charged_after(wide, narrow)) == 0


def cell(space: DocumentSpace, point: tuple[int, ...], task: str, **how: object) -> Cell:
    made = Cell(space.key(point), task, 1.0, tokens=9, cost_usd=0.0, latency_s=0.1, calls=1)
    return replace(made, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "free"),
    [({}, True), ({"endings": {"length": 1}}, True), ({"endings": {"server": 1}}, False), ({"score": None}, False)],
    ids=["whole", "a reply was cut", "a call failed", "the run failed"],
)
def test_a_cell_with_a_failed_call_frees_nothing(how: Mapping[str, object], free: bool) -> None:
    space = space_of(Document.parse(SPACE))
    harvest = Harvest(space, IDS)
    widest = space.points()[-1]
    harvest.add(cell(space, widest, IDS[3], **how))
    found = dict(harvest.free(space.points(), []))
    assert (len(found) > 1) is free
    assert all(tasks == (IDS[3],) for tasks in found.values())


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_free_does_not_depend_on_what_was_looked_at_before(data: st.DataObject) -> None:
    """Candidates of a large space come and go; one who meets them all at once finds the same."""
    space = space_of(Document.parse(SPACE))
    some = st.lists(st.sampled_from(space.points()), unique=True, min_size=1).map(tuple)
    long, told = Harvest(space, IDS), []
    for points in data.draw(st.lists(some, min_size=2, max_size=5)):
        told.append(cell(space, data.draw(st.sampled_from(space.points())), data.draw(st.sampled_from(IDS))))
        wanted = [Observation(points[-1], (IDS[0], IDS[2]))]
        long.add(told[-1])
        fresh = Harvest(space, IDS)
        for each in told:
            fresh.add(each)
        assert dict(long.free(points, wanted)) == dict(fresh.free(points, wanted))


async def raced(store: SampleStore) -> tuple[list[list[Observation]], list[int]]:
    """What a race asks, and the calls that each observation was charged."""
    space = space_of(Document.parse(SPACE))
    race = make_optimizer("race", space, IDS, space.document.search.objective, seed=3, options={"regret": 0.0})
    asked, charged = [], []
    async with ModelPool(store) as pool:
        evaluator = Evaluator(pool, TASKS)
        while wanted := race.ask():
            asked.append(list(wanted))
            for observation in wanted:
                before = pool.charged.settled.calls
                observed = evaluator.observe(space.configuration(observation.point), observation.task_ids)
                cells = {each.task: each async for each, _ in observed}
                race.tell([cells[task] for task in observation.task_ids])
                charged.append(pool.charged.settled.calls - before)
        every = len(space.points()) * len(IDS)
        assert sum(len(each.task_ids) for wanted in asked for each in wanted) == every
    return asked, charged


async def test_a_race_takes_free_cells_at_once_and_decides_alike_over_a_full_store() -> None:
    store = MemoryStore()
    asked, charged = await raced(store)
    paid = [calls for calls in charged if calls]
    assert len(asked) < len(paid) + len(charged) / 4  # most questions bring something that has to be paid
    assert len(paid) < len(charged) / 2  # most observations are free
    again, nothing = await raced(store)
    assert again == asked
    assert not any(nothing)


async def test_a_race_that_is_told_the_log_goes_on_with_what_is_free() -> None:
    asked, _ = await raced(MemoryStore())
    space = space_of(Document.parse(SPACE))
    options = {"regret": 0.0}
    resumed = make_optimizer("race", space, IDS, space.document.search.objective, seed=3, options=options)
    async with ModelPool(MemoryStore()) as pool:
        evaluator = Evaluator(pool, TASKS)
        told: list[Cell] = []
        for wanted in asked[:3]:
            told += await _cells(evaluator, space, wanted)
    resumed.tell(told)
    assert resumed.ask() == asked[3]


async def _cells(evaluator: Evaluator, space: DocumentSpace, wanted: Sequence[Observation]) -> list[Cell]:
    found: list[Cell] = []
    for observation in wanted:
        observed = evaluator.observe(space.configuration(observation.point), observation.task_ids)
        cells = {each.task: each async for each, _ in observed}
        found += [cells[task] for task in observation.task_ids]
    return found
