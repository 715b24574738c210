"""Stopping rules: when more samples would hardly change what most of them say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from archloom.nodes._node import Spec

Rule: TypeAlias = Literal["beta", "dirichlet", "share", "entropy"]
Counts: TypeAlias = Sequence[int]
"""How many samples gave each answer, the most frequent first; not empty."""

_MOST_ANSWERS = 5
_SLICES = 400


class Stopping(Spec):
    """When to stop drawing (Aggarwal et al., Let's Sample Step by Step, 2023)."""

    rule: Rule = "beta"
    """``beta``: probability that the leading answer beats the second; ``dirichlet``: that it beats all others;
    ``share``: its share of the answers; ``entropy``: normalised entropy of the answers, which must not exceed the
    threshold."""
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """Where to stop; 0.95 for the probabilities, 0.8 for a share and 0.75 for the entropy when left out."""
    least: Annotated[int, Field(ge=1)] = 4
    """Samples drawn before the first look, all at once."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Samples drawn between two looks; more are faster and cost more."""

    def reached(self, counts: Counts) -> bool:
        """Whether these counts are enough; never without an answer."""
        if not counts:
            return False
        ordered = sorted(counts, reverse=True)
        measure, default = _RULES[self.rule]
        threshold = default if self.threshold is None else self.threshold
        value = measure(ordered)
        return value <= threshold + 1e-9 if self.rule == "entropy" else value >= threshold - 1e-9


def beats_second(counts: Counts) -> float:
    """P(X > 1/2) for X ~ Beta(a + 1, b + 1), of the two leading counts: exact, as a sum of binomials."""
    first, second = counts[0], counts[1] if len(counts) > 1 else 0
    tosses = first + second + 1
    return sum(math.comb(tosses, heads) for heads in range(first + 1)) / (1 << tosses)


def beats_all(counts: Counts) -> float:
    """P(the leading answer is the likeliest) when the shares have a Dirichlet(counts + 1) posterior, of the first five.

    With independent gamma variables of these shapes it is the integral of the leader's density times the others'
    distribution functions; shapes are whole numbers, so both are finite sums. Simpson's rule on 400 slices.
    """
    shapes = [count + 1 for count in counts[:_MOST_ANSWERS]]
    if len(shapes) < 2:
        return beats_second(counts)
    leader, others = shapes[0], shapes[1:]
    end = leader + 12 * math.sqrt(leader) + 12
    width = end / _SLICES
    total = 0.0
    for step in range(1, _SLICES + 1):
        x = step * width
        density = math.exp((leader - 1) * math.log(x) - x - math.lgamma(leader))
        weight = 1 if step == _SLICES else 4 if step % 2 else 2
        total += weight * density * math.prod(_gamma_below(x, shape) for shape in others)
    return min(1.0, total * width / 3)


def leading_share(counts: Counts) -> float:
    """Share of the leading answer."""
    return counts[0] / sum(counts)


def entropy(counts: Counts) -> float:
    """Entropy of the shares over that of equal shares; a single answer is taken to have one against it."""
    full = counts if len(counts) > 1 else [*counts, 1]
    whole = sum(full)
    return -sum(count / whole * math.log(count / whole) for count in full) / math.log(len(full))


_RULES: Mapping[Rule, tuple[Callable[[Counts], float], float]] = {
    "beta": (beats_second, 0.95),
    "dirichlet": (beats_all, 0.95),
    "share": (leading_share, 0.8),
    "entropy": (entropy, 0.75),
}


def _gamma_below(x: float, shape: int) -> float:
    """P(G <= x) for G ~ Gamma(shape, 1) with a whole number as shape."""
    term = below = math.exp(-x)
    for k in range(1, shape):
        term *= x / k
        below += term
    return 1 - below
