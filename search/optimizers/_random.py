"""``random``: the baseline every other optimizer has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import Space
from archloom.search.optimizers._history import FullEvaluations
from archloom.search.optimizers._registry import register_optimizer


class NoOptions(Spec):
    """An optimizer without options."""


@register_optimizer("random")
class RandomSearch(FullEvaluations):
    """Full evaluations of distinct random configurations, one at a time."""

    Options: ClassVar[type[Spec]] = NoOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        del options
        super().__init__(space, task_ids, objective, seed=seed)
