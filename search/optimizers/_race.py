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
from archloom.orchestrator import Cell
from archloom.search._space import Point, Space
from archloom.search.optimizers._base import Observation, Recommendation
from archloom.search.optimizers._beliefs import Draws, Learner
from archloom.search.optimizers._design import balanced_design
from archloom.search.optimizers._harvest import Harvest
from archloom.search.optimizers._history import POOL, History
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._rivals import Mask

_DIGITS = 9
_LEAST = 1e-300


class RaceOptions(Spec):
    """Options of ``race``."""

    batch: Annotated[int, Field(ge=1)] = 8
    """The most tasks observed at a time: half as many as the configuration was seen on before."""
    glance: Annotated[int, Field(ge=1)] = 2
    """The fewest tasks observed at a time: few turn down a dear newcomer for little, more keep more workers busy."""
    first_tasks: Annotated[int, Field(ge=1)] = 4
    """Tasks on which each configuration of the first, balanced design is observed."""
    regret: Annotated[float, Field(ge=0)] = 0.0005
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

    With each observation come the cells that cost nothing more, because all that they ask is asked already: fewer
    samples of the same pool, another vote over them, a part of the same graph.
    """

    Options: ClassVar[type[Spec]] = RaceOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        self._options = RaceOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, pool=self._options.pool)
        self._learner = Learner(space, objective, self.cells)
        self._harvest = Harvest(space, task_ids)

    @cached_property
    def _design(self) -> tuple[Point, ...]:
        return balanced_design(self.space, np.random.default_rng([self._seed, 0, 1]))

    def tell(self, cells: Sequence[Cell]) -> None:
        """Takes in cells, asked for or not; failed ones too.

        Raises:
            UnknownConfigurationError: a cell is of a configuration that the space does not know.
            UnknownTaskError: a cell is of a task that is not of this search.
        """
        super().tell(cells)
        for cell in cells:
            self._harvest.add(cell)

    def ask(self) -> list[Observation]:
        """The first tasks of a balanced design, then the next tasks of leader or challenger; and what is then free."""
        wanted, points = self._next()
        return [*wanted, *self._free(points, wanted)] if wanted else []

    def _free(self, points: tuple[Point, ...], wanted: Sequence[Observation]) -> list[Observation]:
        """Cells of these that need no sample beyond those of cells observed and wanted."""
        found = []
        for point, tasks in self._harvest.free(points, wanted):
            if new := [task for task in tasks if task not in self._asked.get(self.space.key(point), ())]:
                found.append(self._want(point, new))
        return found

    def _next(self) -> tuple[list[Observation], tuple[Point, ...]]:
        """What to pay for, and the candidates among which that was chosen."""
        points = self._candidates()
        first = self.cells.task_ids[: self._options.first_tasks]
        begun = [(point, [task for task in self._open_tasks(point) if task in first]) for point in self._design]
        if wanted := [self._want(point, tasks) for point, tasks in begun if tasks]:
            return wanted, points
        still_open = np.array([self._is_open(point) for point in points])
        if not still_open.any():
            return [], points
        row = self._pick(points, still_open) if len(self.cells) else int(still_open.argmax())
        if row is None:
            return [], points
        seen = self.cells.n_tasks(self.space.key(points[row]))
        more = min(self._options.batch, max(self._options.glance, seen // 2))
        return [self._want(points[row], self._open_tasks(points[row])[:more])], points

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
        rows = [row for row in _top_two(draws, rng) if still_open[row]]
        if not rows:
            # Both are fully observed: the open candidate that wins in most worlds may still change the choice.
            chance = np.where(still_open, draws.chances, -1.0)
            rows = np.flatnonzero(chance == chance.max()).tolist()
        # Two that were seen on the same tasks are often equally uncertain, and rounding must not choose between them.
        variance = np.diag(beliefs.score.value_cov(rows))
        return rows[int(np.round(variance / max(float(variance.max()), _LEAST), _DIGITS).argmax())]


def _top_two(draws: Draws, rng: np.random.Generator) -> list[int]:
    """A winner of the first world, and a winner of the first world that does not agree with it."""
    first = draws.winners(0)
    leader = _one(first, rng)
    for world in range(1, draws.scores.shape[1]):
        other = draws.winners(world) ^ first
        other[leader] = False
        if other.any():
            return [leader, _one(other, rng)]
    return [leader]


def _one(mask: NDArray[np.bool_], rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(mask)))
