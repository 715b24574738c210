"""From a finished study to what the report shows; every number here comes from cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from statistics import fmean

import numpy as np

from archloom.graphs import Objective, picture
from archloom.orchestrator import FAILURE_RULE, Cell, Started, describe_endings, library_versions
from archloom.orchestrator.report import ConvergencePoint, Dropped, Interval, ReportData, Row, TaskRow
from archloom.search._comparison import cost_models, costs, servers_seen
from archloom.search._examine import Examined
from archloom.search._findings import Searched, ablations, audited, heat, may_be_best
from archloom.search._held_out import Contender, HeldOut
from archloom.search._objective import front_costs
from archloom.search._paired import paired
from archloom.search._pareto import covered
from archloom.search._statistics import mean_interval, noise_floor
from archloom.search._study import Study
from archloom.search._verdict import gap_in_words, mean_of, remarks, times, verdict
from archloom.tasks import TaskSet

_ROLES = {"winner": 0, "front": 1, "baseline": 2, "tried": 3}
_SHORT = 160
_HEAT = (
    "The stronger the colour, the more of the score is lost without the node, as a share of the largest loss; nodes "
    "without colour could not be left out for nothing."
)
NOTHING = Examined()
"""Where no replay was tried."""


def build_report(
    study: Study,
    held: HeldOut,
    *,
    title: str,
    objective: Objective,
    search: TaskSet,
    report: TaskSet,
    names: Mapping[str, str],
    examined: Examined = NOTHING,
) -> ReportData:
    """The report of a study.

    Args:
        study: The finished study.
        held: The held-out comparison.
        title: Name of the workflow.
        objective: What was looked for.
        search: Tasks the search saw.
        report: Tasks only the report saw.
        names: Name of each configuration of the search, by id.
        examined: What replays told about the winner and its judges.
    """
    searched, best = Searched.of(study), may_be_best(held)
    corrected, lost = searched.corrected(), ablations(held, examined)
    final = {id_: corrected.get(id_, fmean(cell.value for cell in own)) for id_, own in searched.cells.items()}
    rows = [row for contender in held.contenders.values() if (row := _row(study, held, contender)) is not None]
    listed = set(held.contenders)
    rows += [_tried(id_, names[id_], cells) for id_, cells in study.state.search.items() if id_ not in listed and cells]
    rows = [
        row.model_copy(update={"corrected_score": corrected.get(row.config_id), "may_be_best": best.get(row.config_id)})
        for row in sorted(rows, key=lambda row: (_ROLES[row.role], row.tokens, row.name))
    ]
    winner, volume = held.winner, _volumes(searched.cells, final, objective)
    floor, floor_note = _floor(study)
    started = study.log.events[0]
    return ReportData(
        title=title,
        subtitle=f"{len(study.state.search)} configurations searched on {len(search.examples)} tasks, "
        f"compared on {len(report.examples)} others",
        created=_day(started.at),
        objective=_objective(objective),
        rule_for_failures=FAILURE_RULE,
        verdict=verdict(held, objective),
        rows=tuple(rows),
        front=tuple(c.name for c in sorted(_front(held), key=lambda c: mean_of(held, c, "tokens"))),
        convergence=tuple(
            ConvergencePoint(
                tokens=at.tokens,
                cost_usd=at.cost_usd,
                # As known in the end: the first few tasks flatter whoever leads on them.
                best_score=final[at.leader],
                cells=at.cells,
                hypervolume=volume(at.front),
            )
            for at in study.state.convergence
        ),
        winner_drawing=picture(winner.configuration, heat=heat(lost)),
        winner_yaml=winner.configuration.to_yaml(),
        heat_note=_HEAT if heat(lost) else "",
        ablations=lost,
        judges=audited(examined),
        importance=searched.importance(),
        scaling=searched.scaling(names),
        tasks=tuple(_task_rows(held, report)),
        noise_floor=floor,
        noise_floor_note=floor_note,
        facts=tuple(_facts(study, held, search, report, started)),
        cost_models=cost_models(study.evaluator.pool, map(study.space.configuration, study.observed)),
        dropped=tuple(_dropped(study, winner, names, len(search.examples))),
        notes=tuple(remarks(held, objective, corrected)),
    )


def _volumes(
    cells: Mapping[str, Sequence[Cell]], scores: Mapping[str, float], objective: Objective
) -> Callable[[Sequence[str]], float | None]:
    """What a front covers of all trade-offs, as known in the end; None where no front is wanted."""
    measures = front_costs(objective)
    values = {id_: [scores[id_], *(fmean(c.measure(m) for c in own) for m in measures)] for id_, own in cells.items()}

    def volume(front: Sequence[str]) -> float | None:
        return covered([values[id_] for id_ in front], list(values.values())) if measures else None

    return volume


def _row(study: Study, held: HeldOut, contender: Contender) -> Row | None:
    """A contender's line; without held-out cells, because the budget ended, it shows what the search saw of it."""
    id_ = contender.configuration.id
    cells, searched = held.cells.get(id_, []), study.state.search.get(id_, [])
    if not cells and not searched:
        return None
    score = mean_interval([cell.value for cell in cells]) if cells else None
    matched = held.contenders.get(contender.matched or "")
    both = held.paired(id_, matched.configuration.id) if matched else ([], [])
    pair = paired(*both) if both[0] else None
    gap = pair.difference if pair else None
    return Row(
        name=contender.name,
        config_id=id_,
        summary=" → ".join(drawn.name for drawn in picture(contender.configuration).nodes),
        role=contender.role,
        tasks=len(cells),
        missing=sum(cell.failed for cell in cells or searched),
        score=score.estimate if score else None,
        interval=Interval(low=score.low, high=score.high) if score else None,
        **costs(cells or searched),
        matched=matched.name if matched and gap else None,
        matched_difference=gap.estimate if gap else None,
        matched_interval=Interval(low=gap.low, high=gap.high) if gap else None,
        matched_p_value=pair.mcnemar.p_value if pair and pair.mcnemar else None,
        searched_score=fmean(cell.value for cell in searched) if searched else None,
        searched_tasks=len(searched),
    )


def _tried(id_: str, name: str, cells: Sequence[Cell]) -> Row:
    return Row(
        name=name,
        config_id=id_,
        role="tried",
        tasks=0,
        missing=sum(cell.failed for cell in cells),
        score=None,
        **costs(cells),
        searched_score=fmean(cell.value for cell in cells),
        searched_tasks=len(cells),
    )


def _front(held: HeldOut) -> list[Contender]:
    return [c for c in held.contenders.values() if c.role in {"winner", "front"} and held.cells.get(c.configuration.id)]


def _dropped(study: Study, winner: Contender, names: Mapping[str, str], tasks: int) -> list[Dropped]:
    """What the search stopped looking at before all its tasks, and how it then stood against the winner."""
    best = {cell.task: cell for cell in study.state.search[winner.configuration.id]}
    rows = []
    for id_, cells in study.state.search.items():
        both = [(cell, best[cell.task]) for cell in cells if cell.task in best]
        if len(cells) == tasks or id_ == winner.configuration.id or not both:
            continue
        gap = paired([own.value for own, _ in both], [other.value for _, other in both]).difference
        share = sum(own.tokens for own, _ in both) / max(1, sum(other.tokens for _, other in both))
        lead = f"{gap_in_words(gap)} against {winner.name}"
        reason = f"{lead} on {len(both)} common search tasks, at {times(share)} its tokens"
        rows.append(Dropped(name=names[id_], reason=reason, tasks=len(cells)))
    return rows


def _floor(study: Study) -> tuple[float | None, str]:
    cells = study.state.search
    most = max(map(len, cells.values()), default=0)
    ids = [id_ for id_ in cells if len(cells[id_]) == most]
    tasks = list(dict.fromkeys(cell.task for id_ in ids for cell in cells[id_]))
    if len(ids) < 2 or len(tasks) < 2:
        return None, ""
    table = np.full((len(ids), len(tasks)), np.nan)
    column = {task: number for number, task in enumerate(tasks)}
    for row, id_ in enumerate(ids):
        for cell in cells[id_]:
            table[row, column[cell.task]] = cell.value
    note = (
        f"The best of the {len(ids)} configurations that were seen on all {most} search tasks would lead their mean by "
        "this much by luck alone, were all equally good."
    )
    return noise_floor(table), note


def _task_rows(held: HeldOut, report: TaskSet) -> list[TaskRow]:
    cells = {
        contender.name: {cell.task: cell for cell in held.cells[id_]} for id_, contender in held.contenders.items()
    }
    rows = []
    for example in report.examples:
        seen = {name: own[example.task.id] for name, own in cells.items() if example.task.id in own}
        question = " ".join(example.task.question.split())
        rows.append(
            TaskRow(
                id=example.task.id,
                question=question if len(question) <= _SHORT else question[: _SHORT - 1] + "…",
                scores={name: cell.score for name, cell in seen.items()},
                answers={name: cell.answer for name, cell in seen.items() if cell.answer is not None},
            )
        )
    return rows


def _facts(study: Study, held: HeldOut, search: TaskSet, report: TaskSet, started: object) -> list[tuple[str, str]]:
    charged = study.charged
    estimated = f" ({charged.tokens_estimated:,} of them estimated)" if charged.tokens_estimated else ""
    observed = [cell for cells in (*study.state.search.values(), *held.cells.values()) for cell in cells]
    assert isinstance(started, Started)
    models = dict.fromkeys(
        study.evaluator.pool.peek(c)[name].client.identity
        for c in (study.space.configuration(point) for point in study.observed)
        for name in c.used_models
    )
    full = study.space.size * len(search.examples)
    seen = sum(map(len, study.state.search.values()))
    return [
        ("Models", ", ".join(models)),
        ("Task set", search.name),
        (
            "Split",
            f"{len(search.examples)} search tasks, {len(report.examples)} report tasks, no question in both",
        ),
        ("Search saw", f"{seen:,} of the {full:,} cells of the whole space"),
        ("Search ended by", study.state.stopped),
        (
            "Charged",
            f"{charged.calls:,} calls, {charged.tokens:,} tokens{estimated}, ${charged.cost_usd:.4f}, "
            "search and report together",
        ),
        ("Calls that did not end by themselves", describe_endings(observed) or "none"),
        *((f"Server of {model}", load) for model, load in servers_seen(study.log.events)),
        (
            "Optimizer",
            ", ".join(f"{k} {v}" for k, v in started.identity.items() if k in {"optimizer", "seed"}),
        ),
        ("Tasks digest", search.digest[:16] + " / " + report.digest[:16]),
        ("Versions", ", ".join(f"{name} {version}" for name, version in library_versions().items())),
    ]


def _objective(objective: Objective) -> str:
    limits = [f"{name} ≤ {limit:g} per task" for name, limit in objective.within if limit is not None]
    words = f"front of {' × '.join(objective.pareto)}" if objective.pareto else "highest score"
    return f"{words}{', within ' + ', '.join(limits) if limits else ''}"


def _day(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M UTC")
