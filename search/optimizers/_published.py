"""Searches in Optuna's storages, where optuna-dashboard and other tools read them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from archloom.graphs import Objective
from archloom.search._cells import Cells
from archloom.search._objective import front_costs, limits
from archloom.search._space import Space
from archloom.search.errors import OptimizerOptionsError
from archloom.search.optimizers._quiet import quiet

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_POINTS = 10  # of a learning curve; a database pays for each


class PublishedStudy:
    """A study in a storage, to which each evaluation is added when it ends.

    It is written and never read back: a search goes on from its cells, whatever became of the storage. The name of
    the study is a digest of the search, so the same search adds to the same study and another one does not.

    Args:
        storage: A database as Optuna names it, such as ``sqlite:///search.db``, or the path of a journal file.
        name: Of the optimizer; the study's name begins with it.
        identity: What else makes this search another one: its seed and options.
        space: What it chooses from.
        cells: What it was told.
        objective: What it looks for.

    Raises:
        OptimizerOptionsError: the storage cannot be opened.
    """

    def __init__(
        self, storage: str, name: str, identity: str, *, space: Space, cells: Cells, objective: Objective
    ) -> None:
        import optuna

        self._space, self._cells, self._objective = space, cells, objective
        holes = [(axis.name, axis.options) for axis in space.axes]
        parts = json.dumps([identity, holes, cells.task_ids, objective.model_dump()], sort_keys=True, default=str)
        self._measures = ("score", *front_costs(objective))
        with quiet():
            self._study = optuna.create_study(
                study_name=f"{name}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}",
                storage=_open(storage),
                directions=["maximize" if measure == "score" else "minimize" for measure in self._measures],
                load_if_exists=True,
            )
        self._there = {trial.user_attrs["configuration"] for trial in self._study.get_trials(deepcopy=False)}

    def add(self, config: str, *, given_up: bool) -> None:
        """Writes an evaluation that has ended; one that is there already stays as it is."""
        from optuna.distributions import CategoricalDistribution
        from optuna.trial import TrialState, create_trial

        if config in self._there:
            return
        self._there.add(config)
        values = {axis.name: [_plain(option) for option in axis.options] for axis in self._space.axes}
        point = self._space.point(config)
        means = {measure: float(mean[0]) for measure, mean in self._cells.means([config]).items()}
        self._study.add_trial(
            create_trial(
                state=TrialState.PRUNED if given_up else TrialState.COMPLETE,
                params={name: options[index] for (name, options), index in zip(values.items(), point, strict=True)},
                distributions={name: CategoricalDistribution(options) for name, options in values.items()},
                values=None if given_up else [means[measure] for measure in self._measures],
                intermediate_values=self._curve(config),
                constraints={measure: means[measure] - limit for measure, limit in limits(self._objective).items()},
                user_attrs={
                    "configuration": config,
                    "tasks": self._cells.n_tasks(config),
                    "failed": self._cells.failures(config),
                    **{measure: mean for measure, mean in means.items() if not np.isnan(mean)},
                },
            )
        )

    def _curve(self, config: str) -> dict[int, float]:
        """The mean score by the number of tasks."""
        scores = self._cells.matrix("score", [config])[0]
        scores = scores[~np.isnan(scores)]
        counts = np.unique(np.linspace(1, len(scores), min(_POINTS, len(scores))).astype(int)).tolist()
        return {count: float(scores[:count].mean()) for count in counts}


def _open(storage: str) -> BaseStorage:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return RDBStorage(storage) if "://" in storage else JournalStorage(JournalFileBackend(storage))
    except (ImportError, OSError, SQLAlchemyError) as exc:
        first = str(exc).splitlines()[0]
        raise OptimizerOptionsError(
            f"Option 'storage': {storage!r} cannot be opened: {first}",
            hint="Give a database, such as 'sqlite:///search.db', or the path of a journal file.",
        ) from exc


def _plain(option: object) -> str | int | float | bool | None:
    """An option as a storage takes it; lists and mappings as JSON."""
    return option if option is None or isinstance(option, (str, int, float, bool)) else json.dumps(option)
