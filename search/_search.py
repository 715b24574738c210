"""A whole search: from a document with holes to a winner, a front, a log and a report in one folder."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from archloom.graphs import Configuration, Document, Objective, SearchSpec
from archloom.orchestrator import Evaluator, ModelPool, RunLog, ServerSeen, Started, read_events
from archloom.orchestrator.errors import RunLogError
from archloom.orchestrator.models import CostModel, SampleStore, StoreUse
from archloom.orchestrator.report import ReportData, render_report
from archloom.search._examine import examine
from archloom.search._files import write_whole
from archloom.search._held_out import HeldOut, compare
from archloom.search._names import unique_names
from archloom.search._objective import cost_measures
from archloom.search._of_document import DocumentSpace, space_of
from archloom.search._provenance import Provenance
from archloom.search._report import build_report
from archloom.search._study import Progress, Study, points_of
from archloom.search.optimizers import Optimizer, Recommendation, make_optimizer
from archloom.tasks import TaskSet, load_tasks
from archloom.tools.errors import UsageError


@dataclass(frozen=True)
class SearchResult:
    """What a search found and where it wrote it.

    Attributes:
        winner: The recommended configuration.
        front: The configurations on the front, cheapest first; the winner is one of them or within the limits.
        held: Everything compared on held-out tasks.
        report: What the report shows.
        stopped: Why the search ended.
        budget_ended: The search budget ended before the optimizer was done.
        folder: The run folder.
    """

    winner: Configuration
    front: tuple[Configuration, ...]
    held: HeldOut
    report: ReportData
    stopped: str
    budget_ended: bool
    folder: Path


@dataclass(frozen=True)
class Setting:
    """All that one search needs to begin, checked before a folder is made or a model is started."""

    document: Document
    spec: SearchSpec
    space: DocumentSpace
    search: TaskSet
    report: TaskSet
    tasks_base: Path
    optimizer: Optimizer

    @property
    def settings(self) -> dict[str, str]:
        """Where its tasks come from, for :func:`held_out_tasks`."""
        spec = self.spec
        return {
            "tasks": str(spec.tasks),
            "tasks_base": str(self.tasks_base),
            "search_tasks": str(spec.search_tasks),
            "report_tasks": str(spec.report_tasks),
            "seed": str(spec.seed),
        }


def held_out_tasks(folder: Path) -> TaskSet:
    """The tasks that a search run kept for its report.

    Raises:
        RunLogError: there is no search in this folder, or its task set has changed since.
    """
    started = next(iter(read_events(folder)), None)
    if not isinstance(started, Started) or started.kind != "search":
        raise RunLogError(f"{folder}: holds no search.", hint="Name the run folder of 'archloom search'.")
    settings = started.settings
    tasks = load_tasks(settings["tasks"], base=Path(settings["tasks_base"]))
    split = tasks.split(int(settings["search_tasks"]), int(settings["report_tasks"]), seed=int(settings["seed"]))
    if _tasks_digest(split.search, split.report) != started.identity["tasks"]:
        raise RunLogError(f"{folder}: its task set {settings['tasks']} is no longer what it was.")
    return split.report


def prepare(document: Document, spec: SearchSpec, *, tasks_base: Path | None = None) -> Setting:
    """Checks everything that can be checked before the first call.

    Raises:
        UsageError: no hole, no task set, too few tasks, an unknown optimizer, a measure that cannot be known.
    """
    space = space_of(document)
    _check_shapes(space, spec.objective)
    if spec.tasks is None:
        raise UsageError(
            f"{document.source}: there is no task set to search on.",
            hint="Write 'search: {tasks: ...}' or use --tasks.",
        )
    base = tasks_base or document.folder
    search, report = load_tasks(spec.tasks, base=base).split(spec.search_tasks, spec.report_tasks, seed=spec.seed)
    task_ids = [example.task.id for example in search.examples]
    random.Random(spec.seed).shuffle(task_ids)
    optimizer = make_optimizer(
        spec.optimizer, space, task_ids, spec.objective, seed=spec.seed, options=dict(spec.options)
    )
    return Setting(document, spec, space, search, report, base, optimizer)


def _check_shapes(space: DocumentSpace, objective: Objective) -> None:
    """Passes when every measure that the objective looks at will be known.

    Raises:
        UsageError: FLOPs or memory traffic are, and the shape of a model is not.
    """
    looked_at = [measure for measure in cost_measures(objective) if measure in {"flops", "memory_bytes"}]
    models = space.configuration(space.sample(np.random.default_rng(0))).models if looked_at else {}
    if unknown := [name for name, spec in models.items() if CostModel(spec).shape is None]:
        raise UsageError(
            f"{space.document.source}: the objective looks at {looked_at[0]!r}, "
            f"but the shape of model {unknown[0]!r} is not known.",
            hint=f"Write it: models.{unknown[0]}.shape: {{parameters: ..., layers: ..., width: ..., heads: ..., "
            "kv_heads: ...}, or use another measure.",
        )


async def run_search(
    setting: Setting,
    *,
    folder: Path,
    store: SampleStore,
    use: StoreUse = "reuse",
    concurrency: int = 8,
    progress: Progress = lambda state: None,
    say: Callable[[str], None] = lambda line: None,
) -> SearchResult:
    """Searches, compares on held-out tasks, and writes ``best.yaml``, ``front/``, ``cells.jsonl``, ``report.json``
    and ``report.html`` beside the event log. Run again on the same folder, it goes on where it was.

    Raises:
        RunLogError: the folder holds another run.
        ModelUnavailableError: a model cannot be used.
        NoEvidenceError: the budget ended before anything was observed.
    """
    spec, space = setting.spec, setting.space
    identity = _identity(setting) | ({"store": use} if use != "reuse" else {})
    log = RunLog.open(folder, "search", identity, settings=setting.settings)
    try:
        async with ModelPool(store, use=use, budget=spec.budget) as pool:
            examples = TaskSet(
                name=setting.search.name,
                answer=setting.search.answer,
                scorer=setting.search.scorer,
                examples=(*setting.search.examples, *setting.report.examples),
            )
            evaluator = Evaluator(pool, examples, concurrency=concurrency)
            study = Study(space, evaluator, setting.optimizer, log, objective=spec.objective, progress=progress)
            try:
                found = await study.search()
                say(f"search ended by {study.state.stopped}; now the held-out comparison")
                names = unique_names(space, list(study.observed))
                ids = [example.task.id for example in setting.report.examples]
                held = await compare(study, space, found.point, _front(space, found), names, ids)
                examined = await examine(held, setting.report, store, log)
            finally:
                for model, load in (await pool.loads()).items():
                    log.write(ServerSeen(model=model, load=load))
                study.close()
            report = build_report(
                study,
                held,
                title=setting.document.name,
                objective=spec.objective,
                search=setting.search,
                report=setting.report,
                names={space.configuration(point).id: name for point, name in names.items()},
                examined=examined,
            )
            return _write(setting, study, found, held, report, folder)
    finally:
        log.close()


def _tasks_digest(search: TaskSet, report: TaskSet) -> str:
    return f"{search.digest[:16]}/{report.digest[:16]}"


def _identity(setting: Setting) -> dict[str, str]:
    """What a run folder must agree on to go on; a budget may grow."""
    document = {key: value for key, value in setting.document.data.items() if key not in {"search", "doc", "name"}}
    spec = setting.spec
    topology = {"topology": spec.topology.model_dump_json()} if spec.topology else {}
    return topology | {
        "document": hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16],
        "tasks": _tasks_digest(setting.search, setting.report),
        "objective": spec.objective.model_dump_json(),
        "optimizer": spec.optimizer,
        "options": orjson.dumps(spec.options, option=orjson.OPT_SORT_KEYS).decode(),
        "seed": str(spec.seed),
    }


def _front(space: DocumentSpace, found: Recommendation) -> list[tuple[int, ...]]:
    return [point for point in points_of(found) if point != found.point]


def _write(
    setting: Setting, study: Study, found: Recommendation, held: HeldOut, report: ReportData, folder: Path
) -> SearchResult:
    """All files of the result; each appears whole or not at all."""
    winner = held.winner.configuration
    started = study.log.events[0]
    assert isinstance(started, Started), "a run log begins so"
    origin = Provenance(setting.spec, setting.search, setting.report, started.versions, study.cells)
    rows = {row.config_id: row for row in report.rows}
    members = sorted(
        (c for c in held.contenders.values() if c.role in {"winner", "front"}),
        key=lambda c: rows[c.configuration.id].tokens,
    )
    write_whole(folder / "best.yaml", winner.to_yaml(comment=origin.of(rows[winner.id])).encode())
    for old in (folder / "front").glob("*.yaml"):
        old.unlink()
    for number, member in enumerate(members, 1):
        text = member.configuration.to_yaml(comment=origin.of(rows[member.configuration.id]))
        write_whole(folder / "front" / f"{number:02}-{member.configuration.id}.yaml", text.encode())
    write_whole(folder / "cells.jsonl", study.cells_file())
    write_whole(folder / "report.json", report.model_dump_json(indent=1).encode())
    write_whole(folder / "report.html", render_report(report).encode())
    return SearchResult(
        winner=winner,
        front=tuple(member.configuration for member in members),
        held=held,
        report=report,
        stopped=study.state.stopped,
        budget_ended="budget" in study.state.stopped,
        folder=folder,
    )
