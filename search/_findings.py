"""What else the cells of a finished study tell: the winner's curse, what matters, who errs, how scores scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np

from archloom.orchestrator import Cell
from archloom.orchestrator.report import Ablation, Effect, Interval, Judge, Scaling
from archloom.search._audit import audit
from archloom.search._best_set import best_set
from archloom.search._cells import Cells
from archloom.search._examine import Examined
from archloom.search._held_out import HeldOut
from archloom.search._importance import main_effects
from archloom.search._of_document import DocumentSpace
from archloom.search._paired import paired
from archloom.search._scaling import FEWEST_POINTS, fit_scaling
from archloom.search._shrinkage import shrunken
from archloom.search._space import Axis, Point
from archloom.search._statistics import Interval as Estimate
from archloom.search._study import Study
from archloom.search._two_way import Array, two_way

_LONGEST = 32


@dataclass(frozen=True)
class Searched:
    """All that a search saw, as one table.

    Attributes:
        space: The space that was searched.
        cells: By configuration; no configuration without a cell.
        points: The normal point of each configuration, in the same order.
    """

    space: DocumentSpace
    cells: Mapping[str, Sequence[Cell]]
    points: tuple[Point, ...]

    @classmethod
    def of(cls, study: Study) -> Searched:
        """What this study saw."""
        points = {study.space.configuration(point).id: study.space.normal(point) for point in study.observed}
        cells = {id_: own for id_, own in study.state.search.items() if own}
        return cls(study.space, cells, tuple(points[id_] for id_ in cells))

    @cached_property
    def scores(self) -> Array:
        """A row per configuration, a column per task, NaN where nothing was observed."""
        every = [cell for own in self.cells.values() for cell in own]
        return Cells(tuple(dict.fromkeys(cell.task for cell in every)), every).matrix("score", tuple(self.cells))

    def corrected(self) -> dict[str, float]:
        """The score that each configuration promises on other tasks, by id; empty where that cannot be said."""
        estimates = shrunken(self.scores) if self.cells else None
        return {} if estimates is None else dict(zip(self.cells, map(float, estimates), strict=True))

    def importance(self) -> tuple[Effect, ...]:
        """The choices of the space, or the traits of a graph that is open, the one that explains most first."""
        return tuple(
            Effect(
                choice=_choice(effect.axis),
                share=effect.share.estimate,
                share_interval=_interval(effect.share),
                best=_option(effect.axis.options[effect.best]),
                worst=_option(effect.axis.options[effect.worst]),
                gap=effect.gap.estimate,
                gap_interval=_interval(effect.gap),
            )
            for effect in main_effects(self.space, self.points, self.scores)
        )

    def scaling(self, names: Mapping[str, str]) -> tuple[Scaling, ...]:
        """A law for each family that differs in its number of samples only and has enough members.

        Args:
            names: Name of each configuration, by id.
        """
        fit = two_way(self.scores) if self.cells else None
        if fit is None:
            return ()
        errors = np.sqrt(np.diag(fit.covariance))
        tokens = np.array([fmean(cell.tokens for cell in own) for own in self.cells.values()])
        found = []
        for number, axis in enumerate(self.space.axes):
            if not axis.name.endswith(".samples"):
                continue
            families: dict[Point, list[int]] = {}
            for row, point in enumerate(self.points):
                families.setdefault((*point[:number], *point[number + 1 :]), []).append(row)
            for rows in families.values():
                law = fit_scaling(tokens[rows], fit.means[rows], errors[rows]) if len(rows) >= FEWEST_POINTS else None
                if law is None:
                    continue
                lowest, highest = float(tokens[rows].min()), float(tokens[rows].max())
                first = names[tuple(self.cells)[min(rows, key=lambda row: tokens[row])]]
                found.append(
                    Scaling(
                        family=f"{first} and dearer",
                        choice=_choice(axis),
                        points=len(rows),
                        lowest=lowest,
                        highest=highest,
                        ceiling=law.ceiling,
                        error=law.error,
                        saturation=law.saturation(lowest, highest),
                    )
                )
        return tuple(found)


def may_be_best(held: HeldOut) -> dict[str, bool]:
    """For each configuration of the search that ran on the held-out tasks, whether it may be the best of them.

    Only tasks on which all of them ran count. Empty where there is nothing to compare.
    """
    ids = [id_ for id_, contender in held.contenders.items() if contender.role != "baseline" and held.cells.get(id_)]
    values = [{cell.task: cell.value for cell in held.cells[id_]} for id_ in ids]
    tasks = [task for task in values[0] if all(task in own for own in values)] if len(ids) > 1 else []
    if not tasks:
        return {}
    best = best_set([[own[task] for task in tasks] for own in values])
    return dict(zip(ids, map(bool, best), strict=True))


def ablations(held: HeldOut, examined: Examined) -> tuple[Ablation, ...]:
    """The winner against itself without each node that could be left out for nothing."""
    winner = {cell.task: cell.value for cell in held.cells.get(held.winner.configuration.id, [])}
    found = []
    for each in examined.ablated:
        gap = paired([winner[cell.task] for cell in each.cells], [cell.value for cell in each.cells]).difference
        found.append(
            Ablation(
                node=each.node,
                score=fmean(cell.value for cell in each.cells),
                lost=gap.estimate,
                interval=_interval(gap),
                tokens=fmean(cell.tokens for cell in each.cells),
            )
        )
    return tuple(found)


def heat(found: Sequence[Ablation]) -> dict[str, float]:
    """How strongly to colour each node: what the score loses without it, as a share of the largest loss."""
    most = max((each.lost for each in found), default=0.0)
    return {each.node: max(0.0, each.lost) / most for each in found} if most > 0 else {}


def audited(examined: Examined) -> tuple[Judge, ...]:
    """The error rates of each judge."""
    rows = []
    for judged in examined.judged:
        found = audit(list(judged.tallies))
        rows.append(
            Judge(
                node=judged.node,
                configuration=judged.configuration,
                right=found.right,
                wrong=found.wrong,
                hit=found.hit.estimate if found.hit else None,
                hit_interval=_interval(found.hit) if found.hit else None,
                false_alarm=found.false_alarm.estimate if found.false_alarm else None,
                false_alarm_interval=_interval(found.false_alarm) if found.false_alarm else None,
                limit=found.limit,
            )
        )
    return tuple(rows)


def _interval(estimate: Estimate) -> Interval:
    return Interval(low=estimate.low, high=estimate.high)


def _choice(axis: Axis) -> str:
    return axis.name.removeprefix("nodes.").removesuffix(".optional")


def _option(option: object) -> str:
    if isinstance(option, bool):
        return "yes" if option else "no"
    text = "+".join(map(str, option)) if isinstance(option, list) else str(option)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
