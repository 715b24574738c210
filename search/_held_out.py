"""The held-out comparison: the winner, its rivals and its baselines on tasks that the search never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from archloom.graphs import Configuration, Measure
from archloom.orchestrator import (
    Cell,
    best_of_n,
    first_generator,
    matched_samples,
    self_consistency,
    single_call,
)
from archloom.search._objective import excess, limits
from archloom.search._of_document import DocumentSpace
from archloom.search._space import Point
from archloom.search._statistics import wilson
from archloom.search._study import Study

_RIVALS = 2
"""Configurations off the front that are reported too, so that what was rejected can be seen."""


@dataclass(frozen=True)
class Contender:
    """A configuration in the comparison.

    Attributes:
        configuration: What was run.
        name: Short name, unique in the comparison.
        role: What it stands for.
        matched: Id of the baseline at the same tokens.
    """

    configuration: Configuration
    name: str
    role: str
    matched: str | None = None


@dataclass
class HeldOut:
    """Cells of all contenders on the report tasks.

    Attributes:
        contenders: By id of the configuration; the winner first, then the front.
        cells: Their cells, in the order of the report tasks.
        single: Id of the single call to beat.
        tasks: Number of report tasks.
        known: Names of the configurations that the search saw, by id. A baseline may be one of them.
    """

    contenders: dict[str, Contender] = field(default_factory=dict)
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    single: str | None = None
    tasks: int = 0
    known: Mapping[str, str] = field(default_factory=dict)

    def add(self, contender: Contender) -> None:
        """Adds a contender; the first role of a configuration counts."""
        self.contenders.setdefault(contender.configuration.id, contender)

    @property
    def winner(self) -> Contender:
        """The recommended configuration."""
        return next(contender for contender in self.contenders.values() if contender.role == "winner")

    @property
    def cut_short(self) -> tuple[Contender, ...]:
        """Those that the budget did not let run on all tasks."""
        return tuple(each for id_, each in self.contenders.items() if len(self.cells.get(id_, ())) < self.tasks)

    def paired(self, first: str, second: str) -> tuple[list[float], list[float]]:
        """Scores of two configurations on the tasks that both were run on; a failure counts 0."""
        other = {cell.task: cell for cell in self.cells[second]}
        both = [(cell.value, other[cell.task].value) for cell in self.cells[first] if cell.task in other]
        return [a for a, _ in both], [b for _, b in both]


async def compare(
    study: Study,
    space: DocumentSpace,
    winner: Point,
    front: Sequence[Point],
    names: Mapping[Point, str],
    task_ids: Sequence[str],
) -> HeldOut:
    """Runs everything that the report compares, on held-out tasks, at matched compute.

    Each configuration of the search is set against self-consistency with as many samples of its own generator
    as cost the same tokens; the winner also against a single call and against best-of-n judged by the same
    model. Most of that is free, because the samples are in the store. What says most runs first, should the budget end.
    """
    known = {space.configuration(point).id: name for point, name in names.items()}
    held = HeldOut(tasks=len(task_ids), known=known)
    winner = _simplest(study, space, winner)
    chosen = dict.fromkeys([winner, *(_simplest(study, space, point) for point in front)])
    for point in chosen:
        held.add(Contender(space.configuration(point), names[point], "winner" if point == winner else "front"))
    single = _best_single_call(study, space, winner)
    if single is not None:
        held.single = single.id
        held.add(Contender(single, _called(held, single), "baseline"))
        held.cells |= await study.report_on([held.winner.configuration, single], task_ids)
        await _match(study, held, held.winner, task_ids)
    await _run_new(study, held, task_ids)
    if single is not None:
        await _best_of(study, held, task_ids)
    for point in _rivals(study, space, set(chosen)):
        held.add(Contender(space.configuration(point), names[point], "tried"))
    await _run_new(study, held, task_ids)
    return held


async def _run_new(study: Study, held: HeldOut, task_ids: Sequence[str]) -> None:
    """Runs the contenders that have not run, and the baselines at their tokens."""
    new = [contender for id_, contender in held.contenders.items() if id_ not in held.cells]
    held.cells |= await study.report_on([contender.configuration for contender in new], task_ids)
    for contender in new:
        if contender.role != "baseline":
            await _match(study, held, contender, task_ids)


def _simplest(study: Study, space: DocumentSpace, point: Point) -> Point:
    """Of all configurations that did exactly the same on the search tasks, the one with the fewest nodes."""

    def trace(of: Point) -> list[tuple[str, float, int]]:
        cells = study.state.search.get(space.configuration(of).id, [])
        return sorted((cell.task, cell.value, cell.tokens) for cell in cells)

    same = [other for other in study.observed if trace(other) == trace(point)]
    return min(same, key=lambda other: (len(space.configuration(other).nodes), other != point, other))


def _best_single_call(study: Study, space: DocumentSpace, winner: Point) -> Configuration | None:
    """The single call to beat: that of the best one-call configuration the search saw, else of the winner."""
    ones = {
        point: [cell.value for cell in cells]
        for point in study.observed
        if (cells := study.state.search.get(space.configuration(point).id)) and all(c.calls <= 1 for c in cells)
    }
    best = strongest(ones) if ones else winner
    return single_call(space.configuration(best)) or single_call(space.configuration(winner))


def strongest(scores: Mapping[Point, Sequence[float]]) -> Point:
    """The configuration that is surely good: the one whose mean has the highest lower bound (Wilson's, 95 %).

    So three lucky tasks do not beat seventy, and of two that were seen on nearly as many the better one wins.
    """
    return max(scores, key=lambda point: (wilson(sum(scores[point]), len(scores[point])).low, point))


async def _match(study: Study, held: HeldOut, contender: Contender, task_ids: Sequence[str]) -> None:
    """Adds the self-consistency baseline at a contender's tokens, unless the contender is that itself."""
    configuration = contender.configuration
    generator, one = first_generator(configuration), single_call(configuration)
    tokens = _tokens(held, configuration.id)
    if generator is None or one is None or not tokens:
        return
    if configuration.id in {one.id, _made(self_consistency(configuration, generator.samples)).id}:
        return
    held.cells |= await study.report_on([one], task_ids)
    samples = matched_samples(tokens, held.cells[one.id]) if held.cells[one.id] else 1
    rival = _made(self_consistency(configuration, samples))
    held.cells |= await study.report_on([rival], task_ids)
    if _tokens(held, rival.id):  # the first draws of a pool may be shorter or longer than its mean
        rival = _made(self_consistency(configuration, max(1, round(samples * tokens / _tokens(held, rival.id)))))
        held.cells |= await study.report_on([rival], task_ids)
    if rival.id in held.known:
        held.add(Contender(rival, held.known[rival.id], "tried"))
    else:
        held.add(Contender(rival, _called(held, rival), "baseline"))
    held.contenders[configuration.id] = replace(contender, matched=rival.id)


async def _best_of(study: Study, held: HeldOut, task_ids: Sequence[str]) -> None:
    """Adds best-of-n at the winner's tokens: at least two, and as many more as the cost of two leaves room for."""
    winner = held.winner.configuration
    if first_generator(winner) is None:
        return
    rival = _made(best_of_n(winner, 2))
    held.cells |= await study.report_on([rival], task_ids)
    tokens = _tokens(held, rival.id)
    if tokens and (samples := round(2 * _tokens(held, winner.id) / tokens)) > 2:
        rival = _made(best_of_n(winner, samples))
        held.cells |= await study.report_on([rival], task_ids)
    held.add(Contender(rival, rival.name, "baseline"))


def _made(baseline: Configuration | None) -> Configuration:
    """A baseline of a configuration that is known to have a first generator."""
    assert baseline is not None, "a workflow with a first generator has all baselines"
    return baseline


def _rivals(study: Study, space: DocumentSpace, chosen: set[Point]) -> list[Point]:
    """The best of the rest, by their mean on the search tasks they saw; more tasks first among equals.

    Those over a limit that the winner keeps are no rivals: they would win a comparison that nobody asked for.
    """
    taken = {space.configuration(point).id for point in chosen}
    by_id = {space.configuration(point).id: point for point in study.observed}
    over = {id_: _excess(study, cells) for id_, cells in study.state.search.items() if cells}
    allowed = max((over[id_] for id_ in taken if id_ in over), default=0.0)
    seen = [
        (fmean(c.value for c in cells), len(cells), id_)
        for id_, cells in study.state.search.items()
        if cells and over[id_] <= allowed
    ]
    ranked = sorted(
        (entry for entry in seen if entry[2] not in taken), key=lambda entry: (-entry[0], -entry[1], entry[2])
    )
    return [by_id[id_] for _, _, id_ in ranked[:_RIVALS]]


def _excess(study: Study, cells: Sequence[Cell]) -> float:
    """How far a configuration lies above the limits of the objective, by these cells."""
    measures: tuple[Measure, ...] = ("score", *limits(study.objective))
    means = {measure: np.array([fmean(cell.measure(measure) for cell in cells)]) for measure in measures}
    return float(excess(study.objective, means)[0])


def _tokens(held: HeldOut, id_: str) -> float:
    """Mean deployed tokens per task; 0 when the budget left nothing to look at."""
    return fmean(cell.tokens for cell in held.cells[id_]) if held.cells[id_] else 0.0


def _called(held: HeldOut, baseline: Configuration) -> str:
    """A name that no other contender has: where generators differ in more than their temperature, with the model."""
    draft = baseline.nodes["draft"]
    name = f"{baseline.name} T{float(getattr(draft, 'temperature', 0.0)):g}"
    others = {each.name for id_, each in held.contenders.items() if id_ != baseline.id}
    for longer in (name, f"{name} {getattr(draft, 'model', '')}", f"{name} {baseline.id}"):
        if longer not in others:
            break
    return longer
