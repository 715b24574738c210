"""Whatever selects among candidates: nothing is made up, order does not matter, and every odd input has an outcome."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.nodes import Abstain, Best, Candidate, Candidates, Executed, Node, Vote
from archloom.testing import FakeContext

AFTER = ("draft",)
SELECTORS: dict[str, Node] = {
    "self-consistency": Vote(after=AFTER),
    "weighted": Vote(after=AFTER, weight="score"),
    "best of majority": Vote(after=AFTER, weight="score", by="mean", min_share=0.25),
    "best of n by vote": Vote(after=AFTER, weight="score", by="max"),
    "perplexity": Vote(after=AFTER, weight="logprob"),
    "two answers": Vote(after=AFTER, keep=2),
    "best score": Best(after=AFTER),
    "best two scores": Best(after=AFTER, keep=2),
    "best logprob": Best(after=AFTER, by="logprob"),
    "shortest": Best(after=AFTER, by="shortest"),
    "longest": Best(after=AFTER, by="longest"),
    "markers": Best(after=AFTER, by="markers"),
}
EVERY = pytest.mark.parametrize("node", SELECTORS.values(), ids=SELECTORS)


def candidate(index: int, answer: str | None = "1", **fields: object) -> Candidate:
    return Candidate(id=f"draft#{index}", text=f"It is {answer}.", answer=answer, **fields)  # type: ignore[arg-type]


def candidates(*answers: str | None, scores: Sequence[float | None] = (), tokens: Sequence[int] = ()) -> Candidates:
    return tuple(
        candidate(i, answer, score=scores[i] if scores else None, tokens=tokens[i] if tokens else 0)
        for i, answer in enumerate(answers)
    )


async def select(node: Node, given_: Candidates, ctx: FakeContext | None = None) -> Candidates:
    ctx = ctx or FakeContext("What is 7 x 8?")
    return await node.run(ctx.task, given_, ctx)


async def answers(node: Node, given_: Candidates, ctx: FakeContext | None = None) -> list[str | None]:
    return [each.answer for each in await select(node, given_, ctx)]


DRAWN = st.lists(
    st.builds(
        candidate,
        index=st.just(0),
        answer=st.sampled_from(["1", "2", "3", None]),
        # A vote takes what differs in the tenth place for equal, because sums do; the drawn ones differ before it.
        score=st.none() | st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-2, 2).map(lambda score: round(score, 6)),
        logprob=st.none() | st.floats(-3, 0),
        tokens=st.integers(0, 50),
    ),
    min_size=1,
    max_size=10,
).map(lambda each: tuple(Candidate(**{**vars(one), "id": f"draft#{i}"}) for i, one in enumerate(each)))


@EVERY
@settings(max_examples=25)
@given(drawn=DRAWN)
async def test_gives_some_of_what_it_was_given_with_all_that_was_known(node: Node, drawn: Candidates) -> None:
    known = {each.id: each for each in drawn}
    out = await select(node, drawn)
    assert out
    assert len({each.id for each in out}) == len(out)
    for each in out:
        before = known[each.id]
        assert (each.text, each.score, each.logprob, each.tokens) == (
            before.text,
            before.score,
            before.logprob,
            before.tokens,
        )


@EVERY
@settings(max_examples=25)
@given(drawn=DRAWN)
async def test_who_has_no_answer_never_wins_over_one_who_has(node: Node, drawn: Candidates) -> None:
    out = await select(node, drawn)
    if any(each.answer is not None for each in drawn) and out != drawn:
        assert all(each.answer is not None for each in out)


@EVERY
@settings(max_examples=25)
@given(drawn=DRAWN, rng=st.randoms(use_true_random=False))
async def test_order_does_not_matter_where_no_tie_is_noted(node: Node, drawn: Candidates, rng: random.Random) -> None:
    first, second = FakeContext("?"), FakeContext("?")
    out = await select(node, drawn, first)
    shuffled = tuple(rng.sample(drawn, len(drawn)))
    again = await select(node, shuffled, second)
    assert {note.what for note in first.notes} == {note.what for note in second.notes}
    if out == drawn or "tie" in {note.what for note in first.notes}:
        return
    # Which are kept; equals that are both kept stand in their own order.
    assert Counter(each.answer for each in out) == Counter(each.answer for each in again)


@EVERY
async def test_one_candidate_wins(node: Node) -> None:
    assert await answers(node, candidates("7")) == ["7"]


@EVERY
@pytest.mark.parametrize("scores", [(), (None, None, None), (float("nan"),) * 3], ids=["none", "failed", "nan"])
async def test_numbers_that_are_missing_are_no_zeros_and_are_noted(node: Node, scores: Sequence[float | None]) -> None:
    ctx = FakeContext("?")
    out = await select(node, candidates("1", "2", "2", scores=scores), ctx)
    asked = node.by if isinstance(node, Best) else node.weight if isinstance(node, Vote) else None
    if asked in {"score", "logprob"}:
        assert "unscored" in {note.what for note in ctx.notes}
    if isinstance(node, Vote):
        assert out[0].answer == "2", "without scores a vote is a majority"
    elif asked in {"score", "logprob"}:
        assert len(out) == 3, "nothing says which is best"


@EVERY
async def test_all_unparsed_pass_on_unchanged(node: Node) -> None:
    ctx = FakeContext("?")
    given_ = candidates(None, None)
    assert await select(node, given_, ctx) == given_
    assert [note.what for note in ctx.notes] == ["no_consensus"]


@EVERY
async def test_a_full_tie_is_decided_by_draw_order_and_noted(node: Node) -> None:
    ctx = FakeContext("?")
    given_ = candidates("1", "2", "3", scores=[0.5, 0.5, 0.5], tokens=[9, 9, 9])
    given_ = tuple(Candidate(**{**vars(each), "logprob": -1.0}) for each in given_)
    out = await select(node, given_, ctx)
    assert [each.id for each in out] == [f"draft#{i}" for i in range(len(out))]
    assert [note.what for note in ctx.notes] == (
        ["no_majority", "tie"] if isinstance(node, Vote) and node.min_share > 0.5 else ["tie"]
    )


class TestVote:
    async def test_says_how_many_agreed_and_what_share_that_is(self) -> None:
        [winner] = await select(Vote(after=AFTER), candidates("1", "2", "2", None))
        assert (winner.answer, winner.votes) == ("2", 2)
        assert winner.support == pytest.approx(2 / 3)

    async def test_support_of_a_weighted_vote_is_a_share_of_the_weight(self) -> None:
        voting = candidates("1", "1", "2", scores=[0.0, 0.5, 1.0])
        [winner] = await select(Vote(after=AFTER, weight="score"), voting)
        assert (winner.answer, winner.votes) == ("2", 1)
        assert winner.support == pytest.approx(1 / 1.5)

    async def test_keeps_distinct_answers_best_first(self) -> None:
        assert await answers(Vote(after=AFTER, keep=2), candidates("1", "2", "2", "3", "3", "3")) == ["3", "2"]
        assert await answers(Vote(after=AFTER, keep=5), candidates("1", "2", "2")) == ["2", "1"]

    async def test_a_rare_answer_cannot_win_by_its_score(self) -> None:
        voting = candidates("1", "1", "2", "2", "9", scores=[0.2, 0.2, 0.5, 0.4, 1.0])
        best = {"weight": "score", "by": "mean"}
        assert await answers(Vote(after=AFTER, **best), voting) == ["9"]
        assert await answers(Vote(after=AFTER, min_share=0.4, **best), voting) == ["2"]

    async def test_when_all_answers_are_rare_the_best_of_all_wins_and_it_is_noted(self) -> None:
        ctx = FakeContext("?")
        voting = candidates("1", "2", "3", scores=[0.1, 0.9, 0.5])
        assert await answers(Vote(after=AFTER, weight="score", by="mean", min_share=0.5), voting, ctx) == ["2"]
        assert [note.what for note in ctx.notes] == ["no_majority"]

    async def test_logprob_counts_probability(self) -> None:
        voting = tuple(candidate(i, a, logprob=p) for i, (a, p) in enumerate([("1", -3.0), ("1", -3.0), ("2", -0.1)]))
        assert await answers(Vote(after=AFTER, weight="logprob"), voting) == ["2"]

    async def test_equal_results_agree_whatever_was_written(self) -> None:
        same = Executed("ok", key="rows:7")
        voting = (candidate(0, "a", executed=same), candidate(1, "b"), candidate(2, "c", executed=same))
        [winner] = await select(Vote(after=AFTER), voting)
        assert (winner.id, winner.votes) == ("draft#0", 2)


class TestSpecialCases:
    @given(drawn=DRAWN.filter(lambda drawn: all(each.score is not None for each in drawn)))
    async def test_vote_by_the_highest_score_is_best_of_n(self, drawn: Candidates) -> None:
        voted, best = Vote(after=AFTER, weight="score", by="max"), Best(after=AFTER)
        ctx = FakeContext("?")
        [winner, *_] = await select(best, drawn, ctx)
        assert "tie" in {note.what for note in ctx.notes} or (await select(voted, drawn))[0].id == winner.id

    @given(drawn=DRAWN, score=st.floats(-1, 1))
    async def test_with_equal_scores_every_vote_is_the_majority(self, drawn: Candidates, score: float) -> None:
        voting = tuple(Candidate(**{**vars(each), "score": score, "logprob": -1.0}) for each in drawn)
        plain = await answers(Vote(after=AFTER), voting)
        for name in ("weighted", "best of majority", "best of n by vote", "perplexity"):
            assert await answers(SELECTORS[name], voting) == plain, name

    @given(drawn=DRAWN)
    async def test_without_a_least_share_best_of_majority_of_scored_answers_is_best_of_n(
        self, drawn: Candidates
    ) -> None:
        """Where the score belongs to the answer, as a reward model's of an answer does."""
        of = {"1": 0.3, "2": 0.9, "3": 0.1}
        voting = tuple(Candidate(**{**vars(each), "score": of.get(str(each.answer), 0.0)}) for each in drawn)
        voted = Vote(after=AFTER, weight="score", by="mean")
        assert await answers(voted, voting) == await answers(Best(after=AFTER), voting)


class TestBest:
    async def test_unscored_is_not_zero(self) -> None:
        ctx = FakeContext("?")
        out = await select(Best(after=AFTER, keep=2), candidates("1", "2", "3", scores=[None, -5.0, None]), ctx)
        assert [each.answer for each in out] == ["2", "1"]
        assert [note.what for note in ctx.notes] == ["unscored", "tie"]

    async def test_by_length_and_logprob(self) -> None:
        rows = [(9, -1, 0.5), (3, -2, 0.1), (5, -0.5, 0.9)]
        given_ = tuple(candidate(i, str(i), tokens=t, logprob=p, score=s) for i, (t, p, s) in enumerate(rows))
        assert await answers(Best(after=AFTER, by="shortest", keep=2), given_) == ["1", "2"]
        assert await answers(Best(after=AFTER, by="longest"), given_) == ["0"]
        assert await answers(Best(after=AFTER, by="logprob"), given_) == ["2"]

    async def test_equal_scores_are_a_tie_and_the_shorter_wins(self) -> None:
        ctx = FakeContext("?")
        given_ = candidates("1", "2", scores=[1.0, 1.0], tokens=[9, 3])
        assert await answers(Best(after=AFTER), given_, ctx) == ["2"]
        assert [note.what for note in ctx.notes] == ["tie"]

    async def test_markers_prefer_who_does_not_doubt(self) -> None:
        texts = ["Wait, maybe it is 1. Hmm, perhaps 2?", "Therefore it is 3.", "It might be 4. Alternatively 5."]
        given_ = tuple(Candidate(id=f"draft#{i}", text=text, answer=str(i), tokens=10) for i, text in enumerate(texts))
        assert await answers(Best(after=AFTER, by="markers"), given_) == ["1"]

    async def test_markers_count_per_thousand_tokens_and_length_counts_too(self) -> None:
        short = Candidate(id="draft#0", text="maybe 1", answer="1", tokens=10)
        long = Candidate(id="draft#1", text="maybe maybe 2", answer="2", tokens=20)
        assert await answers(Best(after=AFTER, by="markers"), (long, short)) == ["1"]


class TestAbstain:
    @pytest.mark.parametrize(
        ("threshold", "expected"), [(0.6, ["2"]), (2 / 3, ["2"]), (0.7, [None])], ids=["above", "at", "below"]
    )
    async def test_a_vote_passes_at_or_above_the_threshold(self, threshold: float, expected: list[str | None]) -> None:
        voted = await select(Vote(after=AFTER), candidates("1", "2", "2"))
        assert await answers(Abstain(after=("v",), threshold=threshold), voted) == expected

    async def test_who_declines_says_so_and_is_not_accepted(self) -> None:
        ctx = FakeContext("?")
        node = Abstain(after=("v",), by="score", threshold=0.9, text="I cannot tell.")
        [declined] = await select(node, candidates("1", "2", scores=[0.5, None]), ctx)
        assert (declined.text, declined.answer, declined.accepted) == ("I cannot tell.", None, False)
        assert declined.parents == ("draft#0", "draft#1")
        [note] = ctx.notes
        assert (note.what, note.fields["best"]) == ("abstained", 0.5)

    async def test_what_is_not_known_does_not_pass(self) -> None:
        for node in (Abstain(after=AFTER, threshold=0.0), Abstain(after=AFTER, by="score", threshold=0.0)):
            assert await answers(node, candidates("1")) == [None]

    async def test_by_verdict_keeps_all_that_were_accepted_in_order(self) -> None:
        given_ = (candidate(0, "1", accepted=True), candidate(1, "2", accepted=False), candidate(2, "3", accepted=True))
        assert await answers(Abstain(after=AFTER, by="accepted"), given_) == ["1", "3"]
        assert await answers(Abstain(after=AFTER, by="accepted"), given_[1:2]) == [None]
