"""``tpe``: Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import Space
from archloom.search.optimizers._evaluations import PruningOptions
from archloom.search.optimizers._optuna import OptunaSearch
from archloom.search.optimizers._registry import register_optimizer

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class TPEOptions(PruningOptions):
    """Options of ``tpe``."""

    startup: Annotated[int, Field(ge=1)] = 10
    """Random configurations before the estimator begins."""


@register_optimizer("tpe")
class TPE(OptunaSearch):
    """Evaluations of configurations that Optuna's TPE proposes (Bergstra et al. 2011); limits are its constraints.

    The study is built anew from the cells at each step, so a resumed search proposes what it would have proposed.
    With ``hyperband`` the estimator learns from the evaluations of all brackets; within Optuna, from those of one.
    """

    Options: ClassVar[type[Spec]] = TPEOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        chosen = TPEOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, options=chosen)
        self._startup = chosen.startup

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, n_startup_trials=self._startup)
