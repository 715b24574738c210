"""Ranker: orders the candidates and keeps the best."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._parse import Preference, parse_preference
from archloom.nodes._parse_ranking import parse_ranking
from archloom.nodes._prompts import built_in
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task


@register("ranker")
class Ranker(AskingNode):
    """Has a model order the candidates and keeps the first ``keep`` (Archon's ranker, Saad-Falcon et al., 2024).

    ``listwise`` shows all candidates in one call, in an order drawn at random that is the same in every replay,
    because judges favour positions; with ``swap`` it asks a second time with that order reversed and averages
    the two places of each. The score is 1 for the best down to 0 for the last.

    ``pairwise`` compares every two candidates in both orders. Who is preferred in both has won; whoever judges
    by position prefers a different one each time, and that is a tie. The score is the share of points of the
    comparisons that could be read: 1 for a win, a half for a tie.

    When nothing could be read, all candidates pass on as they came, or the node fails. Candidates with equal
    scores keep the order they came in. Cost: one call, two with ``swap``, or n (n - 1) for n candidates
    ``pairwise``; each up to ``1 + reasks`` times.
    """

    template: ClassVar[str] = "ranker"

    type: Literal["ranker"] = "ranker"
    """Orders the candidates, best first."""
    mode: Literal["listwise", "pairwise"] = "listwise"
    """Show all candidates at once, or every two of them in both orders."""
    swap: bool = False
    """Listwise: ask in the reverse order, too, and average. Pairwise always asks in both orders."""
    critiques: bool = True
    """Show what critics wrote about the candidates."""
    keep: Annotated[int, Field(ge=1)] = 1
    """How many candidates are passed on."""

    def built_in(self) -> str:
        """The prompt of its mode."""
        return super().built_in() if self.mode == "listwise" else built_in("archloom.nodes", "pairwise")

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """A conversation for each order that candidates are shown in; none when there is nothing to order."""
        shown = tuple(given if self.critiques else (replace(candidate, critiques=()) for candidate in given))
        if len(shown) < 2:
            return ()
        orders: list[Candidates] = [shown, shown[::-1]] if self.swap else [shown]
        if self.mode == "pairwise":
            orders = list(permutations(shown, 2))
        prompt = self.built_in()
        return tuple(Request(self.messages(task, prompt, candidates=order)) for order in orders)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Orders and cuts."""
        if len(given) < 2:
            return given
        scores = await (self._places(task, given, ctx) if self.mode == "listwise" else self._points(task, given, ctx))
        if all(score is None for score in scores):
            return given
        scored = [
            candidate if score is None else candidate.annotated(score=score)
            for candidate, score in zip(given, scores, strict=True)
        ]
        order = sorted(range(len(given)), key=lambda at: (scores[at] is None, -(scores[at] or 0.0)))
        return tuple(scored[at] for at in order)[: self.keep]

    async def _places(self, task: Task, given: Candidates, ctx: Context) -> list[float | None]:
        """From 1 for the best down to 0 for the last, averaged over the orders that could be read."""
        count = len(given)
        shown = list(range(count))
        ctx.rng.shuffle(shown)
        requests = self.requests(task, tuple(given[at] for at in shown))
        rankings = await self.read(ctx, requests, lambda sample: parse_ranking(sample.text, count))
        places: list[list[int]] = [[] for _ in given]
        for order, read in zip((shown, shown[::-1]), rankings, strict=False):
            for ranking in read:
                for place, number in enumerate(ranking):
                    places[order[number]].append(place)
        return [1 - sum(each) / len(each) / (count - 1) if each else None for each in places]

    async def _points(self, task: Task, given: Candidates, ctx: Context) -> list[float | None]:
        """Share of points of the comparisons of each candidate that could be read in both orders."""
        pairs = list(permutations(range(len(given)), 2))
        read: list[list[Preference]] = await self.read(
            ctx, self.requests(task, given), lambda sample: parse_preference(sample.text)
        )
        said = {pair: preferences[0] for pair, preferences in zip(pairs, read, strict=True) if preferences}
        points: list[list[float]] = [[] for _ in given]
        for (one, other), preference in said.items():
            if one < other and (other, one) in said:
                share = _share(preference, said[other, one])
                points[one].append(share)
                points[other].append(1 - share)
        return [sum(each) / len(each) if each else None for each in points]


def _share(shown_first: Preference, shown_second: Preference) -> float:
    """What a candidate wins of a comparison that was made with it shown first and with it shown second."""
    if (shown_first, shown_second) == ("first", "second"):
        return 1.0
    return 0.0 if (shown_first, shown_second) == ("second", "first") else 0.5
