"""What became of a program under its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

Outcome: TypeAlias = Literal[
    "passed",
    "failed",
    "error",
    "syntax_error",
    "timeout",
    "no_program",
    "missing_function",
    "wrong_signature",
    "exited",
    "output_flood",
    "memory",
    "invalid_test",
    "not_run",
]
"""How a program, or one test of it, ended.

``failed``: an assertion did not hold. ``error``: an exception. ``wrong_signature``: the function cannot be called as
the tests call it. ``missing_function``: the program does not define it. ``exited``: the program's process ended before
the tests did, with whatever code. ``invalid_test``: the test, not the program, is no Python. ``not_run``: a test that
did not begin, because the program could not be loaded or had ended. The others mean what they say.
"""


@dataclass(frozen=True)
class TestResult:
    """The end of one test.

    Attributes:
        outcome: How it ended.
        detail: The exception, or what the program returned where an assertion failed.
    """

    __test__: ClassVar[bool] = False  # for pytest, which takes the name for one of its own

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class TestReport:
    """The end of all tests on one program.

    Attributes:
        outcome: ``passed`` when all of them did; else that of the first that did not, or why none began.
        detail: More about that; for a failed test its text as well.
        results: One for each test, in their order.
        output: The start of what the program wrote.
        duration_s: Seconds from start to end.
    """

    __test__: ClassVar[bool] = False

    outcome: Outcome
    detail: str
    results: tuple[TestResult, ...]
    output: str = ""
    duration_s: float = 0.0

    @property
    def passed(self) -> bool:
        """All tests passed."""
        return self.outcome == "passed"

    @property
    def share(self) -> float:
        """Tests that passed, as a share of all; 0 for a program that could not be run."""
        return sum(result.outcome == "passed" for result in self.results) / len(self.results) if self.results else 0.0

    @classmethod
    def nothing_ran(cls, outcome: Outcome, detail: str, tests: int) -> TestReport:
        """That of a program on which none of these tests could begin."""
        return cls(outcome, detail, (TestResult("not_run"),) * tests)
