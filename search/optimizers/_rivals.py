"""Who may stand in for whom: a configuration is dropped only for one that the objective would take instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from archloom.graphs import Measure, Objective
from archloom.search._cells import Cells
from archloom.search._objective import Array, cost_measures, excess, front_costs

Mask = NDArray[np.bool_]


def means_on(cells: Cells, objective: Objective, configs: Sequence[str], columns: slice | Mask) -> dict[Measure, Array]:
    """Mean score, and means of all costs that the objective looks at, over some of the tasks.

    Args:
        cells: What was observed.
        objective: What is looked for.
        configs: Each of them was observed on at least one of these tasks.
        columns: The tasks, by their places in the common order.
    """
    seen = ~np.isnan(cells.matrix("score", configs)[:, columns])
    measures: tuple[Measure, ...] = ("score", *cost_measures(objective))
    return {
        measure: np.asarray(np.mean(cells.matrix(measure, configs)[:, columns], axis=1, where=seen))
        for measure in measures
    }


def no_dearer(objective: Objective, means: Mapping[Measure, Array]) -> Mask:
    """Whether the row's configuration costs no more than the column's, by every cost of the wanted front."""
    size = len(means["score"])
    cheaper = np.ones((size, size), dtype=bool)
    for measure in front_costs(objective):
        cheaper &= means[measure][:, None] <= means[measure]
    return cheaper


def may_replace(objective: Objective, means: Mapping[Measure, Array]) -> Mask:
    """Whether the row's configuration would be taken for the column's, were its score as good.

    It is within the limits and costs no more by any cost of the wanted front. Where only the score counts, any
    configuration may replace any other.
    """
    within = excess(objective, means) == 0
    return np.asarray(no_dearer(objective, means) & within[:, None])
