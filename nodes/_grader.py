"""Grader: scores all candidates together, several times over."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._parse_choice import parse_scores
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task

_LOW, _HIGH = 1, 10

Judgement: TypeAlias = tuple[float, ...]
"""A score for each candidate, in the order of the candidates."""


@register("grader")
class Grader(AskingNode):
    """Asks for principles, a critique and a score from 1 to 10 of every candidate, ``votes`` times, and adds them up.

    Pointwise generative reward modelling (Liu et al., Inference-Time Scaling for Generalist Reward Modeling, 2025).
    Each vote shows the candidates in an order of its own, which is undone before anything is added. A vote that does
    not score every candidate is dropped whole, because sums of different lengths cannot be compared. Of the rest only
    the ``trusted`` ones count that agree best with the median scores, which stands in for the paper's trained
    meta-reward model. All candidates pass on, in their order, with the sum as ``score``; without a readable vote they
    pass on unscored. Cost: ``votes`` calls of all texts, each up to ``1 + reasks`` times.
    """

    template: ClassVar[str] = "grader"

    type: Literal["grader"] = "grader"
    """Scores all candidates together."""
    votes: Annotated[int, Field(ge=1, le=64)] = 8
    """Judgements drawn; more than one needs a temperature above 0."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.5
    """Sampling temperature."""
    trusted: Annotated[int, Field(ge=1)] | None = None
    """How many judgements count; half of the readable ones, rounded up, when left out."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation over all candidates a vote."""
        return tuple(self._request(task, given, vote) for vote in range(self.votes)) if given else ()

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks for all judgements at once and adds up."""
        rng = ctx.rng
        orders = [rng.sample(range(len(given)), len(given)) for _ in range(self.votes)]
        requests = [
            self._request(task, tuple(given[place] for place in order), vote) for vote, order in enumerate(orders)
        ]
        replies = await self.read(ctx, requests, lambda sample: parse_scores(sample.text, len(given), _LOW, _HIGH))
        judgements = [
            tuple(scores[order.index(place)] for place in range(len(given)))
            for order, found in zip(orders, replies, strict=True)
            for scores in found
        ]
        if not judgements:
            return given
        sums = [sum(scores) for scores in zip(*self._trusted(judgements), strict=True)]
        return tuple(one.annotated(score=score) for one, score in zip(given, sums, strict=True))

    def _request(self, task: Task, shown: Candidates, vote: int) -> Request:
        """Each vote has an index of its own and of its re-asks: two may happen to show the same order."""
        return Request(self.messages(task, self.built_in(), candidates=shown), start=vote * self.attempts)

    def _trusted(self, judgements: Sequence[Judgement]) -> list[Judgement]:
        count = (len(judgements) + 1) // 2 if self.trusted is None else self.trusted
        middle = tuple(median(scores) for scores in zip(*judgements, strict=True))
        return sorted(judgements, key=lambda each: -_agreement(each, middle))[:count]


def _agreement(one: Judgement, other: Judgement) -> int:
    """Pairs of candidates that both order in the same way, less those that they order in opposite ways."""
    pairs = combinations(range(len(one)), 2)
    return sum(_sign(one[i] - one[j]) * _sign(other[i] - other[j]) for i, j in pairs)


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)
