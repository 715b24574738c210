"""Candidates of a space that is too large to list: edits of what looks best, and what nobody has looked at."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from archloom.search._space import Point, Space

_MUTATED = 0.5
"""Share of the proposals that are edits of good configurations; the others explore."""
_TRIES = 4


def propose(
    space: Space, best: Sequence[Point], count: int, rng: np.random.Generator, *, known: Container[Point] = ()
) -> tuple[Point, ...]:
    """Configurations to look at next, up to ``count``, none of them known.

    Half are mutations of the best, each in its turn, a third of these mutated twice; the others are random. Where
    there is no best one, all are random.

    Args:
        space: What is searched.
        best: The front, or the few best; the first ones get one more turn.
        count: How many are wanted; fewer come where the space has no more.
        rng: Where randomness comes from.
        known: What is not proposed.
    """
    found: dict[Point, None] = {}
    mutated = round(_MUTATED * count) if best else 0
    for turn in range(_TRIES * count):
        if len(found) >= count:
            break
        if len(found) < mutated and turn < _TRIES * mutated:
            point = space.mutate(best[turn % len(best)], rng)
            point = space.mutate(point, rng) if rng.random() < 1 / 3 else point
        else:
            point = space.sample(rng)
        if point not in known:
            found[point] = None
    return tuple(found)
