"""``random``: the baseline every other optimizer has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import Space
from archloom.search.optimizers._evaluations import Evaluations, PruningOptions
from archloom.search.optimizers._registry import register_optimizer


class RandomOptions(PruningOptions):
    """Options of ``random``."""


@register_optimizer("random")
class RandomSearch(Evaluations):
    """Evaluations of distinct random configurations, one at a time."""

    Options: ClassVar[type[Spec]] = RandomOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        chosen = RandomOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, options=chosen)
