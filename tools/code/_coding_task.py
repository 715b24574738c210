"""What a coding task says besides its question, and how a text that answers it is tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from archloom.tools import Sandbox
from archloom.tools.code._assemble import assemble_program
from archloom.tools.code._report import TestReport
from archloom.tools.code._run_tests import run_tests


@dataclass(frozen=True)
class CodingTask:
    """The part of a task's context that programs are made and tested with.

    Attributes:
        entry_point: The function or class that is wanted.
        prompt: Code that an answer may continue; empty where there is none.
        given: Code in front of every program.
        setup: Code beside the tests, out of the program's reach.
        public_tests: The tests that the question shows, perhaps none.
    """

    language: ClassVar[str] = "python"

    entry_point: str
    prompt: str = ""
    given: str = ""
    setup: str = ""
    public_tests: tuple[str, ...] = ()

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> CodingTask | None:
        """What :meth:`context` wrote down; ``None`` for the context of some other task."""
        if context.get("language") != cls.language or not isinstance(context.get("entry_point"), str):
            return None
        texts = {name: str(context.get(name, "")) for name in ("entry_point", "prompt", "given", "setup")}
        tests = context.get("public_tests", ())
        return cls(**texts, public_tests=tuple(map(str, tests)) if isinstance(tests, Sequence) else ())

    def context(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "language": self.language,
            "entry_point": self.entry_point,
            "prompt": self.prompt,
            "given": self.given,
            "setup": self.setup,
            "public_tests": list(self.public_tests),
        }

    async def test(self, text: str, tests: Sequence[str], *, sandbox: Sandbox, timeout_s: float = 10.0) -> TestReport:
        """Runs tests on the program in a text; see :func:`run_tests`."""
        program = assemble_program(text, entry_point=self.entry_point, prompt=self.prompt, given=self.given)
        if program is None:
            return TestReport.nothing_ran("no_program", "", len(tests))
        return await run_tests(
            program, tests, entry_point=self.entry_point, sandbox=sandbox, setup=self.setup, timeout_s=timeout_s
        )
