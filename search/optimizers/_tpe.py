"""``tpe``: Optuna's tree-structured Parzen estimator over full evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from archloom.graphs import Objective
from archloom.nodes import Spec
from archloom.search._objective import front_costs, limits
from archloom.search._space import Axis, Point, Space
from archloom.search.optimizers._history import FullEvaluations
from archloom.search.optimizers._registry import register_optimizer

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_REASKS = 20


class TPEOptions(Spec):
    """Options of ``tpe``."""

    startup: Annotated[int, Field(ge=1)] = 10
    """Random configurations before the estimator begins."""


@register_optimizer("tpe")
class TPE(FullEvaluations):
    """Full evaluations of configurations that Optuna's TPE proposes; limits are its constraints.

    The study is built anew from the cells at each step, so a resumed search proposes what it would have proposed.
    """

    Options: ClassVar[type[Spec]] = TPEOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        super().__init__(space, task_ids, objective, seed=seed)
        self._startup = TPEOptions.model_validate(options.model_dump()).startup

    def _next(self) -> Point | None:
        rng = self._rng()
        for point in self._proposals(int(rng.integers(2**31))):
            if self.space.valid(point) and self.space.key(point) not in self._asked:
                return self.space.normal(point)
        return self._unseen(rng)

    def _proposals(self, seed: int) -> Iterator[Point]:
        """What the estimator wants next; each proposal that is not taken makes the next one look elsewhere."""
        import optuna

        measures = ("score", *front_costs(self.objective))
        with _quiet():
            study = optuna.create_study(
                sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=self._startup),
                directions=["maximize" if measure == "score" else "minimize" for measure in measures],
            )
        distributions = {axis.name: _distribution(axis) for axis in self.space.axes}
        study.add_trials(self._trials(distributions))
        for _ in range(_REASKS):
            params = study.ask(distributions).params
            yield tuple(int(params[axis.name]) for axis in self.space.axes)

    def _trials(self, distributions: dict[str, BaseDistribution]) -> list[FrozenTrial]:
        """The evaluations so far, in Optuna's words."""
        from optuna.trial import create_trial

        configs, costs = self.cells.configs, front_costs(self.objective)
        means = self.cells.means(configs)
        return [
            create_trial(
                params=dict(zip(distributions, self.space.point(config), strict=True)),
                distributions=distributions,
                values=[float(means[measure][row]) for measure in ("score", *costs)],
                constraints={
                    measure: float(means[measure][row]) - limit for measure, limit in limits(self.objective).items()
                },
            )
            for row, config in enumerate(configs)
        ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Optuna from announcing a study at every step, and leaves its verbosity as the user set it."""
    from optuna.logging import WARNING, get_verbosity, set_verbosity

    before = get_verbosity()
    set_verbosity(WARNING)
    try:
        yield
    finally:
        set_verbosity(before)


def _distribution(axis: Axis) -> BaseDistribution:
    """Indices of options: integers in order for an ordered axis, categories otherwise."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    last = len(axis.options) - 1
    return IntDistribution(0, last) if axis.ordered else CategoricalDistribution(range(last + 1))
