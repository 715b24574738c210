"""Generator: proposes answers, alone or with earlier proposals in view."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from archloom.nodes._candidate import Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._pausing import PausingNode
from archloom.nodes._registry import register
from archloom.nodes._sample import Replies, Request, Sample, succeeded
from archloom.nodes._stopping import Stopping
from archloom.nodes._task import Task
from archloom.nodes.errors import BudgetReachedError


@register("generator")
class Generator(PausingNode):
    """Draws independent proposals.

    Without ``after`` it is asked the task as it is. With ``after`` the answers of its predecessors are shown
    to it as material to improve on, as a proposer of a later layer in Mixture-of-Agents (Wang et al., 2024), and
    the tests of a ``unit_test_generator`` as what its answer must pass, and observations of ``ideas`` as what to go by.

    With ``first`` the samples race: once so many have ended with an answer the others are cancelled, and what these
    had written by then is paid for (First Finish Search, Agarwal et al., 2025; short-m@k, Hassid et al., 2025). With
    ``until`` it draws a few at a time and looks at their answers (adaptive consistency, Aggarwal et al., 2023).

    Cost: ``samples`` calls; fewer with ``until``, and fewer tokens with ``first``.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"answer", "tests", "plan"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "generator"
    offers_tools: ClassVar[bool] = True

    type: Literal["generator"] = "generator"
    """Proposes answers."""
    samples: Annotated[int, Field(ge=1, le=4096)] = 1
    """Candidates drawn per task; at most so many with ``until``."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature."""
    first: Annotated[int, Field(ge=1)] | None = None
    """Keep only so many, those that end first with an answer, and cancel the others; all when left out."""
    until: Stopping | None = None
    """Draw a few at a time until their answers agree well enough; all at once when left out."""

    @model_validator(mode="after")
    def _one_way_to_end(self) -> Self:
        if self.first is not None and self.until is not None:
            raise ValueError("write first or until, not both")
        return self

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation, ``samples`` times."""
        messages = self.messages(task, self.built_in() if given else None, candidates=given)
        return (Request(messages, self.samples),)

    def longest(self, given: Candidates) -> Candidates:
        """One candidate a sample."""
        return self.placeholders(min(self.samples, self.first or self.samples))

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Draws the samples; those that fail are dropped, down to ``min_success``."""
        [request] = self.requests(task, given)
        if self.first is not None:
            return await self._race(request, given, self.first, ctx)
        if self.until is not None:
            return await self._draw_until(request, given, self.until, ctx)
        [replies] = await self.ask(ctx, [request])
        return self._candidates(replies, given, ctx)

    def _candidates(self, replies: Replies, given: Candidates, ctx: Context) -> Candidates:
        samples = self.enough(replies, ctx)
        return tuple(self.candidate(sample, ctx, number=sample.index, parents=given) for sample in samples)

    async def _race(self, request: Request, given: Candidates, first: int, ctx: Context) -> Candidates:
        """Those that ended first with an answer, in that order; all when none has one."""

        def counts(sample: Sample) -> bool:
            return self.candidate(sample, ctx, number=sample.index).group is not None

        replies = await ctx.race(self.model, request, sampling=self.sampling_for(ctx.task), first=first, counts=counts)
        stopped = [each for each in succeeded(replies) if each.finish == "cancelled"]
        if stopped:
            ctx.note("cancelled", calls=len(stopped), tokens=sum(each.tokens_out for each in stopped))
        over = {each.index for each in stopped}
        ended = [each for each in replies if each.index not in over]
        came = {f"{ctx.node}#{each.index}": each.latency_s for each in succeeded(ended)}
        candidates = self._candidates(ended, given, ctx)
        answered = [each for each in candidates if each.group is not None]
        return tuple(sorted(answered, key=lambda each: came[each.id])[:first]) or candidates

    async def _draw_until(self, request: Request, given: Candidates, until: Stopping, ctx: Context) -> Candidates:
        """Draws and looks, until the answers agree or there are no more samples or no budget."""
        replies: Replies = []
        while (left := self.samples - len(replies)) > 0:
            wanted = min(until.batch if replies else max(until.least, until.batch), left)
            try:
                [more] = await self.ask(ctx, [Request(request.messages, wanted, start=len(replies))])
            except BudgetReachedError:
                if not replies:
                    raise
                break
            replies += more
            groups = Counter(
                group
                for sample in succeeded(replies)
                if (group := self.candidate(sample, ctx, number=sample.index).group) is not None
            )
            if until.reached(tuple(groups.values())):
                ctx.note("agreed", rule=until.rule, samples=len(replies), answers=sorted(groups.values(), reverse=True))
                break
            if len(more) < wanted:
                break
        return self._candidates(replies, given, ctx)
