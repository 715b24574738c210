"""Verifier: judges each candidate by itself and lets the accepted ones pass."""

from __future__ import annotations

from statistics import fmean
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._parse import Unparsed, parse_verdict
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, Sample
from archloom.nodes._task import Task
from archloom.nodes._verdict_odds import verdict_odds


@register("verifier")
class Verifier(AskingNode):
    """Asks for reasons and then a verdict on each candidate, ``votes`` times, and keeps what is accepted.

    Generative verification (GenRM, Zhang et al., 2024): the score is the share of readable verdicts that say
    "correct"; a candidate passes at or above ``threshold``. Verdicts that do not parse are asked for again, then
    left out of the mean; a candidate without any readable verdict is unjudged. With ``logprobs`` (2 or more) a verdict
    is not counted as 1 or 0 but with the probability of "correct" where it stands, against that of "incorrect".
    When nobody is accepted all pass on, marked as rejected, as in Archon.

    With ``settled`` it is the slow half of a flexible verifier (FlexiVe, Zhong et al., Solve-Detect-Verify, 2025):
    after a fast verifier with several votes it judges only those about which these disagreed. Cost: ``votes`` calls
    per candidate, each up to ``1 + reasks`` times.
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
    settled: Annotated[float, Field(gt=0.5, le=1)] | None = None
    """Candidates on which at least this share of an earlier verifier's verdicts agreed keep its judgement and are not
    asked about; everybody is when left out."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation a candidate that is not settled, ``votes`` times."""
        prompt, asked = self.built_in(), self._open(given)
        return tuple(Request(self.messages(task, prompt, candidate=each), self.votes) for each in asked)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Judges all candidates at once."""
        asked = self._open(given)
        verdicts = await self.read(ctx, self.requests(task, given), self._verdict) if asked else []
        scores = {one.id: fmean(each) for one, each in zip(asked, verdicts, strict=True) if each}
        judged = [
            one.annotated(score=score, accepted=score >= self.threshold)
            if (score := scores.get(one.id)) is not None
            else one
            for one in given
        ]
        if self.keep == "all":
            return tuple(judged)
        passed = [candidate for candidate in judged if candidate.accepted]
        if not passed:
            ctx.note("none_passed", judged=len(judged))
        return tuple(sorted(passed or judged, key=lambda candidate: -(candidate.score or 0.0)))

    def _open(self, given: Candidates) -> Candidates:
        """Those that are to be judged."""
        if self.settled is None:
            return given
        return tuple(one for one in given if one.score is None or max(one.score, 1 - one.score) < self.settled - 1e-9)

    def _verdict(self, sample: Sample) -> float | Unparsed:
        verdict = parse_verdict(sample.text)
        odds = verdict_odds(sample.tokens) if self.logprobs is not None else None
        return verdict if isinstance(verdict, Unparsed) or odds is None else odds
