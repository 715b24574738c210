"""What the check node accepts, rejects and leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from archloom.nodes import Candidate, Candidates, Check, Context, NodeError
from archloom.testing._context import FakeContext
from archloom.tools import (
    ExecResult,
    Sandbox,
    SandboxLevel,
    SandboxUnavailableError,
    ToolError,
    python_command,
    sandbox,
)

QUESTION = "What is 7 times 8?"
CALCULATOR = Check(tool="calculator", after=("draft",))
PYTHON = Check(tool="python", after=("draft",))


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
        self.commands: list[list[str]] = []
        self.timeouts: list[float] = []
        self._result = result

    @property
    def level(self) -> SandboxLevel:
        return "none"

    async def exec(
        self,
        cmd: Sequence[str],
        *,
        files: Mapping[str, str] = {},
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        self.programs += files.values()
        self.commands.append(list(cmd))
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


async def test_python_runs_the_program_of_each_candidate_isolated_and_within_its_time() -> None:
    box = RecordingSandbox(result())
    ctx = FakeContext(QUESTION, sandbox=box)
    given = (program("a = 1"), program("b = 2", id="draft#1"))
    await Check(tool="python", timeout_s=3).run(ctx.task, given, ctx)
    assert box.programs == ["a = 1\n", "b = 2\n"]
    assert box.commands == [[*python_command(), "main.py"]] * 2
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


async def test_python_in_the_real_sandbox() -> None:
    box: Sandbox
    try:
        box = sandbox()
    except SandboxUnavailableError as exc:
        pytest.skip(str(exc))
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


def test_a_check_asks_no_model() -> None:
    ctx = FakeContext(QUESTION)
    assert CALCULATOR.requests(ctx.task, candidates("56")) == ()


async def test_no_candidates_are_no_failure_of_the_check() -> None:
    ctx = FakeContext(QUESTION)
    assert await CALCULATOR.run(ctx.task, (), ctx) == ()
    assert await PYTHON.run(ctx.task, (), ctx) == ()
