"""Fronts: which configurations are beaten by no other, and how much a front covers.

Rows are configurations; the first column is the score and goes up, the others are costs and go down.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def non_dominated(values: ArrayLike) -> NDArray[np.bool_]:
    """For each row whether no other row is at least as good everywhere and better somewhere.

    Equal rows do not beat each other: both stay.
    """
    goods = _goods(values)
    front = np.zeros(len(goods), dtype=bool)
    left = np.arange(len(goods))
    while left.size:
        # The best by the first measure, ties by the next, is beaten by nothing left. Off goes what it beats.
        best = goods[left[np.lexsort(goods[left].T[::-1])[-1]]]
        equal = (goods[left] == best).all(axis=1)
        front[left[equal]] = True
        left = left[(goods[left] > best).any(axis=1)]
    return front


def hypervolume(values: ArrayLike, reference: Sequence[float]) -> float:
    """Volume between a front and a reference point: how much of all trade-offs the front covers.

    Exact, by slices along the last measure; meant for two or three measures and fronts of hundreds.

    Args:
        values: A row per configuration: score, then costs.
        reference: The worst values that still count: lowest score, then highest costs. Rows beyond it
            add nothing.
    """
    corner = _goods([reference])[0]
    return _volume(np.maximum(_goods(values) - corner, 0.0))


def covered(front: ArrayLike, everything: ArrayLike) -> float:
    """Share of all trade-offs that a front covers: its hypervolume when every measure goes from 0 to 1.

    Costs are divided by the highest one of ``everything``, so the reference point is a score of 0 at that cost.

    Args:
        front: A row per configuration: score between 0 and 1, then costs.
        everything: All configurations that are known, the front included.
    """
    dearest = np.atleast_2d(np.asarray(everything, dtype=np.float64))[:, 1:].max(axis=0)
    scale = np.append(1.0, np.where(dearest > 0, dearest, 1.0))
    rows = np.atleast_2d(np.asarray(front, dtype=np.float64)) / scale
    return hypervolume(rows, [0.0, *np.ones(len(dearest))])


def _goods(values: ArrayLike) -> NDArray[np.float64]:
    """The values with costs turned round, so that more is better in every column."""
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    return rows * np.where(np.arange(rows.shape[1]) == 0, 1.0, -1.0)


def _volume(boxes: NDArray[np.float64]) -> float:
    """Volume of the union of boxes that share the corner 0."""
    boxes = boxes[(boxes > 0).all(axis=1)]
    if boxes.shape[1] == 1:
        return float(boxes.max(initial=0.0))
    boxes = boxes[np.argsort(-boxes[:, -1], kind="stable")]
    heights = boxes[:, -1] - np.append(boxes[1:, -1], 0.0)
    return sum(float(height) * _volume(boxes[: row + 1, :-1]) for row, height in enumerate(heights) if height > 0)
