"""Optuna's samplers behind our door: the study is built anew from the cells at each step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from archloom.search._objective import front_costs, limits
from archloom.search._space import Axis, Point
from archloom.search.optimizers._evaluations import Evaluations
from archloom.search.optimizers._quiet import quiet

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_REASKS = 20


class OptunaSearch(Evaluations):
    """Evaluations of configurations that an Optuna sampler proposes; limits are its constraints.

    What a sampler proposes is a function of the cells and of a seed for this step, so a resumed search proposes what
    it would have proposed. A configuration that was there before is not evaluated again: the sampler is asked once
    more, and after twenty times a random new one is taken.
    """

    @abstractmethod
    def _sampler(self, seed: int) -> BaseSampler:
        """The sampler for the next proposal."""

    def _next(self) -> Point | None:
        rng = self._rng()
        for point in self._proposals(int(rng.integers(2**31))):
            if self.space.valid(point) and self.space.key(point) not in self._asked:
                return self.space.normal(point)
        return self._unseen(rng)

    def _proposals(self, seed: int) -> Iterator[Point]:
        """What the sampler wants next; each proposal that is not taken makes the next one look elsewhere."""
        import optuna

        measures = ("score", *front_costs(self.objective))
        with quiet():
            study = optuna.create_study(
                sampler=self._sampler(seed),
                directions=["maximize" if measure == "score" else "minimize" for measure in measures],
            )
        distributions = {axis.name: _distribution(axis) for axis in self.space.axes}
        study.add_trials(self._trials(distributions))
        for _ in range(_REASKS):
            params = study.ask(distributions).params
            yield tuple(int(params[axis.name]) for axis in self.space.axes)

    def _trials(self, distributions: dict[str, BaseDistribution]) -> list[FrozenTrial]:
        """The evaluations so far, in Optuna's words."""
        from optuna.trial import TrialState, create_trial

        configs, costs = self.cells.configs, front_costs(self.objective)
        means = self.cells.means(configs)
        trials = []
        for row, config in enumerate(configs):
            # Optuna knows no pruned trials where a front is wanted: they count with the means that they had.
            pruned = self._given_up(config) and not costs
            score = float(means["score"][row])
            trials.append(
                create_trial(
                    state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                    params=dict(zip(distributions, self.space.point(config), strict=True)),
                    distributions=distributions,
                    values=None if pruned else [score, *(float(means[measure][row]) for measure in costs)],
                    intermediate_values={self.cells.n_tasks(config): score} if pruned else {},
                    constraints={
                        measure: float(means[measure][row]) - limit for measure, limit in limits(self.objective).items()
                    },
                    system_attrs=self._attributes(row),
                )
            )
        return trials

    def _attributes(self, number: int) -> dict[str, int]:
        """What the sampler itself would have noted at the trial of this number."""
        del number
        return {}


def _distribution(axis: Axis) -> BaseDistribution:
    """Indices of options: integers in order for an ordered axis, categories otherwise."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    last = len(axis.options) - 1
    return IntDistribution(0, last) if axis.ordered else CategoricalDistribution(range(last + 1))
