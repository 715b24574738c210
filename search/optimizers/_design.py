"""The first configurations of a race: few, and every option appears."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archloom.search._space import Point, Space

_SAMPLED = 512


def balanced_design(space: Space, rng: np.random.Generator) -> tuple[Point, ...]:
    """Distinct configurations in which each option of each axis appears, chosen greedily with ties at random.

    In a space too large to list they are chosen among random configurations, so an option that construction rules
    rarely let appear may be left out.
    """
    points = space.points() if space.listable else tuple(dict.fromkeys(space.sample(rng) for _ in range(_SAMPLED)))
    shows = _options_shown(space, points)
    times = np.zeros(shows.shape[1])
    chosen: list[int] = []
    while shows[:, times == 0].any():
        # An option not shown yet outweighs all others; the less shown ones balance the design.
        worth = np.where(times == 0, 1.0, 0.1 / (1 + times) / len(times))
        chosen.append(int(np.argmax(shows @ worth + 1e-6 * rng.random(len(points)))))
        times += shows[chosen[-1]]
    return tuple(points[row] for row in chosen)


def _options_shown(space: Space, points: tuple[Point, ...]) -> NDArray[np.float64]:
    """A row per point, a column per option of each axis: 1 where the option is chosen and matters."""
    chosen = np.array(points)
    active = np.array([space.active(point) for point in points])
    return np.concatenate(
        [
            np.eye(len(axis.options))[chosen[:, column]] * active[:, column, None]
            for column, axis in enumerate(space.axes)
        ],
        axis=1,
    )
