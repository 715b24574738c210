"""Continuer: goes on with answers that are not finished."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._pausing import PausingNode
from archloom.nodes._registry import register
from archloom.nodes._sample import Capability, Request, Sample, succeeded
from archloom.nodes._selection import worth
from archloom.nodes._task import Messages, Task


@register("continuer")
class Continuer(PausingNode):
    """Has its model write on where an answer was cut by ``max_tokens`` or interrupted at a string of ``pause``.

    The model is shown the task and, as the beginning of its own reply, what there is. The whole text takes the place
    of its beginning, as a candidate that was made from it, with the tokens of both. What is complete passes on
    untouched and costs nothing; so does what has no text yet, and what a failed call left as it was. Cost: one call a
    candidate that is continued; its prompt holds the text so far.

    With ``keep`` only the best are finished, by the ``score`` that a node before it gave their beginnings
    (mid-generation pruning, Manvi et al., Adaptive Inference-Time Compute, 2024). With ``unless: accepted`` those stay
    as they are that a verifier took for complete (Zhong et al., Solve-Detect-Verify, 2025). With ``cue`` and
    ``unless: answered`` what was cut before it came to an answer is made to give one (budget forcing, Muennighoff et
    al., s1: Simple Test-Time Scaling, 2025).

    The model must be able to continue a reply. The question must be the one that the beginnings answer: write the
    ``prompt`` and ``system`` of the node that they are from, where it has any.
    """

    template: ClassVar[str] = "continuer"  # names what it asks; it has no prompt of its own
    template_names: ClassVar[frozenset[str]] = frozenset({"question"})
    offers_tools: ClassVar[bool] = True

    type: Literal["continuer"] = "continuer"
    """Goes on with answers that are not finished."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Sampling temperature."""
    keep: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the unfinished candidates that are continued, rounded up: those of the highest score, unscored ones
    last. The others are dropped."""
    unless: Literal["accepted", "answered"] | None = None
    """Unfinished candidates that stay as they are: those that the last verdict accepted, or that state an answer."""
    cue: str = ""
    """What is put behind the unfinished text, and so said by the model, before it goes on."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What its model must be able to do."""
        return super().capabilities | {"continuation"}

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation a candidate that is continued; equal beginnings are continued by different samples."""
        conversation, before = self.messages(task), Counter[str]()
        asked = []
        for place in self._chosen(given):
            begun = given[place].text + self.cue
            asked.append(Request(with_reply(conversation, begun), start=before[begun]))
            before[begun] += 1
        return tuple(asked)

    def longest(self, given: Candidates) -> Candidates:
        """Those that are continued, each by the most that a call may write, and those that are complete."""
        chosen, [more] = set(self._chosen(given)), self.placeholders(1)
        dropped = set(self._unfinished(given)) - chosen
        return tuple(
            replace(one, text=one.text + self.cue + more.text) if place in chosen else one
            for place, one in enumerate(given)
            if place not in dropped
        )

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Continues all at once; each takes the place of its beginning."""
        chosen = self._chosen(given)
        dropped = set(self._unfinished(given)) - set(chosen)
        if dropped:
            ctx.note("pruned", candidates=len(dropped))
        out = dict(enumerate(given))
        if chosen:
            replies = await self.ask(ctx, self.requests(task, given))
            self.enough([reply for asked in replies for reply in asked], ctx)
            for place, asked in zip(chosen, replies, strict=True):
                for sample in succeeded(asked):
                    out[place] = self._continued(given[place], sample, ctx, place)
        return tuple(one for place, one in out.items() if place not in dropped)

    def _unfinished(self, given: Candidates) -> list[int]:
        """Places of those that there is something to write on to, in order."""
        return [place for place, one in enumerate(given) if one.kind == "answer" and not self._stays(one)]

    def _stays(self, one: Candidate) -> bool:
        if one.complete or not (one.text + self.cue).strip():
            return True
        return (self.unless == "accepted" and one.accepted is True) or (
            self.unless == "answered" and one.group is not None
        )

    def _chosen(self, given: Candidates) -> Sequence[int]:
        """Places of those that are continued, in order."""
        open_ = self._unfinished(given)
        if self.keep == 1:
            return open_
        scores = {place: -math.inf if (score := worth(given[place], "score")) is None else score for place in open_}
        ranked = sorted(open_, key=scores.__getitem__, reverse=True)
        return sorted(ranked[: math.ceil(self.keep * len(open_) - 1e-9)])

    def _continued(self, begun: Candidate, sample: Sample, ctx: Context, place: int) -> Candidate:
        whole = replace(
            sample,
            text=begun.text + self.cue + sample.text,
            tokens_out=begun.tokens + sample.tokens_out,
            logprob=_mean_of_both(begun, sample),
        )
        return self.candidate(whole, ctx, number=place, parents=(begun,))


def with_reply(conversation: Messages, begun: str) -> Messages:
    """The conversation with this as the beginning of the model's reply, or behind the beginning that it holds."""
    last = conversation[-1] if conversation else {}
    opened = last.get("content")
    if last.get("role") == "assistant" and isinstance(opened, str) and not last.get("tool_calls"):
        return (*conversation[:-1], {**last, "content": opened + begun})
    return (*conversation, {"role": "assistant", "content": begun})


def _mean_of_both(begun: Candidate, sample: Sample) -> float | None:
    """Mean log-probability of a token of the whole; ``None`` where that of a part is not known."""
    if not sample.tokens_out:
        return begun.logprob
    if begun.logprob is None or sample.logprob is None:
        return None
    total = begun.tokens + sample.tokens_out
    return (begun.logprob * begun.tokens + sample.logprob * sample.tokens_out) / total
