"""``race``: the default optimizer. It observes tasks, not whole evaluations, where they may change the choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._space import Point, Space
from archloom.search.optimizers._base import Observation, Recommendation
from archloom.search.optimizers._beliefs import Draws, Learner
from archloom.search.optimizers._design import balanced_design
from archloom.search.optimizers._history import POOL, History
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._rivals import Mask

_DIGITS = 9
_LEAST = 1e-300


class RaceOptions(Spec):
    """Options of ``race``."""

    batch: Annotated[int, Field(ge=1)] = 8
    """Tasks observed at a time."""
    first_tasks: Annotated[int, Field(ge=1)] = 4
    """Tasks on which each configuration of the first, balanced design is observed."""
    regret: Annotated[float, Field(ge=0)] = 0.005
    """It stops when the expected loss of score against the unknown best is below this; 0 observes everything."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance, over the whole search, that the best configuration is dropped on paired evidence."""
    pool: Annotated[int, Field(ge=2)] = POOL
    """Candidates considered at a time when the space has more configurations."""


@register_optimizer("race")
class Race(History):
    """Observes the next few tasks of one of the two configurations that may be the best.

    A mixed model (``_posterior.py``) turns all cells into joint beliefs about all candidates. Leader and challenger
    come from top-two Thompson sampling (Russo 2020): the best of one possible world, and the best of the first other
    world that disagrees; where a front is wanted, two members of the two fronts that are not on both. The one whose
    value is less certain is observed on the next tasks of the common order. Cost is a limit or a side of the front,
    never a divisor: the best configurations are often the dear ones.
    """

    Options: ClassVar[type[Spec]] = RaceOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        self._options = RaceOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, pool=self._options.pool)
        self._learner = Learner(space, objective, self.cells)

    @cached_property
    def _design(self) -> tuple[Point, ...]:
        return balanced_design(self.space, np.random.default_rng([self._seed, 0, 1]))

    def ask(self) -> list[Observation]:
        """The first tasks of a balanced design, then the next tasks of leader or challenger."""
        first = self.cells.task_ids[: self._options.first_tasks]
        begun = [(point, [task for task in self._open_tasks(point) if task in first]) for point in self._design]
        if wanted := [self._want(point, tasks) for point, tasks in begun if tasks]:
            return wanted
        points = self._candidates()
        still_open = np.array([self._is_open(point) for point in points])
        if not still_open.any():
            return []
        row = self._pick(points, still_open) if len(self.cells) else int(still_open.argmax())
        if row is None:
            return []
        return [self._want(points[row], self._open_tasks(points[row])[: self._options.batch])]

    def recommend(self) -> Recommendation:
        """The configuration with the best expected score among those observed, and the front of expected means.

        Raises:
            NoEvidenceError: nothing has been observed.
        """
        configs = self.cells.configs
        if not configs:
            return self._recommended((), {})
        beliefs = self._learner.beliefs(tuple(self.space.point(config) for config in configs))
        return self._recommended(configs, beliefs.expected)

    def _pick(self, points: tuple[Point, ...], still_open: Mask) -> int | None:
        """Row of the candidate to observe next; None when the expected regret is small enough."""
        beliefs = self._learner.beliefs(points)
        configurations = len(self.space.points()) if self.space.listable else self.space.size
        alive = ~beliefs.dropped(rivals=configurations - 1, alpha=self._options.alpha)
        rng = self._rng()
        draws = beliefs.draw(rng, alive)
        if beliefs.regret(draws) < self._options.regret:
            return None
        # Two that were seen on the same tasks are often equally uncertain, and rounding must not choose between them.
        variance = np.diag(beliefs.score.value_cov)
        spread = np.round(variance / max(float(variance.max()), _LEAST), _DIGITS)
        pair = [row for row in _top_two(draws, rng) if still_open[row]]
        if pair:
            return max(pair, key=lambda row: float(spread[row]))
        # Both are fully observed: the open candidate that wins in most worlds may still change the choice.
        chance = draws.winners.mean(axis=1)
        return int(max(np.flatnonzero(still_open), key=lambda row: (chance[row], spread[row])))


def _top_two(draws: Draws, rng: np.random.Generator) -> list[int]:
    """A winner of the first world, and a winner of the first world that does not agree with it."""
    first = draws.winners[:, 0]
    leader = _one(first, rng)
    for world in draws.winners.T[1:]:
        other = world ^ first
        other[leader] = False
        if other.any():
            return [leader, _one(other, rng)]
    return [leader]


def _one(mask: NDArray[np.bool_], rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(mask)))
