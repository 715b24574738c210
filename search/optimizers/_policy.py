"""A policy over the choices of a space: independent chances on each axis, moved by REINFORCE with Adam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from archloom.search._space import Point, Space

Array = NDArray[np.float64]
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class Trial(NamedTuple):
    """A configuration that was tried, and how good it looked.

    Attributes:
        point: The configuration.
        reward: What is to be as high as possible.
    """

    point: Point
    reward: float


class Policy:
    """Chances of each option of each axis, as logits.

    Of two options the first has the logit 0, so a yes/no axis is a Bernoulli variable with one logit, as in GPTSwarm
    (Zhuge et al., 2024); of more, each has its own.

    Args:
        space: What is chosen from.
        learning_rate: Adam's.
        learns: The axes that move; by default all.
    """

    def __init__(self, space: Space, *, learning_rate: float, learns: Sequence[int] | None = None) -> None:
        self._space, self._rate = space, learning_rate
        sizes = np.array([len(axis.options) for axis in space.axes])
        options = np.arange(sizes.max())
        self._offered = options < sizes[:, None]
        self._free = self._offered & ~((sizes[:, None] <= 2) & (options == 0))
        if learns is not None:
            self._free &= np.isin(np.arange(len(sizes)), learns)[:, None]
        self.logits = np.zeros(self._offered.shape)
        self._first, self._second, self._steps = np.zeros_like(self.logits), np.zeros_like(self.logits), 0

    @property
    def _table(self) -> Array:
        shifted = np.where(self._offered, self.logits, -np.inf)
        weights = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    @property
    def chances(self) -> list[Array]:
        """For each axis the probability of each option."""
        return [row[offered] for row, offered in zip(self._table, self._offered, strict=True)]

    @property
    def modes(self) -> Point:
        """The likeliest option of each axis; a yes/no axis is yes where its probability is above one half."""
        return tuple(int(np.argmax(row)) for row in self.chances)

    def learn(self, trials: Sequence[Trial], baseline: float = 0.0) -> None:
        """One step of gradient ascent on the mean of ``(reward - baseline) * log probability``.

        Choices that do not matter for a configuration were not made, and do not count.
        """
        table, gradient = self._table, np.zeros_like(self.logits)
        for point, reward in trials:
            active = np.array(self._space.active(point))
            chosen = np.eye(table.shape[1])[list(point)]
            gradient += (reward - baseline) * (chosen - table) * active[:, None] / len(trials)
        gradient = np.where(self._free, gradient, 0.0)
        self._steps += 1
        self._first = _BETA1 * self._first + (1 - _BETA1) * gradient
        self._second = _BETA2 * self._second + (1 - _BETA2) * gradient**2
        first, second = self._first / (1 - _BETA1**self._steps), self._second / (1 - _BETA2**self._steps)
        self.logits = self.logits + self._rate * first / (np.sqrt(second) + _EPSILON)

    def believe(self, chances: Mapping[int, Sequence[float]]) -> None:
        """Replaces the chances of some axes that may move; each option keeps a chance of 1% at least."""
        for axis, own in chances.items():
            if self._free[axis].any():
                logits = np.log(np.maximum(np.array(own) / np.sum(own), 0.01))
                self.logits[axis, : len(own)] = logits - (logits[0] if len(own) <= 2 else logits.mean())

    def named(self) -> dict[str, JsonValue]:
        """The chances by the name of the axis, rounded."""
        return {
            axis.name: [round(float(chance), 3) for chance in own]
            for axis, own in zip(self._space.axes, self.chances, strict=True)
        }

    def start(self, logits: Mapping[int, Sequence[float]]) -> None:
        """Puts some axes where they are to begin."""
        for axis, own in logits.items():
            self.logits[axis, : len(own)] = np.array(own) - (own[0] if len(own) <= 2 else 0.0)
