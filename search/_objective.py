"""What a search is after: the score, within limits, or the front of score against costs.

The specification (:class:`Objective`) is part of the document, so it lives with the graphs; here is what it
means.
"""

from __future__ import annotations

from collections.abc import Mapping

from archloom.graphs import Measure, Objective


def limits(objective: Objective) -> dict[Measure, float]:
    """The limits on mean deployed cost per task that are set."""
    within = objective.within
    set_: dict[Measure, float | None] = {
        "tokens": within.tokens,
        "cost_usd": within.cost_usd,
        "latency_s": within.latency_s,
        "calls": within.calls,
    }
    return {measure: limit for measure, limit in set_.items() if limit is not None}


def front_costs(objective: Objective) -> tuple[Measure, ...]:
    """The costs that a wanted front trades against the score; empty when one configuration is wanted."""
    return tuple(measure for measure in objective.pareto if measure != "score")


def cost_measures(objective: Objective) -> tuple[Measure, ...]:
    """All costs that this objective looks at, those of the front first."""
    return tuple(dict.fromkeys([*front_costs(objective), *limits(objective)]))


def excess(objective: Objective, means: Mapping[Measure, float]) -> float:
    """How far mean costs lie above the limits: 0 within them, 0.5 when one is exceeded by half."""
    over = (means[measure] / limit - 1 for measure, limit in limits(objective).items())
    return max([0.0, *over])
