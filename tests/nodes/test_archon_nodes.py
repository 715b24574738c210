"""Archon's components: modes of ranker and critic, unit tests, and replies that are asked for again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from archloom.nodes import (
    Candidate,
    Candidates,
    Critic,
    FailedSample,
    Fuser,
    Generator,
    NodeError,
    Ranker,
    Sample,
    Task,
    UnitTestEvaluator,
    UnitTestGenerator,
    UnitTestRunner,
    UnparsedError,
    Verifier,
)
from archloom.testing import FakeContext

TASK = Task.ask("What is 7 times 8?")
TESTS = Candidate("tests#0", "1. It is even.\n2. It is 56.", kind="tests")
Answer = Callable[[str, int], str | FailedSample]


def asked_of(answer: Answer) -> FakeContext:
    """A model that is a function of the prompt and the sample's index."""
    return FakeContext(TASK, replies=lambda messages, index: answer(str(messages[-1]["content"]), index))


def always(reply: str) -> FakeContext:
    return FakeContext(TASK, replies=lambda messages, index: reply)


def prompts(ctx: FakeContext) -> list[str]:
    return [str(asked.request.messages[-1]["content"]) for asked in ctx.asked]


def notes(ctx: FakeContext) -> list[str]:
    return [note.what for note in ctx.notes]


def drafts(*answers: str) -> Candidates:
    return tuple(Candidate(f"draft#{i}", f"It is {answer}.", answer=answer) for i, answer in enumerate(answers))


def shown(prompt: str) -> list[str]:
    """The answers in a prompt, in the order shown."""
    return re.findall(r"^It is (\S+)\.$", prompt, re.MULTILINE)


def by_value(prompt: str, index: int) -> str:
    """A judge that prefers larger numbers."""
    answers = [float(answer) for answer in shown(prompt)]
    if "Better: 1" in prompt:
        return f"Better: {1 if answers[0] > answers[1] else 2}"
    order = sorted(range(len(answers)), key=lambda at: -answers[at])
    return "Ranking: " + " > ".join(str(at + 1) for at in order)


class TestRanker:
    @pytest.mark.parametrize(
        ("node", "calls"),
        [
            (Ranker(model="m", keep=4), 1),
            (Ranker(model="m", keep=4, swap=True), 2),
            (Ranker(model="m", keep=4, mode="pairwise"), 12),
        ],
        ids=["listwise", "swapped", "pairwise"],
    )
    async def test_every_mode_finds_the_order_of_a_sure_judge(self, node: Ranker, calls: int) -> None:
        ctx = asked_of(by_value)
        out = await node.run(TASK, drafts("2", "4", "1", "3"), ctx)
        assert [c.answer for c in out] == ["4", "3", "2", "1"]
        assert [c.score for c in out] == pytest.approx([1, 2 / 3, 1 / 3, 0])
        assert len(ctx.asked) == calls == len(node.requests(TASK, drafts("2", "4", "1", "3")))

    @pytest.mark.parametrize(
        "node",
        [Ranker(model="m", keep=9, swap=True), Ranker(model="m", keep=9, mode="pairwise")],
        ids=["swapped", "pairwise"],
    )
    async def test_judge_that_goes_by_position_alone_decides_nothing(self, node: Ranker) -> None:
        ctx = asked_of(lambda prompt, index: "Better: 1" if "Better: 1" in prompt else "Ranking: 1 > 2 > 3")
        out = await node.run(TASK, drafts("2", "4", "1"), ctx)
        assert [(c.answer, c.score) for c in out] == [("2", 0.5), ("4", 0.5), ("1", 0.5)]

    async def test_swap_shows_the_reverse_order_and_one_readable_order_is_enough(self) -> None:
        ctx = always("?")
        await Ranker(model="m", swap=True, reasks=0).run(TASK, drafts("1", "2", "3"), ctx)
        first, second = map(shown, prompts(ctx))
        assert first == second[::-1]
        half = asked_of(lambda prompt, index: by_value(prompt, index) if shown(prompt) == second else "?")
        out = await Ranker(model="m", swap=True, keep=3).run(TASK, drafts("1", "2", "3"), half)
        assert [c.answer for c in out] == ["3", "2", "1"]

    async def test_comparison_that_could_be_read_in_one_order_only_counts_for_nobody(self) -> None:
        ctx = asked_of(lambda prompt, index: "?" if shown(prompt) == ["1", "3"] else by_value(prompt, index))
        out = await Ranker(model="m", mode="pairwise", keep=3, reasks=0).run(TASK, drafts("1", "2", "3"), ctx)
        assert [(c.answer, c.score) for c in out] == [("3", 1.0), ("2", 0.5), ("1", 0.0)]

    async def test_nothing_readable_leaves_the_candidates_as_they_came(self) -> None:
        given = drafts("1", "2", "3")
        assert await Ranker(model="m", mode="pairwise").run(TASK, given, always("?")) == given

    def test_critiques_are_shown_or_hidden(self) -> None:
        given = tuple(candidate.annotated(critique="too short") for candidate in drafts("1", "2"))
        for node in (Ranker(model="m"), Ranker(model="m", mode="pairwise"), Fuser(model="m")):
            hidden = node.model_copy(update={"critiques": False})
            assert "too short" in str(node.requests(TASK, given))
            assert "too short" not in str(hidden.requests(TASK, given))


class TestCritic:
    async def test_listwise_attaches_by_number_in_one_call(self) -> None:
        ctx = always("### Response 2\nWeaknesses: odd.\n\n### Response 1\nStrengths: even.")
        out = await Critic(model="m", mode="listwise").run(TASK, drafts("56", "57"), ctx)
        assert [c.critiques for c in out] == [("Strengths: even.",), ("Weaknesses: odd.",)]
        assert len(ctx.asked) == 1

    async def test_missing_critique_is_asked_for_again_and_the_first_readable_one_stays(self) -> None:
        ctx = FakeContext(TASK, replies=["### Response 1\nEarly.", "### Response 1\nLate.\n### Response 2\nThere."])
        out = await Critic(model="m", mode="listwise").run(TASK, drafts("56", "57"), ctx)
        assert [c.critiques for c in out] == [("Early.",), ("There.",)]

    async def test_critique_that_stays_missing_is_missing(self) -> None:
        ctx = always("### Response 2\nThere.")
        out = await Critic(model="m", mode="listwise").run(TASK, drafts("56", "57"), ctx)
        assert [c.critiques for c in out] == [(), ("There.",)]
        assert notes(ctx) == ["unparsed"]
        with pytest.raises(UnparsedError, match="no critique of draft#0"):
            await Critic(model="m", mode="listwise", on_unparsed="fail").run(TASK, drafts("56", "57"), ctx)

    async def test_copy_of_a_response_is_no_critique_of_it(self) -> None:
        ctx = always("### Response 1\nIt is 56.\n\n### Response 2\nIt is odd.")
        out = await Critic(model="m", mode="listwise").run(TASK, drafts("56", "57"), ctx)
        assert [c.critiques for c in out] == [(), ("It is odd.",)]

    @pytest.mark.parametrize(("mode", "name"), [("listwise", "candidate"), ("pointwise", "candidates")])
    def test_prompt_of_the_other_mode_is_refused_before_the_run(self, mode: str, name: str) -> None:
        with pytest.raises(ValidationError, match=f"uses '{name}'.*in mode '{mode}'"):
            Critic.model_validate({"type": "critic", "model": "m", "mode": mode, "prompt": f"{{{{ {name} }}}}"})


class TestReasks:
    async def test_only_unreadable_replies_are_asked_again_warmer_and_at_unused_indices(self) -> None:
        ctx = asked_of(lambda prompt, index: "hm" if index in (1, 4) else "Verdict: correct")
        [out] = await Verifier(model="m", votes=3, reasks=2).run(TASK, drafts("56"), ctx)
        asked = [(each.request.start, each.request.n, each.sampling.temperature) for each in ctx.asked]
        assert asked == [(0, 3, 0.0), (4, 1, 0.3), (7, 1, 0.3)]
        assert (out.score, notes(ctx)) == (1.0, [])

    async def test_they_never_exceed_the_bound_that_the_plan_counts_with(self) -> None:
        ctx = always("hm")
        node = Verifier(model="m", votes=3, reasks=2)
        await node.run(TASK, drafts("56", "57"), ctx)
        assert sum(each.request.n for each in ctx.asked) == 2 * 3 * node.attempts
        assert notes(ctx) == [*["unparsed"] * 6, "none_passed"]

    async def test_budget_that_ends_before_a_reask_leaves_what_was_read(self) -> None:
        ctx = FakeContext(TASK, replies=["Verdict: correct", "hm"])
        out = await Verifier(model="m", keep="all").run(TASK, drafts("56", "57"), ctx)
        assert [c.accepted for c in out] == [True, None]

    async def test_failed_calls_are_not_asked_again(self) -> None:
        ctx = FakeContext(TASK, replies=["Verdict: correct", FailedSample("server", "500", 0), "Verdict: correct"])
        out = await Verifier(model="m", keep="all").run(TASK, drafts("56", "57"), ctx)
        assert len(ctx.asked) == 2
        assert [c.accepted for c in out] == [True, None]


class TestUnitTests:
    async def test_list_is_asked_for_again_and_kept_as_one_candidate_of_its_kind(self) -> None:
        ctx = FakeContext(TASK, replies=["Let me think.", "Sure:\n1) It is even.\n2) It is 56.\n3) Odd."])
        [tests] = await UnitTestGenerator(model="m", tests=2).run(TASK, (), ctx)
        assert (tests.kind, tests.text, tests.answer) == ("tests", "1. It is even.\n2. It is 56.", None)
        assert "Write 2 short tests" in prompts(ctx)[0]

    async def test_test_that_max_tokens_cut_is_left_out(self) -> None:
        ctx = FakeContext(TASK, replies=[Sample("1. It is even.\n2. It is 5", "length", 9, 9, 0.1)])
        [tests] = await UnitTestGenerator(model="m").run(TASK, (), ctx)
        assert tests.text == "1. It is even."

    async def test_no_readable_list_is_no_tests(self) -> None:
        assert await UnitTestGenerator(model="m").run(TASK, (), always("no")) == ()

    async def test_generator_writes_with_the_tests_in_view(self) -> None:
        [request] = Generator(model="m").requests(TASK, (TESTS,))
        prompt = str(request.messages[-1]["content"])
        assert prompt.startswith("What is 7 times 8?")
        assert "1. It is even." in prompt
        assert "### Response" not in prompt

    async def test_answers_are_ordered_by_the_share_of_tests_they_pass(self) -> None:
        def judge(prompt: str, index: int) -> str:
            [answer] = shown(prompt)
            even, right = int(answer) % 2 == 0, answer == "56"
            return f"Test 1: {'passed' if even else 'failed'}\nTest 2: {'passed' if right else 'failed'}"

        ctx = asked_of(judge)
        out = await UnitTestEvaluator(model="m").run(TASK, (TESTS, *drafts("57", "54", "56")), ctx)
        assert [(c.answer, c.score, c.accepted) for c in out] == [
            ("56", 1.0, True),
            ("54", 0.5, False),
            ("57", 0.0, False),
        ]
        assert len(ctx.asked) == 3

    async def test_answer_that_nobody_judged_has_no_score_and_comes_last(self) -> None:
        ctx = asked_of(lambda prompt, i: "Test 1: passed" if "54" in prompt else "Test 1: failed\nTest 2: failed")
        out = await UnitTestEvaluator(model="m", keep=2).run(TASK, (*drafts("54", "57"), TESTS), ctx)
        assert [(c.answer, c.score, c.accepted) for c in out] == [("57", 0.0, False), ("54", None, None)]

    async def test_without_tests_the_answers_pass_on_as_they_came(self) -> None:
        ctx = always("?")
        assert await UnitTestEvaluator(model="m").run(TASK, drafts("1", "2"), ctx) == drafts("1", "2")
        assert (ctx.asked, notes(ctx)) == ([], ["no_tests"])


CODING = Task.ask("Write double(n).", language="python", entry_point="double")
ASSERTS = Candidate("tests#0", "assert double(2) == 4\nassert double(-1) == -2", kind="tests")


def programs(*bodies: str) -> Candidates:
    return tuple(
        Candidate(f"draft#{i}", f"```python\ndef double(n):\n    {body}\n```") for i, body in enumerate(bodies)
    )


class TestExecutableTests:
    async def test_asserts_are_asked_for_by_the_name_of_the_entry_point_and_kept_as_lines(self) -> None:
        replies = ["Sure, I can help!", "```python\nassert double(2) == 4\nassert double(0) == 0\n```\nThat is all."]
        ctx = FakeContext(CODING, replies=replies)
        [tests] = await UnitTestGenerator(model="m", mode="executable").run(CODING, (), ctx)
        assert (tests.kind, tests.text) == ("tests", "assert double(2) == 4\nassert double(0) == 0")
        assert "a correct double passes" in prompts(ctx)[0]

    async def test_programs_are_ordered_by_the_asserts_that_they_pass(self) -> None:
        given = (
            ASSERTS,
            *programs("return abs(n) * 2", "return n * 2", "raise ValueError"),
            Candidate("d#9", "I cannot."),
        )
        ctx = FakeContext(CODING)
        out = await UnitTestRunner().run(CODING, given, ctx)
        assert [(c.id, c.score, c.accepted) for c in out] == [
            ("draft#1", 1.0, True),
            ("draft#0", 0.5, False),
            ("draft#2", 0.0, False),
            ("d#9", 0.0, False),
        ]
        assert notes(ctx) == ["failed", "error", "no_program"]
        assert ctx.asked == []

    async def test_keep_cuts_and_no_tests_change_nothing(self) -> None:
        given = programs("return n", "return n * 2")
        [best] = await UnitTestRunner(keep=1).run(CODING, (*given, ASSERTS), FakeContext(CODING))
        assert best.id == "draft#1"
        assert await UnitTestRunner().run(CODING, given, FakeContext(CODING)) == given

    @pytest.mark.parametrize(
        ("task", "tests", "says"),
        [(TASK, ASSERTS, "names no entry point"), (CODING, TESTS, "needs 'mode: executable'")],
        ids=["no coding task", "sentences"],
    )
    async def test_what_cannot_be_run_is_an_error_that_says_why(self, task: Task, tests: Candidate, says: str) -> None:
        with pytest.raises(NodeError, match=says):
            await UnitTestRunner().run(task, (tests, *programs("return n")), FakeContext(task))

    async def test_executable_tests_of_a_question_are_an_error_before_any_call(self) -> None:
        ctx = always("assert f() == 1")
        with pytest.raises(NodeError, match="names no entry point"):
            await UnitTestGenerator(model="m", mode="executable").run(TASK, (), ctx)
        assert ctx.asked == []
