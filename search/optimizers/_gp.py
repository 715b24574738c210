"""``gp``: Bayesian optimization with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import Point, Space
from archloom.search.optimizers._evaluations import Evaluations, StudyOptions
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._surrogate import most_promising


class GPOptions(StudyOptions):
    """Options of ``gp``."""

    startup: Annotated[int, Field(ge=1)] = 10
    """Random configurations before the process is asked."""


@register_optimizer("gp")
class GP(Evaluations):
    """Full evaluations of the configuration that a Gaussian process expects to improve most on those before it.

    The process and its expected improvement are in ``_surrogate.py``; limits and fronts too. Optuna's own sampler of
    this kind needs PyTorch, far more than a few matrices of the size of a search's evaluations.
    """

    Options: ClassVar[type[Spec]] = GPOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        chosen = GPOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, options=chosen)
        self._startup = chosen.startup

    def _next(self) -> Point | None:
        rng, configs = self._rng(), self.cells.configs
        left = [point for point in self._candidates() if self.space.key(point) not in self._asked]
        if len(configs) < self._startup or not left:
            return self._unseen(rng)
        seen = [self.space.point(config) for config in configs]
        return most_promising(self.space, self.objective, seen, self.cells.means(configs), left, rng)
