"""Scores programs by their tests."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import ClassVar, Literal

from archloom.tasks._scorers import Target
from archloom.tasks.errors import TaskError
from archloom.tools import sandbox
from archloom.tools.code import CodingTask, TestReport

_AT_ONCE = BoundedSemaphore(os.cpu_count() or 1)
"""Programs scored at once: more would only take time from each other, and time is limited."""


@dataclass(frozen=True)
class UnitTests:
    """Runs the program in a text against the hidden tests, in the sandbox.

    Attributes:
        counts: ``all``: 1 when every test passes. ``share``: the tests that pass, as a share of all.
        timeout_s: Seconds for a program and all its tests.
    """

    blocking: ClassVar[bool] = True

    counts: Literal["all", "share"] = "all"
    timeout_s: float = 10.0

    @property
    def name(self) -> str:
        """The metric's."""
        return "unit_tests" if self.counts == "all" else "unit_tests_share"

    def report(self, text: str, target: Target) -> TestReport:
        """How each hidden test ended.

        Raises:
            TaskError: a test is no Python, which is no fault of the program.
            SandboxUnavailableError: programs cannot be run on this machine.
        """
        coding, tests = CodingTask.from_context(target.data), target.data.get("tests")
        assert coding is not None, "the target of a coding task"
        assert isinstance(tests, list)
        with _AT_ONCE:
            report = asyncio.run(coding.test(text, tests, sandbox=sandbox(), timeout_s=self.timeout_s))
        if any(result.outcome == "invalid_test" for result in report.results) or report.outcome == "invalid_test":
            raise TaskError(f"a hidden test of {coding.entry_point!r} cannot be run: {report.detail}")
        return report

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Tests the program that the text holds; a text without one scores 0."""
        del candidate_answer  # a program is more than a line
        report = self.report(candidate_text, target)
        return float(report.passed) if self.counts == "all" else report.share
