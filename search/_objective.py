"""What a search is after: the score, within limits, or the front of score against costs.

The specification (:class:`Objective`) is part of the document, so it lives with the graphs; here is what it
means.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from archloom.graphs import Measure, Objective
from archloom.search._pareto import non_dominated

Array = NDArray[np.float64]


def limits(objective: Objective) -> dict[Measure, float]:
    """The limits on mean deployed cost per task that are set."""
    within = objective.within
    set_: dict[Measure, float | None] = {
        "tokens": within.tokens,
        "cost_usd": within.cost_usd,
        "latency_s": within.latency_s,
        "calls": within.calls,
        "flops": within.flops,
        "memory_bytes": within.memory_bytes,
    }
    return {measure: limit for measure, limit in set_.items() if limit is not None}


def front_costs(objective: Objective) -> tuple[Measure, ...]:
    """The costs that a wanted front trades against the score; empty when one configuration is wanted."""
    return tuple(measure for measure in objective.pareto if measure != "score")


def cost_measures(objective: Objective) -> tuple[Measure, ...]:
    """All costs that this objective looks at, those of the front first."""
    return tuple(dict.fromkeys([*front_costs(objective), *limits(objective)]))


def excess(objective: Objective, means: Mapping[Measure, Array]) -> Array:
    """How far each configuration's mean costs lie above the limits: 0 within them, 0.5 when one is exceeded by half.

    Args:
        objective: What is looked for.
        means: An array per measure, an entry per configuration.
    """
    over = [means[measure] / limit - 1 for measure, limit in limits(objective).items()]
    return np.asarray(np.max([np.zeros_like(means["score"]), *over], axis=0))


def best_rows(objective: Objective, means: Mapping[Measure, Array]) -> list[int]:
    """The configurations to stand by: the front by falling score, or the one best configuration.

    Those within the limits are compared; if there are none, those nearest to them.

    Args:
        objective: What is looked for.
        means: An array per measure, an entry per configuration; at least one entry.
    """
    over = excess(objective, means)
    allowed = np.flatnonzero(over == over.min())
    allowed = allowed[np.argsort(-means["score"][allowed], kind="stable")]
    costs = front_costs(objective)
    if not costs:
        return [int(allowed[0])]
    values = np.column_stack([means[measure][allowed] for measure in ("score", *costs)])
    return [int(row) for row in allowed[non_dominated(values)]]
