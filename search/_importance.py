"""Which choices of a space matter: how much of the differences between its configurations each explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archloom.search._space import Axis, Point, Space
from archloom.search._statistics import Interval
from archloom.search._two_way import Array
from archloom.search.optimizers._fit import fit_variances
from archloom.search.optimizers._posterior import Kernels, Posterior

_WHOLE = 1_000  # points up to which a space is looked at as a whole
_DRAWN = 500  # points drawn of a larger one: the work grows with their cube
_TRIES = 20
_FITTED_ON = 120  # configurations, those with most cells: more take minutes and tell no more of six variances
_DRAWS = 400


class Effect(NamedTuple):
    """What one choice does, or in a free topology one trait of graphs.

    Attributes:
        axis: The choice or trait.
        share: Share of the variance between configurations that it explains by itself, with a 95 % credible interval.
        best: Index of the option with the highest mean score.
        worst: Index of that with the lowest.
        gap: Mean score with the first minus that with the second, all other choices taken at random.
    """

    axis: Axis
    share: Interval
    best: int
    worst: int
    gap: Interval


@dataclass(frozen=True)
class _Grid:
    """Points that stand for the space, and which configuration each makes."""

    points: tuple[Point, ...]
    configurations: tuple[Point, ...]
    row: NDArray[np.intp]


def main_effects(space: Space, points: Sequence[Point], scores: ArrayLike) -> tuple[Effect, ...]:
    """The choices of a space by falling share of the variance that each explains.

    The decomposition is that of functional ANOVA (Hutter, Hoos and Leyton-Brown 2014): of the score as a function of
    the choices, each drawn uniformly, the share of an axis is the variance of its options' means over the whole
    variance; what is left are interactions. The function is known by the mixed model of the ``race`` optimizer, fitted
    to the observed cells, so that missing cells and configurations never looked at are allowed for: 400 functions are
    drawn from its posterior, shares are their medians and the intervals hold 95 % of them.

    In a free topology graphs are drawn at random, and what is listed are traits of them, such as how many nodes there
    are of a role. Their shares are correlation ratios (Pearson 1905) over those graphs. Traits go together, a graph
    with many fusers is large, so their shares overlap.

    Args:
        space: The space.
        points: Normal points that have been observed.
        scores: A row for each, a column per task, NaN where nothing was observed.

    Returns:
        Nothing where the construction rules forbid nearly all combinations, or fewer than two points were observed.
    """
    table = np.asarray(scores, dtype=np.float64)
    grid = _grid(space, points)
    if grid is None or len(points) < 2:
        return ()
    blocks = space.blocks
    rows = np.argsort(np.isnan(table).sum(axis=1), kind="stable")[:_FITTED_ON]
    variances = fit_variances(table[rows], Kernels.of(space.encode([points[row] for row in rows]), blocks))
    full = np.full((len(grid.configurations), table.shape[1]), np.nan)
    full[: len(points)] = table
    posterior = Posterior(full, Kernels.of(space.encode(grid.configurations), blocks), variances)
    functions = posterior.draw_levels(np.random.default_rng(0), _DRAWS).T[:, grid.row]
    whole = functions.var(axis=1)
    values = np.array([space.traits_of(point) for point in grid.points])
    effects = [
        _effect(axis, values[:, number], functions, whole)
        for number, axis in enumerate(space.traits)
        if len(np.unique(values[:, number])) > 1
    ]
    return tuple(sorted(effects, key=lambda effect: -effect.share.estimate))


def _grid(space: Space, observed: Sequence[Point]) -> _Grid | None:
    points = tuple(_points(space))
    if len(points) < 2:
        return None
    normal = [space.normal(point) for point in points]
    configurations = tuple(dict.fromkeys([*observed, *normal]))
    place = {point: row for row, point in enumerate(configurations)}
    return _Grid(points, configurations, np.array([place[point] for point in normal]))


def _points(space: Space) -> Iterator[Point]:
    """All valid points, or draws of them; options that do not matter count like any others, so that no axis leans."""
    sizes = [len(axis.options) for axis in space.axes]
    if space.size <= _WHOLE:
        yield from filter(space.valid, product(*map(range, sizes)))
        return
    found: dict[Point, None] = {}
    for point in space.scattered(np.random.default_rng(0), _TRIES * _DRAWN):
        found[point] = None
        if len(found) == _DRAWN:
            break
    yield from found


def _effect(axis: Axis, chosen: NDArray[np.intp], functions: Array, whole: Array) -> Effect:
    options, counts = np.unique(chosen, return_counts=True)
    means = np.column_stack([functions[:, chosen == option].mean(axis=1) for option in options])
    around = means - np.average(means, axis=1, weights=counts)[:, None]
    share = np.average(around**2, axis=1, weights=counts) / whole
    order = means.mean(axis=0).argsort()
    gap = means[:, order[-1]] - means[:, order[0]]
    return Effect(axis, _interval(share), int(options[order[-1]]), int(options[order[0]]), _interval(gap))


def _interval(draws: Array) -> Interval:
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return Interval(float(middle), float(low), float(high))
