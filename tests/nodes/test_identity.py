"""No score, critique or verdict is ever attached to another candidate, whatever fails or comes late."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.nodes import (
    Candidate,
    Candidates,
    Critic,
    FailedSample,
    Fuser,
    ModelNode,
    Node,
    Ranker,
    Replies,
    Request,
    Sample,
    Sampling,
    Task,
    TooFewSamplesError,
    UnitTestEvaluator,
    Verifier,
    Vote,
)
from archloom.tools import Sandbox, sandbox

TASK = Task.ask("Which one?")
TESTS = Candidate("tests#0", "1. It is large.\n2. It is even.", kind="tests")
_MARK = re.compile(r"^mark-(\d+)$", re.MULTILINE)


class Flaky:
    """A judge that knows what it is shown by marks in the text, and a transport that loses and garbles replies.

    Every judgement is a function of the mark, so it can be told whose it is: a candidate with mark m is accepted
    when m is even, criticised with ``seen m``, and the better the larger m is.
    """

    node = "n"
    task = TASK

    def __init__(self, seed: int, *, lost: float, garbled: float) -> None:
        self._seed, self._lost, self._garbled = seed, lost, garbled

    @property
    def rng(self) -> random.Random:
        return random.Random(self._seed)

    @property
    def sandbox(self) -> Sandbox:
        return sandbox()

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        return text

    def note(self, what: str, **fields: object) -> None:
        pass

    async def sample(self, model: str, requests: Sequence[Request], *, sampling: Sampling) -> list[Replies]:
        chaos = random.Random(f"{self._seed}/{[request.start for request in requests]}")
        order = list(range(len(requests)))
        chaos.shuffle(order)  # replies come in any order; the engine puts them back into that of the requests
        drawn: dict[int, Replies] = {}
        for place in order:
            await asyncio.sleep(0)
            request = requests[place]
            replies: Replies = [self._reply(request, request.start + number, chaos) for number in range(request.n)]
            drawn[place] = replies[: chaos.randint(0, len(replies))] if chaos.random() < self._lost else replies
        return [drawn[place] for place in range(len(requests))]

    def _reply(self, request: Request, index: int, chaos: random.Random) -> Sample | FailedSample:
        if chaos.random() < self._lost:
            return FailedSample("server", "500", index)
        prompt = str(request.messages[-1]["content"])
        marks = [int(mark) for mark in _MARK.findall(prompt)]
        text = _judged(prompt, marks, chaos)
        if chaos.random() < self._garbled:
            text = chaos.choice(["", "no idea", text[: len(text) // 2], "### Response 9\nno", "Ranking: 1 > 1"])
        return Sample(text, "stop", 1, 1, 0.1, index=index)


def _judged(prompt: str, marks: list[int], chaos: random.Random) -> str:
    if "Ranking:" in prompt:
        return "Ranking: " + " > ".join(str(at + 1) for at in sorted(range(len(marks)), key=lambda at: -marks[at]))
    if "Better: 1" in prompt:
        return f"Better: {1 if marks[0] > marks[1] else 2}"
    if "Test 1: passed" in prompt:
        return (
            f"Test 1: {'passed' if marks[0] > 50 else 'failed'}\nTest 2: {'passed' if marks[0] % 2 == 0 else 'failed'}"
        )
    if "Verdict:" in prompt:
        return f"Verdict: {'correct' if marks[0] % 2 == 0 else 'incorrect'}"
    if "### Response 1" in prompt:
        parts = [f"### Response {number}\nseen {mark}" for number, mark in enumerate(marks, 1)]
        chaos.shuffle(parts)
        return "\n\n".join(parts)
    return f"seen {marks[0]}"


def drafts(marks: Sequence[int]) -> Candidates:
    return tuple(Candidate(f"d#{i}", f"I say\nmark-{mark}\nas always.", str(mark)) for i, mark in enumerate(marks))


NODES: dict[str, ModelNode] = {
    "ranker": Ranker(model="m", keep=99),
    "ranker swapped": Ranker(model="m", keep=99, swap=True),
    "ranker pairwise": Ranker(model="m", keep=99, mode="pairwise"),
    "critic pointwise": Critic(model="m"),
    "critic listwise": Critic(model="m", mode="listwise", reasks=3),
    "verifier": Verifier(model="m", keep="all", votes=3),
    "evaluator": UnitTestEvaluator(model="m"),
}


def _seen(candidate: Candidate) -> set[int]:
    """The marks that its critiques speak of; a garbled critique may speak of none."""
    return {int(mark) for critique in candidate.critiques for mark in re.findall(r"seen (\d\d)", critique)}


def _is_its_own(node: Node, candidate: Candidate, before: Candidate) -> None:
    """Whatever was added to the candidate was said about its mark."""
    mark = int(str(before.answer))
    assert (candidate.text, candidate.answer, candidate.parents) == (before.text, before.answer, before.parents)
    assert _seen(candidate) <= {mark}
    if isinstance(node, Verifier) and candidate.score is not None:
        assert candidate.score == float(mark % 2 == 0)
    if isinstance(node, UnitTestEvaluator) and candidate.score is not None:
        assert candidate.score == ((mark > 50) + (mark % 2 == 0)) / 2
    if candidate.accepted is not None:
        assert candidate.accepted == (candidate.score == 1.0)


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
@given(
    marks=st.lists(st.integers(10, 99), unique=True, min_size=1, max_size=6),
    seed=st.integers(0, 10_000),
    lost=st.sampled_from([0.0, 0.3, 0.8]),
    garbled=st.sampled_from([0.0, 0.3, 0.8]),
)
async def test_judgements_stay_with_their_candidates(
    node: ModelNode, marks: list[int], seed: int, lost: float, garbled: float
) -> None:
    before = drafts(marks)
    given_ = (TESTS, *before) if isinstance(node, UnitTestEvaluator) else before
    try:
        out = await node.run(TASK, given_, Flaky(seed, lost=lost, garbled=garbled))
    except TooFewSamplesError:
        return
    assert sorted(candidate.id for candidate in out) == sorted(candidate.id for candidate in before)
    of_id = {candidate.id: candidate for candidate in before}
    for candidate in out:
        _is_its_own(node, candidate, of_id[candidate.id])
    if isinstance(node, Ranker):
        # Larger marks are better: whoever was scored above another one has the larger mark.
        scored = [(candidate.score, int(str(candidate.answer))) for candidate in out if candidate.score is not None]
        for score, mark in scored:
            assert all(other < mark for other_score, other in scored if other_score < score) or lost or garbled
        if not lost and not garbled and len(marks) > 1:
            assert [mark for _, mark in scored] == sorted(marks, reverse=True)


@given(marks=st.lists(st.integers(10, 99), unique=True, min_size=2, max_size=6), seed=st.integers(0, 10_000))
async def test_listwise_ranking_under_chaos_is_the_true_one_or_none(marks: list[int], seed: int) -> None:
    before = drafts(marks)
    try:
        out = await Ranker(model="m", keep=99, swap=True).run(TASK, before, Flaky(seed, lost=0.3, garbled=0.5))
    except TooFewSamplesError:
        return
    assert out == before or [int(str(c.answer)) for c in out] == sorted(marks, reverse=True)


@given(marks=st.lists(st.integers(10, 99), unique=True, min_size=1, max_size=6), seed=st.integers(0, 10_000))
async def test_a_chain_of_judges_keeps_everything_apart_and_a_rewrite_drops_it(marks: list[int], seed: int) -> None:
    ctx = Flaky(seed, lost=0.2, garbled=0.4)
    before = drafts(marks)
    of_id = {candidate.id: candidate for candidate in before}
    now = before
    try:
        for node in (Critic(model="m", mode="listwise"), Verifier(model="m", keep="all"), Critic(model="m")):
            now = await node.run(TASK, now, ctx)
            for candidate in now:
                assert _seen(candidate) <= {int(str(of_id[candidate.id].answer))}
        now = await Vote().run(TASK, now, ctx)
        [winner] = now
        assert _seen(winner) <= {int(str(of_id[winner.id].answer))}
        fused = await Fuser(model="m").run(TASK, now, ctx)
    except TooFewSamplesError:
        return
    assert [(c.critiques, c.score, c.accepted, c.parents) for c in fused] == [((), None, None, (winner.id,))]


@given(marks=st.lists(st.integers(10, 99), unique=True, min_size=2, max_size=6), turns=st.integers(1, 12))
async def test_a_cancelled_judge_leaves_the_candidates_untouched(marks: list[int], turns: int) -> None:
    before = drafts(marks)
    snapshot = tuple(candidate.to_json() for candidate in before)
    running = asyncio.ensure_future(Critic(model="m").run(TASK, before, Flaky(1, lost=0.0, garbled=0.5)))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    try:
        out = await running
    except asyncio.CancelledError:
        out = ()
    assert tuple(candidate.to_json() for candidate in before) == snapshot
    for candidate in out:
        _is_its_own(Critic(model="m"), candidate, next(each for each in before if each.id == candidate.id))
