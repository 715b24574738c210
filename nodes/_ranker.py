"""Ranker: orders the candidates and keeps the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode
from archloom.nodes._parse import Unparsed, parse_ranking
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, succeeded
from archloom.nodes._task import Task


@register("ranker")
class Ranker(ModelNode):
    """Has a model order all candidates in one call and keeps the first ``keep`` (Archon's ranker, listwise).

    The candidates are shown in an order drawn at random, the same in every replay, because listwise judges
    favour positions; the order is undone before the ranking is read. A reply that is not a complete ranking is
    asked for again up to ``reasks`` times; after that all candidates pass on unranked, or the node fails.
    Cost: one call, up to ``1 + reasks``.
    """

    template: ClassVar[str] = "ranker"

    type: Literal["ranker"] = "ranker"
    """Orders the candidates, best first."""
    keep: Annotated[int, Field(ge=1)] = 1
    """How many candidates are passed on."""
    reasks: Annotated[int, Field(ge=0, le=8)] = 1
    """How often an unreadable ranking is asked for again."""

    @property
    def attempts(self) -> int:
        """The first try and the re-asks."""
        return 1 + self.reasks

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation over all candidates; none when there is nothing to order."""
        if len(given) < 2:
            return ()
        return (Request(self.messages(task, self.built_in(), candidates=given)),)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Orders and cuts; candidates are scored 1 for the best down to 0 for the last."""
        if len(given) < 2:
            return given
        shown = list(given)
        ctx.rng.shuffle(shown)
        [request] = self.requests(task, tuple(shown))
        reply, why = "", "no reply"
        for attempt in range(self.attempts):
            [replies] = await self.ask(ctx, [Request(request.messages, start=attempt)])
            for sample in succeeded(replies):
                order = parse_ranking(sample.text, len(shown))
                if not isinstance(order, Unparsed):
                    return tuple(_ranked(shown, order))[: self.keep]
                reply, why = sample.text, order.why
        self.unparsed(ctx, reply, why)
        return given


def _ranked(shown: Sequence[Candidate], order: tuple[int, ...]) -> Iterator[Candidate]:
    """The candidates in this order, scored from 1 for the best down to 0 for the last."""
    last = len(order) - 1
    for place, index in enumerate(order):
        yield shown[index].annotated(score=1 - place / last)
