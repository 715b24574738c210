"""``reinforce``: GPTSwarm's policy gradient over edges, and over roles, models and every other choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, JsonValue

from archloom.graphs import Measure, Objective
from archloom.nodes import Spec
from archloom.orchestrator import Cell
from archloom.search._objective import Array, cost_measures, excess
from archloom.search._space import Point, Space
from archloom.search.optimizers._base import Observation, Recommendation
from archloom.search.optimizers._history import History
from archloom.search.optimizers._policy import Policy, Trial
from archloom.search.optimizers._registry import register_optimizer

_REDRAWS = 50
_PRIOR_TASKS = 8
"""So many tasks' worth of the mean of all configurations are added to what was seen of one."""
_MOMENTUM = 0.9


class ReinforceOptions(Spec):
    """Options of ``reinforce``."""

    graphs: Annotated[int, Field(ge=1)] = 4
    """Configurations drawn for each step of the policy."""
    tasks: Annotated[int, Field(ge=1)] = 8
    """Tasks that a drawn configuration is observed on: its next ones in the common order."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Adam's."""
    baseline: Literal["none", "moving"] = "moving"
    """What is taken off every reward: nothing, as published, or a moving average of the rewards before."""


class PolicySearch(History):
    """An optimizer that draws configurations from a policy and observes each on some tasks.

    The policy is computed anew from the cells in the order in which they were told, so a resumed search draws what it
    would have drawn.
    """

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: ReinforceOptions
    ) -> None:
        super().__init__(space, task_ids, objective, seed=seed)
        self._graphs, self._tasks, self._rate = options.graphs, options.tasks, options.learning_rate
        self._moving = options.baseline == "moving"

    def ask(self) -> list[Observation]:
        """The next tasks of some configurations drawn from the policy; empty when it draws only what is known."""
        points: dict[Point, None] = {}
        for point in islice(self._draws(self._rng()), _REDRAWS * self._graphs):
            if self._is_open(point):
                points[point] = None
            if len(points) == self._graphs:
                break
        return [self._want(point, self._open_tasks(point)[: self._tasks]) for point in points]

    def recommend(self) -> Recommendation:
        """The configuration with the best score, what was not observed of it expected between its mean and all others'.

        Raises:
            NoEvidenceError: nothing has been observed.
        """
        configs = self.cells.configs
        return self._recommended(configs, self._expected(configs) if configs else {})

    def published(self) -> dict[str, JsonValue]:
        """What the paper's rule would return: the likeliest option of each axis, an edge where p > 0.5.

        It may break a construction rule, and nothing may have been observed of it, so it is logged and not recommended.
        """
        modes = self._policy().modes
        known = self.space.valid(modes)
        return {
            "likeliest": self.space.words(self.space.normal(modes)) if known else None,
            "chances": self._policy().named(),
        }

    def _draws(self, rng: np.random.Generator) -> Iterator[Point]:
        """Configurations drawn from the policy as it is now, without an end."""
        chances = self._policy().chances
        while True:
            yield self.space.draw(chances, rng)

    def _expected(self, configs: Sequence[str]) -> dict[Measure, Array]:
        means = self.cells.means(configs)
        seen = np.array([self.cells.n_tasks(config) for config in configs])
        whole = len(self.cells.task_ids)
        guess = (seen * means["score"] + _PRIOR_TASKS * means["score"].mean()) / (seen + _PRIOR_TASKS)
        return means | {"score": (seen * means["score"] + (whole - seen) * guess) / whole}

    def _policy(self) -> Policy:
        """The policy after all that was told."""
        policy = Policy(self.space, learning_rate=self._rate)
        for trials, baseline in self._steps(self._trials()):
            policy.learn(trials, baseline)
        return policy

    def _steps(self, trials: Iterator[Trial]) -> Iterator[tuple[list[Trial], float]]:
        """The trials of each whole step, and the baseline that was known before it."""
        moving: float | None = None
        while len(step := list(islice(trials, self._graphs))) == self._graphs:
            mean = float(np.mean([trial.reward for trial in step]))
            yield step, (mean if moving is None else moving) if self._moving else 0.0
            moving = mean if moving is None else _MOMENTUM * moving + (1 - _MOMENTUM) * mean

    def _trials(self) -> Iterator[Trial]:
        """What was drawn and told so far: up to so many cells of one configuration in a row are one trial."""
        for config, run in groupby(self.cells, key=lambda cell: cell.config):
            while chunk := list(islice(run, self._tasks)):
                yield Trial(self.space.point(config), self._reward(chunk))

    def _reward(self, cells: Sequence[Cell]) -> float:
        """Mean score, less by how far the costs exceed their limits."""
        measures: tuple[Measure, ...] = ("score", *cost_measures(self.objective))
        means = {each: np.array([np.mean([cell.measure(each) for cell in cells])]) for each in measures}
        return float((means["score"] - excess(self.objective, means))[0])


@register_optimizer("reinforce")
class Reinforce(PolicySearch):
    """Draws configurations from a policy and moves it towards those that score well (GPTSwarm, Zhuge et al., 2024).

    Each choice has its own chances: an edge is a Bernoulli variable, a role, a model or any other hole a categorical
    one; they are drawn in a fixed order. Four configurations make a step of Adam. The published rule returns edges with
    p > 0.5, whatever was seen of that graph; here that graph goes into the log, and the recommendation is the
    configuration with the best evidence, as in every other optimizer.
    """

    Options: ClassVar[type[Spec]] = ReinforceOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        chosen = ReinforceOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, options=chosen)
