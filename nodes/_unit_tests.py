"""Unit tests: one node writes what an answer must fulfil, another says how much of it each answer fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidate, Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._node import written
from archloom.nodes._parse import Unparsed
from archloom.nodes._parse_lists import parse_asserts, parse_results, parse_tests
from archloom.nodes._prompts import built_in
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, Sample
from archloom.nodes._task import Task
from archloom.nodes.errors import NodeError
from archloom.tools.code import CodingTask


@register("unit_test_generator")
class UnitTestGenerator(AskingNode):
    """Writes tests that a good answer must pass (Archon's unit tests, Saad-Falcon et al., 2024).

    It works on the task alone and gives one candidate of kind ``tests``: a numbered list of statements, or for a
    coding task (one whose context names an entry point) lines of Python that assert something. A ``generator``
    after it writes with the tests in view; a ``unit_test_evaluator`` after it and after answers has a model judge
    by statements, a ``unit_test_runner`` runs what is ``executable``. A reply that is no such list is asked for
    again; when none can be read the node fails, and with ``on_error: drop`` what comes after it goes on without
    tests. Cost: one call, up to ``1 + reasks``.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset()
    gives: ClassVar[frozenset[Kind]] = frozenset({"tests"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "unit_test_generator"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "tests", "entry_point"})

    type: Literal["unit_test_generator"] = "unit_test_generator"
    """Writes tests that an answer must pass."""
    mode: Literal["statements", "executable"] = "statements"
    """Sentences about the answer, or lines of Python for the program that a coding task asks for."""
    tests: Annotated[int, Field(ge=1, le=50)] = 5
    """How many tests are asked for and, at most, kept."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation about the task."""
        del given
        return (Request(self.messages(task, self.built_in(), tests=self.tests, entry_point=_entry_point(task))),)

    def built_in(self) -> str:
        """The prompt of its mode."""
        return super().built_in() if self.mode == "statements" else built_in("archloom.nodes", "unit_test_code")

    def longest(self, given: Candidates) -> Candidates:
        """One list as long as a reply."""
        del given
        return tuple(replace(candidate, kind="tests") for candidate in self.placeholders(1))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Writes the list.

        Raises:
            NodeError: executable tests of a task that asks for no program.
        """
        if self.mode == "executable" and not _entry_point(task):
            raise NodeError(f"nodes.{ctx.node}: executable tests need a coding task; this one names no entry point")
        [read] = await self.read(ctx, self.requests(task, given), partial(self._list, _entry_point(task)))
        return tuple(
            replace(written(sample, ctx, number=sample.index), text=text, kind="tests", answer=None)
            for sample, text in read
        )

    def _list(self, entry_point: str, sample: Sample) -> tuple[Sample, str] | Unparsed:
        complete = sample.finish != "length"
        if self.mode == "executable":
            tests = parse_asserts(sample.text, entry_point, self.tests, complete=complete)
        else:
            tests = parse_tests(sample.text, self.tests, complete=complete)
        if isinstance(tests, Unparsed):
            return tests
        numbered = self.mode == "statements"
        return sample, "\n".join(f"{at}. {test}" if numbered else test for at, test in enumerate(tests, 1))


@register("unit_test_evaluator")
class UnitTestEvaluator(AskingNode):
    """Judges each answer on each test and orders the answers by the share they pass (Archon, 2024).

    It comes after answers and after a ``unit_test_generator``. One call judges one answer on all tests; a reply
    without a verdict on each test is asked for again and, if none can be read, the answer has no score and comes
    last. An answer is accepted when it passes all tests. Without any test (none could be written) the answers
    pass on as they came. Cost: one call per answer, each up to ``1 + reasks`` times.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"answer", "tests"})
    needs: ClassVar[frozenset[Kind]] = frozenset({"answer", "tests"})
    template: ClassVar[str] = "unit_test_evaluator"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "candidate", "tests"})

    type: Literal["unit_test_evaluator"] = "unit_test_evaluator"
    """Orders answers by the tests that they pass."""
    keep: Annotated[int, Field(ge=1)] | None = None
    """How many answers are passed on, best first; left out, all."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation for each answer; none without tests."""
        tests = tests_of(given)
        if not tests:
            return ()
        prompt = self.built_in()
        return tuple(
            Request(self.messages(task, prompt, candidate=candidate, tests=tests)) for candidate in answers_of(given)
        )

    def longest(self, given: Candidates) -> Candidates:
        """The answers it was given."""
        return answers_of(given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Judges all answers at once."""
        answers, tests = answers_of(given), tests_of(given)
        if not tests or not answers:
            ctx.note("no_tests" if answers else "no_answers")
            return answers[: self.keep]
        requests = self.requests(task, given)
        read = await self.read(ctx, requests, lambda sample: parse_results(sample.text, len(tests)))
        scores = [sum(results[0]) / len(tests) if results else None for results in read]
        judged = [
            candidate if score is None else candidate.annotated(score=score, accepted=score == 1.0)
            for candidate, score in zip(answers, scores, strict=True)
        ]
        return by_score(judged, scores)[: self.keep]


def answers_of(given: Sequence[Candidate]) -> Candidates:
    """The candidates that are answers."""
    return tuple(candidate for candidate in given if candidate.kind == "answer")


def tests_of(given: Sequence[Candidate]) -> tuple[str, ...]:
    """The tests of all lists, each once: the items of a numbered list, else the lines."""
    tests: list[str] = []
    for text in (candidate.text for candidate in given if candidate.kind == "tests"):
        found = parse_tests(text, limit=len(text))
        tests += [line for line in text.splitlines() if line.strip()] if isinstance(found, Unparsed) else found
    return tuple(dict.fromkeys(tests))


def by_score(judged: Sequence[Candidate], scores: Sequence[float | None]) -> Candidates:
    """These candidates, best first; those that were not judged last, and equal ones in the order they came in."""
    order = sorted(range(len(judged)), key=lambda at: (scores[at] is None, -(scores[at] or 0.0)))
    return tuple(judged[at] for at in order)


def _entry_point(task: Task) -> str:
    coding = CodingTask.from_context(task.context)
    return "" if coding is None else coding.entry_point
