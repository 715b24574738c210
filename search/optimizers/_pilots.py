"""Pilots of ``agent_reinforce``: which models, and how many of each, use up a compute budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TypeAlias

import numpy as np

from archloom.graphs._topology import Grammar, Graph, Place
from archloom.search._graph_edits import without
from archloom.search._space import Point
from archloom.search._topology import TopologySpace
from archloom.search.optimizers._compute import Compute

_ROUNDING = 1e-9
Multiset: TypeAlias = tuple[str, ...]
"""Models of the nodes of a graph, in alphabetical order."""


def multisets(prices: Mapping[str, float], budget: float, most: int) -> list[Multiset]:
    """The multisets of models that cost no more than the budget and to which nothing can be added.

    Args:
        prices: Cost of one call of each model without predecessors.
        budget: What all calls may cost.
        most: The most calls.
    """
    models, budget = sorted(prices), budget + _ROUNDING

    def grow(chosen: Multiset, first: int, left: float) -> Iterator[Multiset]:
        room = len(chosen) < most
        if chosen and not (room and any(prices[model] <= left for model in models)):
            yield chosen
        for number in range(first, len(models)) if room else ():
            if prices[models[number]] <= left:
                yield from grow((*chosen, models[number]), number, left - prices[models[number]])

    return list(grow((), 0, budget))


def pilot(grammar: Grammar, models: Sequence[str]) -> Graph | None:
    """A graph of these models: layers of the first role that can begin, each reading all of the layer before.

    The last model condenses the others where there is a role for that. ``None`` where the limits do not allow it.
    """
    limits = grammar.topology
    first = next(role for role in limits.roles if grammar.can_follow(role, []))
    last = next((role for role in limits.roles if role == "fuser"), None)
    condenses = last is not None and len(models) > 2
    graph: list[Place] = []
    layer: list[int] = []
    for start in range(0, len(models) - condenses, limits.max_width):
        before, layer = layer, []
        for model in models[start : min(start + limits.max_width, len(models) - condenses)]:
            layer.append(len(graph))
            graph.append(Place(first, model, tuple(before)))
    if condenses and last is not None:
        graph.append(Place(last, models[-1], tuple(range(len(graph))[-limits.max_width :])))
    found = tuple(graph)
    return found if grammar.allows(found) else None


def within(grammar: Grammar, compute: Compute, graph: Graph, budget: float) -> Graph | None:
    """The graph without as many of its smallest nodes as it takes to keep the budget; ``None`` where none is left."""
    while compute.of_configuration(grammar.configuration(graph)) > budget + _ROUNDING:
        smallest = sorted(range(len(graph)), key=lambda n: compute.of_call(graph[n].model))
        smaller = (without(graph, number) for number in smallest)
        found = next((each for each in smaller if grammar.allows(each)), None)
        if found is None:
            return None
        graph = found
    return graph


class Pilots:
    """The start of a search in a free topology: each model by itself, then some mixes of models.

    Every decision is made from scores on the same first tasks, so it stays as it is while more is observed.

    Args:
        space: What is searched.
        compute: Prices of calls.
        budget: Compute of one graph.
        count: How many mixes are piloted.
    """

    def __init__(self, space: TopologySpace, compute: Compute, *, budget: float, count: int) -> None:
        self._space, self._count = space, count
        self._prices = {model: compute.of_call(model) for model in space.topology.models}
        self._grammar = space.grammar((0,) * len(space.axes))
        found = multisets(self._prices, budget, space.topology.max_nodes)
        self.mixes = [mix for mix in found if self._point(mix) is not None]
        """What the budget buys, where a graph can be made of it."""
        alone = {model: self._point((model,)) for model in space.topology.models}
        self.singles = {model: point for model, point in alone.items() if point is not None}
        """For each model the configuration that calls it once."""

    def _point(self, mix: Multiset) -> Point | None:
        dearest_last = sorted(mix, key=lambda model: (self._prices[model], model))
        graph = pilot(self._grammar, dearest_last)
        return None if graph is None else self._space.normal(self._space.point_of(graph))

    def chosen(self, accuracy: Mapping[str, float], picks: Sequence[int]) -> tuple[Point, ...]:
        """The mixes to pilot, each followed by itself without its weakest member.

        Args:
            accuracy: Mean score of each model by itself.
            picks: Numbers of mixes, from 1; without any that exist, mixes at even distances from the strongest to
                the weakest are taken.
        """
        mixes = [self.mixes[number - 1] for number in picks if 0 < number <= len(self.mixes)][: self._count]
        if not mixes and self.mixes:
            ranked = sorted(self.mixes, key=lambda mix: (-fmean(accuracy.get(model, 0.0) for model in mix), mix))
            places = np.linspace(0, len(ranked) - 1, min(self._count, len(ranked))).round()
            mixes = [ranked[int(place)] for place in places]
        found: dict[Point, None] = {}
        for mix in mixes:
            weakest = mix.index(min(mix, key=lambda model: accuracy.get(model, 0.0)))
            for models in (mix, (*mix[:weakest], *mix[weakest + 1 :])):
                if models and (point := self._point(models)) is not None:
                    found[point] = None
        return tuple(found)

    def logits(self, best: Point) -> dict[int, list[float]]:
        """Where a policy starts: as many places as the best pilot has, and models as often as it has them."""
        graph, models = self._space.graph(best), self._space.topology.models
        often = np.log([sum(place.model == model for place in graph) + 0.5 for model in models])
        found: dict[int, list[float]] = {}
        for number, axis in enumerate(self._space.axes):
            match axis.name.split("."):
                case ["topology", place, "role"]:
                    absent = -1.0 if int(place) <= len(graph) else 1.0
                    found[number] = [absent] + [0.0] * len(self._space.topology.roles)
                case ["topology", _, "model"]:
                    found[number] = [float(each - often[0]) for each in often]
        return found
