"""``nsga2``: Optuna's genetic algorithm for fronts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import Space
from archloom.search.optimizers._evaluations import StudyOptions
from archloom.search.optimizers._optuna import OptunaSearch
from archloom.search.optimizers._registry import register_optimizer

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class NSGA2Options(StudyOptions):
    """Options of ``nsga2``."""

    population: Annotated[int, Field(ge=2)] = 10
    """Configurations of a generation; the first one is random."""


@register_optimizer("nsga2")
class NSGA2(OptunaSearch):
    """Full evaluations of configurations that Optuna's NSGA-II breeds (Deb et al. 2002); limits are its constraints.

    Parents are the best of a generation and of its own parents, by fronts and then by how alone they stand. A
    generation has 10 members where Optuna's has 50: evaluations over tasks are dear, and few generations fit into a
    budget. A child that was evaluated before is bred anew.
    """

    Options: ClassVar[type[Spec]] = NSGA2Options

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        chosen = NSGA2Options.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, options=chosen)
        self._population = chosen.population

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=self._population)

    def _attributes(self, number: int) -> dict[str, int]:
        # The sampler tells generations apart by this note; trials that are added from outside come without it.
        return {"NSGAIISampler:generation": number // self._population}
