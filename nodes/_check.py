"""Check: lets a tool, not a model, say which candidates are right."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Field

from archloom.nodes._candidate import Candidates, Executed
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._task import Task
from archloom.nodes.errors import NodeError
from archloom.tools import (
    ExecResult,
    ToolError,
    canonical_answer,
    evaluate,
    find_expression,
    find_program,
    last_number,
)
from archloom.tools.code import CodingTask, Outcome, TestReport

T = TypeVar("T")
_Outcome: TypeAlias = Literal["no_answer", "mismatch"] | Outcome


@dataclass(frozen=True)
class _Verdict:
    """What the tool found about a candidate, and what it compared or heard."""

    outcome: _Outcome
    detail: str = ""
    score: float | None = None
    executed: Executed | None = None

    @classmethod
    def tested(cls, report: TestReport) -> _Verdict:
        """That of the tests; candidates that pass all of them agree with each other, others with nobody."""
        executed = Executed(
            "ok" if report.passed else report.outcome, "passed" if report.passed else None, report.detail
        )
        return cls(report.outcome, report.detail, report.share, executed)


@dataclass(frozen=True)
class _NotApplicable:
    """The tool cannot say anything about this task."""

    why: str


@register("check")
class Check(Node):
    """Accepts or rejects each candidate with a tool and keeps what passed.

    ``calculator`` evaluates the arithmetic expression that the task's question states and compares exactly; a
    task whose question states none (or asks for a rounded value) is not judged: all pass on without a verdict
    and the log says ``not_applicable``. ``python`` runs the program in each candidate, in a sandbox: its last
    block marked as Python, or the whole text where that is a program. It passes when the program ends without
    an error and, where the candidate also states an answer, prints it last. A candidate without an answer
    never passes the calculator, and one without a program never passes Python. ``tests`` runs the program in each
    candidate against the public tests of a coding task, in a sandbox; the share of tests that pass becomes its score,
    and the first failure is noted. A task without public tests is not judged. Cost: no calls.
    """

    type: Literal["check"] = "check"
    """Judges candidates with a tool."""
    tool: Literal["calculator", "python", "tests"]
    """What judges: exact arithmetic, the candidate's own program, or the task's public tests of that program."""
    keep: Literal["passed", "all"] = "passed"
    """Pass on only accepted candidates, or all of them with their verdicts."""
    on_none: Literal["pass", "fail"] = "pass"
    """When no candidate is accepted: pass all of them on as rejected, or fail."""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds a program may run, with its tests."""

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Judges all candidates; programs run side by side, as many as the sandbox admits."""
        verdicts = await self._verdicts(task, given, ctx)
        if isinstance(verdicts, _NotApplicable):
            ctx.note("not_applicable", tool=self.tool, why=verdicts.why)
            return given
        judged = tuple(
            candidate.annotated(accepted=verdict.outcome == "passed", score=verdict.score, executed=verdict.executed)
            for candidate, verdict in zip(given, verdicts, strict=True)
        )
        for candidate, verdict in zip(given, verdicts, strict=True):
            if verdict.outcome != "passed":
                ctx.note(verdict.outcome, tool=self.tool, candidate=candidate.id, detail=verdict.detail)
        passed = tuple(candidate for candidate in judged if candidate.accepted)
        if not passed:
            ctx.note("none_passed", tool=self.tool, judged=len(judged), policy=self.on_none)
            if self.on_none == "fail":
                raise NodeError(f"nodes.{ctx.node}: none of {len(judged)} candidates passed the {self.tool} check")
        return passed if passed and self.keep == "passed" else judged

    async def _verdicts(self, task: Task, given: Candidates, ctx: Context) -> list[_Verdict] | _NotApplicable:
        match self.tool:
            case "calculator":
                return _calculated(task, given)
            case "python":
                return await self._run_all(given, ctx)
            case "tests":
                return await self._test_all(task, given, ctx)

    async def _test_all(self, task: Task, given: Candidates, ctx: Context) -> list[_Verdict] | _NotApplicable:
        coding = CodingTask.from_context(task.context)
        if coding is None or not coding.public_tests:
            return _NotApplicable("the task has no public tests")
        if not given:
            return []
        box, tests = ctx.sandbox, coding.public_tests
        runs = [coding.test(each.text, tests, sandbox=box, timeout_s=self.timeout_s) for each in given]
        return [_Verdict.tested(report) for report in await _side_by_side(runs)]

    async def _run_all(self, given: Candidates, ctx: Context) -> list[_Verdict]:
        programs = {each.id: program for each in given if (program := find_program(each.text)) is not None}
        if not programs:
            return [_Verdict("no_program")] * len(given)
        box = ctx.sandbox
        ran = await _side_by_side([box.python(each, timeout_s=self.timeout_s) for each in programs.values()])
        results = dict(zip(programs, ran, strict=True))
        return [
            _judged(results[each.id], each.answer) if each.id in results else _Verdict("no_program") for each in given
        ]


async def _side_by_side(runs: Sequence[Coroutine[object, object, T]]) -> list[T]:
    """Their results, in order; the first exception where there is one, which says that the sandbox failed."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run) for run in runs]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]


def _calculated(task: Task, given: Candidates) -> list[_Verdict] | _NotApplicable:
    expression = find_expression(task.question)
    if expression is None:
        return _NotApplicable("the question states no arithmetic expression")
    try:
        value = evaluate(expression)
    except ToolError as exc:
        return _NotApplicable(exc.message)
    return [_compared(candidate.answer, value, expression) for candidate in given]


def _compared(answer: str | None, value: Fraction, expression: str) -> _Verdict:
    number = None if answer is None else canonical_answer(answer, "number")
    if number is None:
        return _Verdict("no_answer")
    if Fraction(number) != value:
        return _Verdict("mismatch", f"{expression} is not {number}")
    return _Verdict("passed")


def _judged(result: ExecResult, answer: str | None) -> _Verdict:
    if result.timed_out:
        return _Verdict("timeout")
    if result.exit_code != 0:
        return _Verdict("error", result.stderr.strip().rpartition("\n")[2][:200])
    if answer is not None and not _prints(result.stdout, answer):
        return _Verdict("mismatch", f"the program does not print {answer} last")
    return _Verdict("passed")


def _prints(stdout: str, answer: str) -> bool:
    """Whether the output ends with this answer: its last number, or for an answer in words its last line."""
    number = canonical_answer(answer, "number")
    if number is not None:
        return last_number(stdout) == number
    last = stdout.strip().rpartition("\n")[2]
    return canonical_answer(last, "text") == canonical_answer(answer, "text")
