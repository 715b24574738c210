"""CrossCheck: translates the reasoning of an answer into a program and compares what it prints."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._literals import states_result
from archloom.nodes._parse import Unparsed
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, Sample
from archloom.nodes._task import Task
from archloom.tools import canonical_answer, find_program, last_number

_CLOSE = Fraction(1, 10**6)


class _Finding(NamedTuple):
    """What became of a program: agreed or not, or nothing that could be compared."""

    accepted: bool | None
    outcome: str
    detail: str = ""


@register("cross_check")
class CrossCheck(AskingNode):
    """Accepts answers that a program, written after their own reasoning, arrives at, too.

    Chain of thought against program of thought (Liang et al., Improving LLM Reasoning through Scaling Inference
    Computation with Collaborative Verification, 2024). A model translates each answer's reasoning into a program; the
    sandbox runs it; the answer is accepted when the last number that the program prints is the answer, to a millionth.
    A program that only prints what it was told (constants, or the answer itself where the task does not state that
    number) is taken for no program: it would agree with anything. An answer whose program fails, runs too long or
    cannot be read is neither accepted nor rejected. When nobody is accepted all pass on. Cost: one call per candidate
    with an answer, up to ``1 + reasks``.
    """

    template: ClassVar[str] = "cross_check"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "candidate"})

    type: Literal["cross_check"] = "cross_check"
    """Compares answers with programs written after their reasoning."""
    keep: Literal["passed", "all"] = "passed"
    """Pass on only accepted candidates, or all of them with their verdicts."""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds a program may run."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation a candidate that has an answer."""
        prompt = self.built_in()
        return tuple(Request(self.messages(task, prompt, candidate=each)) for each in _answered(given))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks for all programs at once, and runs them side by side, as many as the sandbox admits.

        Raises:
            ToolError: the sandbox failed.
        """
        asked = _answered(given)
        read = await self.read(ctx, self.requests(task, given), _program) if asked else []
        programs = [(each, found[0]) for each, found in zip(asked, read, strict=True) if found]
        findings = await self._compared(task, programs, ctx)
        for name, finding in findings.items():
            if not finding.accepted:
                ctx.note(finding.outcome, candidate=name, detail=finding.detail)
        verdicts = {name: finding.accepted for name, finding in findings.items()}
        judged = tuple(each.annotated(accepted=verdicts.get(each.id)) for each in given)
        passed = tuple(each for each in judged if verdicts.get(each.id))
        if not passed:
            ctx.note("none_passed", judged=len(judged))
        return passed if passed and self.keep == "passed" else judged

    async def _compared(
        self, task: Task, programs: Sequence[tuple[Candidate, str]], ctx: Context
    ) -> dict[str, _Finding]:
        """What became of each program, by the candidate's id."""
        stated = frozenset(Fraction(number) for number in re.findall(r"\d+(?:\.\d+)?", task.question.replace(",", "")))
        try:
            async with asyncio.TaskGroup() as group:
                runs = {each.id: group.create_task(self._one(each, program, stated, ctx)) for each, program in programs}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # each says that the sandbox failed; one is enough
        return {name: run.result() for name, run in runs.items()}

    async def _one(self, candidate: Candidate, program: str, stated: frozenset[Fraction], ctx: Context) -> _Finding:
        answer = canonical_answer(str(candidate.answer), "number")
        if answer is None:
            return _Finding(None, "no_number", f"the answer {candidate.answer!r} is no number")
        if states_result(program, Fraction(answer), stated):
            return _Finding(None, "literal", "the program prints what it was told")
        ran = await ctx.sandbox.python(program, timeout_s=self.timeout_s)
        if ran.timed_out:
            return _Finding(None, "timeout")
        if ran.exit_code != 0:
            return _Finding(None, "error", ran.stderr.strip().rpartition("\n")[2][:200])
        printed = last_number(ran.stdout)
        if printed is None:
            return _Finding(None, "silent", "the program prints no number")
        value, wanted = Fraction(printed), Fraction(answer)
        if abs(value - wanted) > _CLOSE * max(Fraction(1), abs(wanted)):
            return _Finding(False, "mismatch", f"the program prints {printed}, not {answer}")
        return _Finding(True, "passed")


def _answered(given: Candidates) -> Candidates:
    return tuple(candidate for candidate in given if candidate.answer is not None)


def _program(sample: Sample) -> str | Unparsed:
    return find_program(sample.text) or Unparsed("no program in the reply")
