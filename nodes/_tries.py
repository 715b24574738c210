"""How often it pays to try again when a verifier that errs says no."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """A kind of task, as resampling sees it.

    Attributes:
        share: How common it is among the tasks.
        right: P(a single sample is right).
    """

    share: float
    right: float


def tries_worth(
    kinds: Sequence[Difficulty],
    *,
    hit: float,
    false_alarm: float,
    value_right: float = 1.0,
    value_wrong: float = -1.0,
    cost: float = 0.0,
    limit: int = 1000,
) -> int:
    """The number of tries after which to give up: for ``rounds`` of ``library/imperfect_verifier``.

    Each try draws an answer and has it verified; the first that is accepted is given, right or wrong. Every rejection
    makes it likelier that the task is one of those that the model cannot solve, on which what is accepted at last is
    mostly wrong; a try is worth making while its expected value is positive (Stroebl et al., Inference Scaling fLaws,
    2024). Tries of one task are taken to be independent, which is optimistic: the same wrong idea passes again.

    Args:
        kinds: The kinds of tasks there are.
        hit: P(the verifier accepts a right answer).
        false_alarm: P(it accepts a wrong one).
        value_right: What a right answer is worth.
        value_wrong: What a wrong one is worth, most often less than nothing; saying nothing is worth 0.
        cost: What one try costs, in the same unit.
        limit: The most tries.

    Returns:
        0 when it is best not to try at all.
    """
    value = best = 0.0
    tries = 0
    for attempt in range(1, limit + 1):
        value += math.fsum(
            kind.share
            * _rejected(kind, hit, false_alarm) ** (attempt - 1)
            * (value_right * hit * kind.right + value_wrong * false_alarm * (1 - kind.right) - cost)
            for kind in kinds
        )
        if value > best + 1e-12:
            best, tries = value, attempt
    return tries


def _rejected(kind: Difficulty, hit: float, false_alarm: float) -> float:
    return 1 - hit * kind.right - false_alarm * (1 - kind.right)
