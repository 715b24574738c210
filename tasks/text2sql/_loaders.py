"""Text2SQL task sets by spec: ``spider:``, ``bird:``, ``defog:`` and ``sql:``."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from archloom.nodes import Spec
from archloom.tasks._registry import Loader
from archloom.tasks._spec import format_spec, parse_spec
from archloom.tasks._task_set import Example, TaskSet, distinct
from archloom.tasks.errors import TaskError, TaskFileError, UnknownTaskSetError
from archloom.tasks.text2sql._execution import LIMITS, Databases
from archloom.tasks.text2sql._metrics import sql_scorer
from archloom.tasks.text2sql._questions import Question, read_bird, read_defog, read_lines, read_spider
from archloom.tasks.text2sql._simulated import simulated_marks
from archloom.tasks.text2sql._task import text2sql_task
from archloom.tasks.text2sql._timing import RVes
from archloom.tasks.text2sql._verdict import Gold, SqlScorer
from archloom.tools import UsageError, suggest
from archloom.tools.sql import Database, SqlFailure, open_database

_AT_ONCE = 8
_SUFFIXES = (".sqlite", ".sqlite3", ".db")
_log = logging.getLogger(__name__)


class Parameters(Spec):
    """What may follow ``?`` in the spec of a Text2SQL task set."""

    questions: str = ""
    """File of the questions inside the folder; by default the usual one."""
    database: str = ""
    """Folder of the databases, or for ``sql:`` the one database; by default the usual folder."""
    metric: str = ""
    """How answers are scored; by default the benchmark's own."""
    schema_tokens: int = Field(default=3000, ge=0)
    """Most tokens of the schema in each question; 0 leaves it out."""
    check: bool = True
    """Run the golds once, and leave out the tasks whose gold fails."""
    simulated: bool = False
    """Mark the questions so that simulated models know the golds."""


@dataclass(frozen=True)
class LeftOut:
    """A question that no task was made of.

    Attributes:
        id: The question's.
        reason: ``no_database``, or how all of its golds fail.
        detail: What the database said.
    """

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Text2SqlTasks:
    """A task set, and what it was made of.

    Attributes:
        tasks: The tasks, without those that cannot be scored.
        questions: All questions of the file.
        databases: Where the databases are.
        left_out: Questions that are no tasks, with the reasons.
    """

    tasks: TaskSet
    questions: tuple[Question, ...]
    databases: Databases
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Layout:
    """Where a benchmark keeps its files, and how they are read."""

    prefix: Literal["spider", "bird", "defog", "sql"]
    read: Callable[[Path], list[Question]]
    metric: str
    questions: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


_LAYOUTS: dict[str, _Layout] = {
    layout.prefix: layout
    for layout in (
        _Layout("spider", read_spider, "spider_exec", ("dev.json",), ("database", "test_database")),
        _Layout("bird", read_bird, "bird_ex", ("dev.json", "mini_dev_sqlite.json"), ("dev_databases", "database")),
        _Layout("defog", read_defog, "spider_exec", (), ("database",)),
        _Layout("sql", read_lines, "bird_ex"),
    )
}


def load_text2sql(prefix: str, rest: str, base: Path) -> Text2SqlTasks:
    """The task set of a spec, with what was left out of it.

    Args:
        prefix: ``spider`` or ``bird`` (a folder in the official layout follows), ``defog`` (a CSV beside the folder
            ``database``) or ``sql`` (JSON lines, with ``?database=`` for the database).
        rest: What follows the prefix.
        base: Folder that relative paths start from.

    Raises:
        TaskError: there is nothing usable.
        UsageError: there is no such metric, or it is none for tasks.
    """
    layout = _LAYOUTS[prefix]
    name, given = parse_spec(rest)
    parameters = _parameters(prefix, name, given)
    path = base / name
    file = _questions_file(path, layout, parameters)
    questions = layout.read(file)
    databases = _databases(path if path.is_dir() else path.parent, layout, parameters, questions)
    scorer = _scorer(parameters.metric or layout.metric, databases)
    left_out = {each.id: each for each in _unusable(questions, databases, check=parameters.check)}
    _warn(f"{prefix}:{name}", left_out, questions)
    usable = [each for each in questions if each.id not in left_out]
    examples = list(_examples(usable, databases, parameters, file.stem))
    spec = format_spec(prefix, Path(name).as_posix(), given) if given else f"{prefix}:{Path(name).as_posix()}"
    tasks = TaskSet(spec, "sql", distinct(examples, name=spec), scorer)
    return Text2SqlTasks(tasks, tuple(questions), databases, tuple(left_out.values()))


def text2sql_loader(prefix: str) -> Loader:
    """The loader to register for a prefix."""

    def load(rest: str, base: Path) -> TaskSet:
        return load_text2sql(prefix, rest, base).tasks

    return load


def _parameters(prefix: str, name: str, given: dict[str, str]) -> Parameters:
    for unknown in sorted(given.keys() - Parameters.model_fields):
        raise UnknownTaskSetError(
            f"{prefix}:{name} has no parameter {unknown!r}.", hint=suggest(unknown, Parameters.model_fields)
        )
    try:
        return Parameters.model_validate_strings(given)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise TaskError(f"{prefix}:{name}: {first['loc'][0]}={first['input']!r}: {first['msg']}") from exc


def _scorer(metric: str, databases: Databases) -> SqlScorer:
    """The scorer of tasks, whose scores are 0 to 1 and the same in every run."""
    scorer = sql_scorer(metric, databases)
    if isinstance(scorer, RVes):
        raise UsageError(
            f"metric={metric} cannot score tasks: it is a timing, other in every run, and reaches 1.118.",
            hint="Use metric=bird_ex. Files of predictions can be timed: see evaluate_predictions in docs/text2sql.md.",
        )
    return scorer


def _questions_file(path: Path, layout: _Layout, parameters: Parameters) -> Path:
    if not layout.questions:
        return path
    names = (parameters.questions,) if parameters.questions else layout.questions
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise TaskFileError(f"{path}: there is no {' or '.join(names)} in it")
    return found[0]


def _databases(folder: Path, layout: _Layout, parameters: Parameters, questions: Sequence[Question]) -> Databases:
    """Locations by database id. A folder for each id may hold several files, as Spider's test suites do."""
    ids = {question.gold.db_id for question in questions}
    if layout.prefix == "sql":
        own = {id_: (_location(folder, id_ or parameters.database),) for id_ in ids}
        if "" in ids and not parameters.database:
            raise TaskError("sql: says no database.", hint="Add ?database=FILE, or the field 'database' to each line.")
        return own
    names = (parameters.database,) if parameters.database else layout.folders
    roots = [folder / name for name in names if (folder / name).is_dir()]
    if not roots:
        raise TaskError(
            f"{folder}: there is no folder {' or '.join(map(repr, names))} of databases.",
            hint="Say where it is: ?database=FOLDER",
        )
    known = {each.name: each for each in roots[0].iterdir() if each.is_dir()}
    return {id_: _files(known[id_]) for id_ in ids if id_ in known}


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(str(each) for each in sorted(folder.iterdir()) if each.suffix in _SUFFIXES)


def _location(folder: Path, name: str) -> str:
    if "://" not in name:
        return str(folder / name)
    if "@" in name and ":" in name.partition("://")[2].partition("@")[0]:
        raise TaskError("a database URL must not hold a password.", hint="Use PGPASSWORD or ~/.pgpass.")
    return name


def _unusable(questions: Sequence[Question], databases: Databases, *, check: bool) -> list[LeftOut]:
    missing = [each for each in questions if not databases.get(each.gold.db_id)]
    left_out = [LeftOut(each.id, "no_database", f"there is no database {each.gold.db_id!r}") for each in missing]
    if check:
        rest = [each for each in questions if databases.get(each.gold.db_id)]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            failures = threads.map(lambda each: _failure(each.gold, databases), rest)
            left_out += [
                LeftOut(question.id, failure.outcome, failure.message)
                for question, failure in zip(rest, failures, strict=True)
                if failure
            ]
    return left_out


def _failure(gold: Gold, databases: Databases) -> SqlFailure | None:
    """Why no gold of a question runs on all of its databases; ``None`` when one does."""
    opened = [open_database(location) for location in databases[gold.db_id]]
    found = [_first_failure(query, opened) for query in gold.queries]
    return None if None in found else found[0]


def _first_failure(query: str, databases: Sequence[Database]) -> SqlFailure | None:
    results = (database.execute(query, limits=LIMITS) for database in databases)
    return next((result for result in results if isinstance(result, SqlFailure)), None)


def _warn(name: str, left_out: dict[str, LeftOut], questions: Sequence[Question]) -> None:
    if not left_out:
        return
    counts = ", ".join(
        f"{reason} {n}" for reason, n in Counter(each.reason for each in left_out.values()).most_common()
    )
    first = next(iter(left_out.values()))
    summary = f"{name}: {len(left_out)} of {len(questions)} questions cannot be scored and are left out ({counts})"
    if len(left_out) == len(questions):
        raise TaskError(f"{summary}; the first is {first.id}: {first.detail}")
    _log.warning("%s; the first is %s: %s", summary, first.id, first.detail)


def _examples(
    questions: Sequence[Question], databases: Databases, parameters: Parameters, set_name: str
) -> Iterator[Example]:
    """The tasks with their targets; where models are simulated, with the marks by which these know the golds."""
    marks = simulated_marks(set_name, questions) if parameters.simulated else {}
    for question in questions:
        task = text2sql_task(
            " ".join(filter(None, (marks.get(question.id), question.question))),
            databases[question.gold.db_id][0],
            evidence=question.evidence,
            id=question.id,
            db_id=question.gold.db_id,
            schema_tokens=parameters.schema_tokens,
        )
        yield Example(task, question.gold.target(difficulty=question.difficulty))
