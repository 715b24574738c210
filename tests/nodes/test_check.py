"""What the check node accepts, rejects and leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Never

import pytest

from archloom.nodes import Candidate, Candidates, Check, Context, Executed, NodeError, Task, Vote
from archloom.testing._context import FakeContext
from archloom.tools import (
    ExecResult,
    Sandbox,
    SandboxLevel,
    SandboxUnavailableError,
    ToolError,
    sandbox,
)
from archloom.tools.code import CodingTask

QUESTION = "What is 7 times 8?"
CALCULATOR = Check(tool="calculator", after=("draft",))
PYTHON = Check(tool="python", after=("draft",))
TESTS = Check(tool="tests", after=("draft",), timeout_s=5)
CODING = CodingTask("double", public_tests=("assert double(2) == 4", "assert double(3) == 6"))


def candidates(*answers: str | None) -> Candidates:
    return tuple(Candidate(f"draft#{i}", f"It is {answer}.", answer) for i, answer in enumerate(answers))


def program(source: str, answer: str | None = None, *, id: str = "draft#0") -> Candidate:
    return Candidate(id, f"Let me compute it.\n```python\n{source}\n```", answer)


def noted(ctx: FakeContext) -> list[str]:
    return [note.what for note in ctx.notes]


class RecordingSandbox:
    """Gives every program the same result."""

    def __init__(self, result: ExecResult | Exception) -> None:
        self.programs: list[str] = []
        self.timeouts: list[float] = []
        self._result = result

    @property
    def level(self) -> SandboxLevel:
        return "none"

    async def exec(self, *args: object, **options: object) -> ExecResult:
        raise AssertionError("a check runs Python, and no other commands")

    def workspace(self, **options: object) -> Never:
        raise AssertionError("a check needs no workspace")

    async def python(
        self,
        program: str,
        *,
        files: Mapping[str, str | bytes] = {},
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        self.programs.append(program)
        self.timeouts.append(timeout_s)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def result(exit_code: int | None = 0, stdout: str = "", *, timed_out: bool = False) -> ExecResult:
    return ExecResult(exit_code, stdout, "Traceback\nValueError: no", timed_out, False, 0.1)


def test_fake_context_is_a_context() -> None:
    ctx: Context = FakeContext(QUESTION)
    assert ctx.task.question == QUESTION


async def test_calculator_keeps_the_right_answers() -> None:
    ctx = FakeContext(QUESTION)
    kept = await CALCULATOR.run(ctx.task, candidates("56", "54", None, "56"), ctx)
    assert [(each.id, each.accepted) for each in kept] == [("draft#0", True), ("draft#3", True)]
    assert noted(ctx) == ["mismatch", "no_answer"]
    assert ctx.notes[0].fields == {
        "tool": "calculator", "candidate": "draft#1", "detail": "7 * 8 is not 54",
    }  # fmt: skip


async def test_calculator_can_pass_all_on_with_verdicts() -> None:
    ctx = FakeContext(QUESTION)
    kept = await Check(tool="calculator", keep="all").run(ctx.task, candidates("54", "56"), ctx)
    assert [each.accepted for each in kept] == [False, True]


@pytest.mark.parametrize(("answer", "accepted"), [("3.5", True), ("7/2", True), ("3", False), ("3.4999", False)])
async def test_calculator_compares_exactly(answer: str, accepted: bool) -> None:
    ctx = FakeContext("What is 7 divided by 2?")
    [judged] = await CALCULATOR.run(ctx.task, candidates(answer), ctx)
    assert judged.accepted is accepted


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("Tom has 3 apples and eats 2. How many are left?", id="word problem"),
        pytest.param("What is 5 / 0?", id="no value"),
    ],
)
async def test_calculator_does_not_judge_what_it_cannot_compute(question: str) -> None:
    ctx = FakeContext(question)
    given = candidates("1", None)
    assert await Check(tool="calculator", on_none="fail").run(ctx.task, given, ctx) == given
    assert noted(ctx) == ["not_applicable"]


async def test_when_none_passes_all_go_on_as_rejected() -> None:
    ctx = FakeContext(QUESTION)
    kept = await CALCULATOR.run(ctx.task, candidates("54", "55"), ctx)
    assert [each.accepted for each in kept] == [False, False]
    assert noted(ctx) == ["mismatch", "mismatch", "none_passed"]


async def test_when_none_passes_the_node_can_fail() -> None:
    ctx = FakeContext(QUESTION, node="test")
    with pytest.raises(NodeError, match=r"nodes\.test: none of 1 candidates passed"):
        await Check(tool="calculator", on_none="fail").run(ctx.task, candidates("54"), ctx)


@pytest.mark.parametrize(
    ("outcome", "answer", "event"),
    [
        pytest.param(result(stdout="so:\n56\n"), "56", None, id="prints its answer last"),
        pytest.param(result(stdout="56\n54\n"), "56", "mismatch", id="prints another number last"),
        pytest.param(result(stdout="fifty-six"), "56", "mismatch", id="prints no number"),
        pytest.param(result(stdout="The capital:\nParis.\n"), "paris", None, id="prints words"),
        pytest.param(result(stdout="Rome"), "paris", "mismatch", id="prints other words"),
        pytest.param(result(stdout="anything"), None, None, id="states no answer"),
        pytest.param(result(exit_code=1, stdout="56"), "56", "error", id="exits with an error"),
        pytest.param(result(exit_code=None, stdout="56"), "56", "error", id="killed for its output"),
        pytest.param(result(exit_code=None, stdout="56", timed_out=True), "56", "timeout", id="too slow"),
    ],
)
async def test_python_judges_by_the_programs_end_and_output(
    outcome: ExecResult, answer: str | None, event: str | None
) -> None:
    ctx = FakeContext(QUESTION, sandbox=RecordingSandbox(outcome))
    [judged] = await PYTHON.run(ctx.task, (program("...", answer),), ctx)
    assert judged.accepted is (event is None)
    assert noted(ctx) == ([] if event is None else [event, "none_passed"])


async def test_python_runs_the_program_of_each_candidate_within_its_time() -> None:
    box = RecordingSandbox(result())
    ctx = FakeContext(QUESTION, sandbox=box)
    given = (program("a = 1"), program("b = 2", id="draft#1"))
    await Check(tool="python", timeout_s=3).run(ctx.task, given, ctx)
    assert box.programs == ["a = 1\n", "b = 2\n"]
    assert box.timeouts == [3, 3]


async def test_python_does_not_accept_a_candidate_without_a_program() -> None:
    box = RecordingSandbox(result())
    ctx = FakeContext(QUESTION, sandbox=box)
    kept = await Check(tool="python", keep="all").run(ctx.task, (*candidates("56"), program("x", id="p")), ctx)
    assert [each.accepted for each in kept] == [False, True]
    assert noted(ctx) == ["no_program"]
    assert box.programs == ["x\n"]


@pytest.mark.parametrize("error", [ToolError("bubblewrap broke"), SandboxUnavailableError("no namespaces")])
async def test_a_sandbox_that_fails_fails_the_node_and_no_candidate(error: ToolError) -> None:
    ctx = FakeContext(QUESTION, sandbox=RecordingSandbox(error))
    with pytest.raises(ToolError) as caught:
        await PYTHON.run(ctx.task, (program("x"), program("y", id="draft#1")), ctx)
    assert caught.value is error


@pytest.fixture
def box() -> Sandbox:
    try:
        return sandbox()
    except SandboxUnavailableError as exc:
        pytest.skip(str(exc))


async def test_python_in_the_real_sandbox(box: Sandbox) -> None:
    ctx = FakeContext(QUESTION, sandbox=box)
    given = (
        program("print(7 * 8)", "56", id="right"),
        program("print(7 + 8)", "56", id="wrong"),
        program("import archloom_is_not_here", "56", id="broken"),
        program("while True: pass", "56", id="endless"),
    )
    kept = await Check(tool="python", timeout_s=1).run(ctx.task, given, ctx)
    assert [each.id for each in kept] == ["right"]
    assert noted(ctx) == ["mismatch", "error", "timeout"]
    assert ctx.notes[1].fields["detail"] == "ModuleNotFoundError: No module named 'archloom_is_not_here'"


async def test_public_tests_accept_score_and_say_what_fails(box: Sandbox) -> None:
    ctx = FakeContext(Task.ask("Double it.", **CODING.context()), sandbox=box)
    given = (
        program("def double(x): return x + x", id="right"),
        program("def double(x): return x * x", id="half"),
        program("def double(x): return [][x]", id="broken"),
        Candidate("prose", "I cannot."),
    )
    judged = await Check(tool="tests", keep="all").run(ctx.task, given, ctx)
    assert [(each.id, each.accepted, each.score) for each in judged] == [
        ("right", True, 1.0), ("half", False, 0.5), ("broken", False, 0.0), ("prose", False, 0.0)
    ]  # fmt: skip
    assert [each.executed for each in judged] == [
        Executed("ok", "passed"),
        Executed("failed", None, "assert double(3) == 6\ndouble(3) returned 9"),
        Executed("error", None, "assert double(2) == 4\nIndexError: list index out of range"),
        Executed("no_program"),
    ]
    assert noted(ctx) == ["failed", "error", "no_program"]
    assert ctx.notes[0].fields == {
        "tool": "tests", "candidate": "half", "detail": "assert double(3) == 6\ndouble(3) returned 9",
    }  # fmt: skip
    assert [each.id for each in await TESTS.run(ctx.task, given, ctx)] == ["right"]


async def test_a_vote_after_the_tests_is_for_a_program_that_passed(box: Sandbox) -> None:
    ctx = FakeContext(Task.ask("Double it.", **CODING.context()), sandbox=box)
    wrong = "def double(x): return x"
    given = (program(wrong, id="a"), program(wrong, id="b"), program("double = lambda x: 2 * x", id="right"))
    judged = await Check(tool="tests", keep="all").run(ctx.task, given, ctx)
    [best] = await Vote(after=("tested",)).run(ctx.task, judged, ctx)
    assert best.id == "right"


async def test_a_program_may_continue_the_prompt_of_its_task(box: Sandbox) -> None:
    coding = CodingTask(
        "double", "import math\n\ndef double(x):\n", setup="import cmath", public_tests=CODING.public_tests
    )
    ctx = FakeContext(Task.ask("Double it.", **coding.context()), sandbox=box)
    [judged] = await TESTS.run(ctx.task, (Candidate("a", "    return math.prod([2, x])"),), ctx)
    assert judged.accepted


@pytest.mark.parametrize("context", [{}, CodingTask("double").context(), {**CODING.context(), "language": "java"}])
async def test_a_task_without_public_tests_is_not_judged(context: dict[str, object]) -> None:
    ctx = FakeContext(Task.ask("Double it.", **context))
    given = (program("def double(x): return x"),)
    assert await Check(tool="tests", on_none="fail").run(ctx.task, given, ctx) == given
    assert [(note.what, note.fields["why"]) for note in ctx.notes] == [
        ("not_applicable", "the task has no public tests")
    ]


async def test_a_sandbox_that_fails_fails_the_tests_and_no_candidate() -> None:
    error = ToolError("bubblewrap broke")
    ctx = FakeContext(Task.ask("Double it.", **CODING.context()), sandbox=RecordingSandbox(error))
    with pytest.raises(ToolError) as caught:
        await TESTS.run(ctx.task, (program("def double(x): return x"),), ctx)
    assert caught.value is error


def test_a_check_asks_no_model() -> None:
    ctx = FakeContext(QUESTION)
    assert CALCULATOR.requests(ctx.task, candidates("56")) == ()


async def test_no_candidates_are_no_failure_of_the_check() -> None:
    ctx = FakeContext(QUESTION)
    assert await CALCULATOR.run(ctx.task, (), ctx) == ()
    assert await PYTHON.run(ctx.task, (), ctx) == ()
    ctx = FakeContext(Task.ask("Double it.", **CODING.context()))
    assert await TESTS.run(ctx.task, (), ctx) == ()
