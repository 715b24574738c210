"""What each node type makes of its candidates, of unreadable replies and of failed calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.nodes import (
    Candidate,
    Candidates,
    Critic,
    FailedSample,
    Fuser,
    Generator,
    Node,
    Ranker,
    Replies,
    Request,
    Sample,
    Sampling,
    Task,
    TooFewSamplesError,
    Unparsed,
    UnparsedError,
    Verifier,
    Vote,
    parse_ranking,
    parse_verdict,
)
from archloom.tools import Sandbox, extract_answer, sandbox

TASK = Task.ask("What is 7 times 8?")
Answer = Callable[[str, int], str | FailedSample]


class Scripted:
    """A context whose model is a function of the prompt and the sample index."""

    node = "n"
    task = TASK

    def __init__(self, answer: Answer = lambda prompt, index: "") -> None:
        self._answer = answer
        self.notes: list[str] = []
        self.prompts: list[str] = []

    @property
    def rng(self) -> random.Random:
        return random.Random(1)

    @property
    def sandbox(self) -> Sandbox:
        return sandbox()

    def answer(self, text: str, *, complete: bool = True) -> str | None:
        return extract_answer(text, "number", complete=complete)

    def note(self, what: str, **fields: object) -> None:
        self.notes.append(what)

    async def sample(self, model: str, requests: Sequence[Request], *, sampling: Sampling) -> list[Replies]:
        return [[self._one(request, request.start + i) for i in range(request.n)] for request in requests]

    def _one(self, request: Request, index: int) -> Sample | FailedSample:
        prompt = str(request.messages[-1]["content"])
        self.prompts.append(prompt)
        reply = self._answer(prompt, index)
        if isinstance(reply, FailedSample):
            return reply
        finish = "length" if reply.endswith("...") else "stop"
        return Sample(reply, finish, 10, len(reply.split()), 0.1, index=index)  # type: ignore[arg-type]


def candidates(*answers: str | None, scores: Sequence[float | None] = (), tokens: Sequence[int] = ()) -> Candidates:
    return tuple(
        Candidate(
            id=f"draft#{i}",
            text=f"It is {answer}." if answer else "I do not know.",
            answer=answer,
            score=scores[i] if scores else None,
            tokens=tokens[i] if tokens else 0,
        )
        for i, answer in enumerate(answers)
    )


async def chosen(node: Node, given_: Candidates, ctx: Scripted | None = None) -> list[str | None]:
    return [candidate.answer for candidate in await node.run(TASK, given_, ctx or Scripted())]


class TestGenerator:
    async def test_asks_the_task_as_it_is_and_keeps_every_sample(self) -> None:
        ctx = Scripted(lambda prompt, index: f"{50 + index}")
        out = await Generator(model="m", samples=3).run(TASK, (), ctx)
        assert [c.answer for c in out] == ["50", "51", "52"]
        assert set(ctx.prompts) == {"What is 7 times 8?"}
        assert [c.id for c in out] == ["n#0", "n#1", "n#2"]

    async def test_shows_upstream_candidates(self) -> None:
        ctx = Scripted(lambda prompt, index: "56")
        out = await Generator(model="m").run(TASK, candidates("54", "56"), ctx)
        assert "### Response 2\nIt is 56." in ctx.prompts[0]
        assert out[0].parents == ("draft#0", "draft#1")

    async def test_a_failed_sample_does_not_sink_the_node(self) -> None:
        ctx = Scripted(lambda prompt, index: FailedSample("server", "500", index) if index == 1 else "56")
        assert len(await Generator(model="m", samples=3).run(TASK, (), ctx)) == 2

    async def test_fewer_than_min_success_sinks_it(self) -> None:
        ctx = Scripted(lambda prompt, index: FailedSample("server", "500 from upstream", index) if index else "56")
        with pytest.raises(TooFewSamplesError, match=r"1 of 3 .* min_success is 2.*500 from upstream"):
            await Generator(model="m", samples=3, min_success=2).run(TASK, (), ctx)

    async def test_a_cut_text_has_no_answer_unless_it_states_one(self) -> None:
        ctx = Scripted(lambda prompt, index: ["7 * 8 = 56, so...", "The answer is 56. And..."][index])
        out = await Generator(model="m", samples=2).run(TASK, (), ctx)
        assert [(c.answer, c.complete) for c in out] == [(None, False), ("56", False)]

    def test_conversation_turns_and_images_stay_intact(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
        turns = (
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
            {"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]},
        )
        task = Task("t", turns)
        assert Generator(model="m").requests(task, ())[0].messages == turns
        fused = Fuser(model="m", after=("a",)).requests(task, candidates("1"))[0].messages
        assert fused[:3] == turns[:3]
        assert fused[3]["content"][1] == image  # type: ignore[index]
        assert "### Response 1" in fused[3]["content"][0]["text"]  # type: ignore[index]


class TestVote:
    @pytest.mark.parametrize(
        ("answers", "winner"),
        [(["1", "2", "2"], "2"), (["1", None, None, None], "1"), (["2", "1", "1", "2", "3"], "2")],
        ids=["majority", "unparsed never vote", "tie goes to the earlier"],
    )
    async def test_majority(self, answers: list[str | None], winner: str) -> None:
        assert await chosen(Vote(after=("d",)), candidates(*answers)) == [winner]

    async def test_tie_goes_to_score_then_fewer_tokens(self) -> None:
        assert await chosen(Vote(after=("d",)), candidates("1", "2", scores=[0.1, 0.9])) == ["2"]
        ctx = Scripted()
        assert await chosen(Vote(after=("d",)), candidates("1", "2", tokens=[9, 3]), ctx) == ["2"]
        assert ctx.notes == ["tie"]

    async def test_no_answer_at_all_passes_everyone_on(self) -> None:
        ctx = Scripted()
        assert await chosen(Vote(after=("d",)), candidates(None, None), ctx) == [None, None]
        assert ctx.notes == ["no_consensus"]

    async def test_weight_of_scores_can_overrule_the_majority(self) -> None:
        voters = candidates("1", "1", "2", scores=[0.1, 0.2, 0.9])
        assert await chosen(Vote(after=("d",), weight="score"), voters) == ["2"]

    async def test_a_missing_score_is_said_and_falls_back_to_majority(self) -> None:
        ctx = Scripted()
        voters = candidates("1", "1", "2", scores=[0.1, None, 0.9])
        assert await chosen(Vote(after=("d",), weight="score"), voters, ctx) == ["1"]
        assert "unscored" in ctx.notes

    @given(st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=12), st.randoms())
    async def test_order_of_candidates_does_not_matter_but_for_ties(
        self, answers: list[str | None], rng: random.Random
    ) -> None:
        counts = sorted((answers.count(a) for a in {*answers} - {None}), reverse=True)
        if not counts or counts[:1] * 2 == counts[:2]:
            return
        shuffled = rng.sample(answers, len(answers))
        assert await chosen(Vote(after=("d",)), candidates(*answers)) == await chosen(
            Vote(after=("d",)), candidates(*shuffled)
        )

    @given(st.lists(st.sampled_from(["1", "2", "3"]), min_size=1, max_size=12))
    async def test_constant_scores_weigh_like_a_majority(self, answers: list[str]) -> None:
        voters = candidates(*answers, scores=[0.5] * len(answers))
        assert await chosen(Vote(after=("d",), weight="score"), voters) == await chosen(Vote(after=("d",)), voters)


class TestRanker:
    async def test_orders_undoes_the_shuffle_and_cuts(self) -> None:
        def best_is_56(prompt: str, index: int) -> str:
            parts = prompt.split("### Response ")[1:]
            ranked = sorted(range(3), key=lambda i: "56" not in parts[i])
            return "Ranking: " + " > ".join(str(i + 1) for i in ranked)

        node = Ranker(model="m", after=("d",), keep=1)
        out = await node.run(TASK, candidates("54", "56", "55"), Scripted(best_is_56))
        assert [(c.answer, c.score) for c in out] == [("56", 1.0)]

    async def test_unreadable_ranking_is_asked_again_and_is_never_an_order(self) -> None:
        ctx = Scripted(lambda prompt, index: "The second one is nice.")
        given_ = candidates("54", "56")
        out = await Ranker(model="m", after=("d",), keep=1, reasks=2).run(TASK, given_, ctx)
        assert out == given_
        assert (len(ctx.prompts), ctx.notes) == (3, ["unparsed"])

    async def test_second_try_may_parse(self) -> None:
        ctx = Scripted(lambda prompt, index: ["hm", "Ranking: 2 > 1"][index])
        assert len(await Ranker(model="m", after=("d",), keep=1).run(TASK, candidates("1", "2"), ctx)) == 1

    async def test_policy_fail(self) -> None:
        node = Ranker(model="m", after=("d",), on_unparsed="fail")
        with pytest.raises(UnparsedError, match="no line 'Ranking"):
            await node.run(TASK, candidates("1", "2"), Scripted(lambda prompt, index: "?"))

    async def test_one_candidate_costs_nothing(self) -> None:
        ctx = Scripted()
        assert await chosen(Ranker(model="m", after=("d",)), candidates("1"), ctx) == ["1"]
        assert ctx.prompts == []


class TestVerifierAndCritic:
    async def test_accepted_pass_best_first(self) -> None:
        def judge(prompt: str, index: int) -> str:
            share = 2 if "56" in prompt else 1 if "55" in prompt else 0
            return "Verdict: correct" if index < share else "Verdict: incorrect"

        node = Verifier(model="m", after=("d",), votes=2, temperature=0.5)
        out = await node.run(TASK, candidates("54", "55", "56"), Scripted(judge))
        assert [(c.answer, c.score, c.accepted) for c in out] == [("56", 1.0, True), ("55", 0.5, True)]

    async def test_all_rejected_pass_on_marked(self) -> None:
        ctx = Scripted(lambda prompt, index: "Verdict: incorrect")
        out = await Verifier(model="m", after=("d",)).run(TASK, candidates("1", "2"), ctx)
        assert [c.accepted for c in out] == [False, False]
        assert ctx.notes == ["none_passed"]

    async def test_unreadable_verdicts_are_no_verdicts(self) -> None:
        ctx = Scripted(lambda prompt, index: "Verdict: correct" if index == 1 else "Looks good to me")
        out = await Verifier(model="m", after=("d",), votes=2).run(TASK, candidates("1"), ctx)
        assert out[0].score == 1.0
        assert ctx.notes == ["unparsed"]
        none = await Verifier(model="m", after=("d",), keep="all").run(
            TASK, candidates("1"), Scripted(lambda p, i: "?")
        )
        assert (none[0].score, none[0].accepted) == (None, None)

    async def test_critic_annotates_and_keeps_the_text(self) -> None:
        ctx = Scripted(lambda prompt, index: f"Weakness of {prompt.count('It is 54')}")
        out = await Critic(model="m", after=("d",)).run(TASK, candidates("54", "56"), ctx)
        assert [c.critiques for c in out] == [("Weakness of 1",), ("Weakness of 0",)]
        assert [c.text for c in out] == ["It is 54.", "It is 56."]

    async def test_fuser_starts_without_the_parents_annotations(self) -> None:
        ctx = Scripted(lambda prompt, index: "56")
        given_ = tuple(c.annotated(score=0.5, critique="bad sum", accepted=True) for c in candidates("54", "56"))
        [fused] = await Fuser(model="m", after=("d",)).run(TASK, given_, ctx)
        assert "Critique: bad sum" in ctx.prompts[0]
        assert (fused.score, fused.critiques, fused.accepted) == (None, (), None)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Ranking: 2 > 1 > 3", (1, 0, 2)),
        ("...\n**Ranking:** [3] > [1] > [2]", (2, 0, 1)),
        ("Ranking: Response 2, Response 3, Response 1", (1, 2, 0)),
        ("Ranking: 1 > 2 > 3\nNo wait.\nRanking: 3 > 2 > 1", (2, 1, 0)),
        ("Ranking: 2 > 1", None),
        ("Ranking: 2 > 2 > 1", None),
        ("Ranking: 1 > 2 > 4", None),
        ("Ranking: best > second > ... > worst", None),
        ("2 > 1 > 3", None),
    ],
)
def test_rankings(reply: str, expected: tuple[int, ...] | None) -> None:
    parsed = parse_ranking(reply, 3)
    assert isinstance(parsed, Unparsed) if expected is None else parsed == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("It holds.\nVerdict: correct", True),
        ("**Verdict:** Incorrect.", False),
        ("Verdict: correct\n... on second thought\nVerdict: incorrect", False),
        ("The answer is correct.", None),
        ("Verdict: correctish", None),
        ("Verdict: correct or incorrect?", None),
    ],
)
def test_verdicts(reply: str, expected: bool | None) -> None:
    parsed = parse_verdict(reply)
    assert isinstance(parsed, Unparsed) if expected is None else parsed is expected
