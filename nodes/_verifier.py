"""Verifier: judges each candidate by itself and lets the accepted ones pass."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode
from archloom.nodes._parse import Unparsed, parse_verdict
from archloom.nodes._registry import register
from archloom.nodes._sample import Replies, Request, succeeded
from archloom.nodes._task import Task


@register("verifier")
class Verifier(ModelNode):
    """Asks for reasons and then a verdict on each candidate, ``votes`` times, and keeps what is accepted.

    Generative verification (GenRM, Zhang et al., 2024): the score is the share of readable verdicts that say
    "correct"; a candidate passes at or above ``threshold``. Verdicts that do not parse are left out of the
    mean; a candidate without any readable verdict is unjudged. When nobody is accepted all pass on, marked as
    rejected, as in Archon. Cost: ``votes`` calls per candidate.
    """

    template: ClassVar[str] = "verifier"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "candidate"})

    type: Literal["verifier"] = "verifier"
    """Judges each candidate and keeps the accepted ones."""
    votes: Annotated[int, Field(ge=1, le=64)] = 1
    """Verdicts drawn per candidate; more than one needs a temperature above 0."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of verdicts that must say "correct"."""
    keep: Literal["passed", "all"] = "passed"
    """Pass on only accepted candidates, or all of them with their scores."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation a candidate, ``votes`` times."""
        prompt = self.built_in()
        return tuple(Request(self.messages(task, prompt, candidate=each), self.votes) for each in given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Judges all candidates at once."""
        replies = await self.ask(ctx, self.requests(task, given))
        self.enough([reply for asked in replies for reply in asked], ctx)
        scores = [self._score(asked, ctx) for asked in replies]
        judged = [
            candidate if score is None else candidate.annotated(score=score, accepted=score >= self.threshold)
            for candidate, score in zip(given, scores, strict=True)
        ]
        if self.keep == "all":
            return tuple(judged)
        passed = [candidate for candidate in judged if candidate.accepted]
        if not passed:
            ctx.note("none_passed", judged=len(judged))
        return tuple(sorted(passed or judged, key=lambda candidate: -(candidate.score or 0.0)))

    def _score(self, replies: Replies, ctx: Context) -> float | None:
        verdicts = []
        for sample in succeeded(replies):
            verdict = parse_verdict(sample.text)
            if isinstance(verdict, Unparsed):
                self.unparsed(ctx, sample.text, verdict.why)
            else:
                verdicts.append(verdict)
        return sum(verdicts) / len(verdicts) if verdicts else None
