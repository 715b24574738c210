"""Prune: drops lines of thought that the model itself found unlikely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._selection import worth
from archloom.nodes._task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_FEWEST = 8
_BOUNDS = ((0.2, 0.8), *[(0.01, None)] * 4)
_START = (0.5, 1.0, 1.0, 1.5, 2.0)
"""Weight of the first component, then shape and scale of each."""


@register("prune")
class Prune(Node):
    """Drops candidates whose probability is more like that of the unlikely ones (reasoning pruning).

    Zhou et al., Bridging Internal Probability and Self-Consistency, 2025. A mixture of two Weibull distributions is
    fitted to exp(mean token log-probability). What more likely belongs to the component with the smaller mean, and is
    also below the average, is dropped; so never all are. Of candidates with the same text one is kept, because
    probability must not be summed twice: follow it by a ``vote`` with ``weight: logprob``.

    With fewer than 8 different texts, equal probabilities or a fit that fails, none is dropped for its probability
    and the log says ``not_pruned``; so it does where log-probabilities are missing. Cost: no calls; the generator must
    ask for ``logprobs``.
    """

    type: Literal["prune"] = "prune"
    """Drops unlikely lines of thought."""

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Fits and drops."""
        by_text: dict[str, Candidate] = {}
        for each in given:
            by_text.setdefault(each.text, each)
        distinct = tuple(by_text.values())
        logprobs = [worth(each, "logprob") for each in distinct]
        likely = [math.exp(known) for known in logprobs if known is not None]
        if len(likely) < len(distinct):
            ctx.note("not_pruned", why="log-probabilities are missing", candidates=len(distinct) - len(likely))
            return distinct
        kept = plausible(likely)
        if kept is None:
            ctx.note("not_pruned", why="too few, too alike, or no fit", candidates=len(distinct))
            return distinct
        ctx.note("pruned", candidates=kept.count(False))
        return tuple(each for each, keep in zip(distinct, kept, strict=True) if keep)


def plausible(likely: Sequence[float]) -> list[bool] | None:
    """Which of these probabilities belong to the likely component or are above average; ``None`` without a fit."""
    import numpy as np
    from scipy.optimize import minimize  # takes longer to import than a document without it takes to check

    values = np.asarray(likely)
    if len(values) < _FEWEST or np.ptp(values) < 1e-9:
        return None

    def surprise(parameters: Floats) -> tuple[float, Floats]:
        """Negative logarithm of the likelihood, and its gradient."""
        weight, shapes = parameters[0], parameters[1:]
        parts = [_weibull(values, *shapes[:2]), _weibull(values, *shapes[2:])]
        shares = np.array([weight * parts[0].density, (1 - weight) * parts[1].density])
        mixed = shares.sum(axis=0)
        slopes = [((shares[i] / mixed) * parts[i].slopes).sum(axis=1) for i in (0, 1)]
        by_weight = ((parts[0].density - parts[1].density) / mixed).sum()
        return -float(np.log(mixed).sum()), -np.array([by_weight, *slopes[0], *slopes[1]])

    fit = minimize(surprise, _START, method="L-BFGS-B", bounds=_BOUNDS, jac=True, tol=1e-6)
    if not fit.success or not np.isfinite(fit.x).all():
        return None
    weight, shapes = fit.x[0], fit.x[1:]
    first = weight * _weibull(values, *shapes[:2]).density
    second = (1 - weight) * _weibull(values, *shapes[2:]).density
    high, low = (first, second) if _mean(*shapes[:2]) >= _mean(*shapes[2:]) else (second, first)
    return [bool(keep) for keep in (high >= low) | (values >= values.mean())]


class _Component(NamedTuple):
    """Density at each value, and the derivatives of its logarithm by shape and scale."""

    density: Floats
    slopes: Floats


def _weibull(values: Floats, shape: float, scale: float) -> _Component:
    import numpy as np

    logs = np.log(values / scale)
    powers = np.exp(np.minimum(shape * logs, 50.0))
    density = np.maximum(shape / scale * np.exp((shape - 1) * logs - powers), 1e-300)
    return _Component(density, np.array([1 / shape + logs * (1 - powers), shape / scale * (powers - 1)]))


def _mean(shape: float, scale: float) -> float:
    return float(scale) * math.gamma(1 + 1 / float(shape))
