"""Unit tests that are programs: runs them on the program in each answer."""

from __future__ import annotations

import asyncio
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._task import Task
from archloom.nodes._unit_tests import answers_of, by_score, tests_of
from archloom.nodes.errors import NodeError
from archloom.tools.code import CodingTask


@register("unit_test_runner")
class UnitTestRunner(Node):
    """Runs executable tests on the program in each answer, in a sandbox, and orders the answers by the share they pass.

    It comes after answers and after a ``unit_test_generator`` with ``mode: executable``; the tests are a model's, so
    they may be wrong: the task's own ones are run by ``check`` with ``tool: tests``. An answer is accepted when it
    passes all tests; one without a program passes none. Without any test the answers pass on as they came. Cost: no
    calls.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"answer", "tests"})
    needs: ClassVar[frozenset[Kind]] = frozenset({"answer", "tests"})

    type: Literal["unit_test_runner"] = "unit_test_runner"
    """Orders answers by the executable tests that they pass."""
    keep: Annotated[int, Field(ge=1)] | None = None
    """How many answers are passed on, best first; left out, all."""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds a program may run, with its tests."""

    def longest(self, given: Candidates) -> Candidates:
        """The answers it was given."""
        return answers_of(given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Runs all tests on all answers, as many side by side as the sandbox admits.

        Raises:
            NodeError: the task asks for no program, or the tests are no Python.
            ToolError: the sandbox failed.
        """
        answers, tests = answers_of(given), tests_of(given)
        if not tests or not answers:
            ctx.note("no_tests" if answers else "no_answers")
            return answers[: self.keep]
        coding = CodingTask.from_context(task.context)
        if coding is None:
            raise NodeError(f"nodes.{ctx.node}: tests are run on programs, and this task names no entry point")
        if not all(test.startswith("assert ") for test in tests):
            raise NodeError(f"nodes.{ctx.node}: the tests are sentences; their generator needs 'mode: executable'")
        box = ctx.sandbox
        try:
            async with asyncio.TaskGroup() as group:
                runs = [
                    group.create_task(coding.test(answer.text, tests, sandbox=box, timeout_s=self.timeout_s))
                    for answer in answers
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # each says that the sandbox failed; one is enough
        reports = [run.result() for run in runs]
        for answer, report in zip(answers, reports, strict=True):
            if not report.passed:
                ctx.note(report.outcome, candidate=answer.id, detail=report.detail[:500])
        judged = [
            answer.annotated(score=report.share, accepted=report.passed)
            for answer, report in zip(answers, reports, strict=True)
        ]
        return by_score(judged, [report.share for report in reports])[: self.keep]
