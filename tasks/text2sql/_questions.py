"""Questions to databases, as Spider, BIRD, defog and users write them down."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from archloom.tasks._rows import Problems, Row, read_rows, read_text
from archloom.tasks.errors import TaskFileError
from archloom.tasks.text2sql._execution import abstains
from archloom.tasks.text2sql._verdict import Gold

UNANSWERABLE = "SELECT 'unanswerable'"
"""The query that says that a database does not hold the answer."""


@dataclass(frozen=True)
class Question:
    """A question with its accepted queries.

    Attributes:
        id: Unique name in its file.
        question: What is asked.
        gold: The database and what is right.
        evidence: What else the asker tells: outside knowledge, definitions.
        difficulty: As the file rates it; empty where it does not.
    """

    id: str
    question: str
    gold: Gold
    evidence: str = ""
    difficulty: str = ""


def read_spider(path: Path) -> list[Question]:
    """Questions of Spider's ``dev.json``: ``db_id``, ``question`` and ``query``.

    Raises:
        TaskFileError: with every entry that is none.
    """

    def read(row: Row, question: str, problems: Problems) -> Question | None:
        database, gold = row.text("db_id", problems), row.text("query", problems)
        if database is None or gold is None:
            return None
        return Question(f"spider-{row.number:04}", question, Gold(database, (gold,)))

    problems = Problems()
    return _read(_listed(path, problems), read, problems)


def read_bird(path: Path) -> list[Question]:
    """Questions of BIRD's ``dev.json``: also ``question_id``, ``evidence`` and ``difficulty``; the query is ``SQL``.

    Raises:
        TaskFileError: with every entry that is none.
    """

    def read(row: Row, question: str, problems: Problems) -> Question | None:
        texts = [row.text(name, problems) for name in ("question_id", "db_id", "SQL")]
        match texts:
            case [str(number), str(database), str(gold)]:
                evidence, difficulty = str(row.values.get("evidence") or ""), str(row.values.get("difficulty") or "")
                return Question(f"bird-{number}", question, Gold(database, (gold,)), evidence, difficulty)
        return None

    problems = Problems()
    return _read(_listed(path, problems), read, problems)


def read_defog(path: Path) -> list[Question]:
    """Questions of a defog CSV, with one or more golds; some cannot be answered, and their golds read no table.

    Raises:
        TaskFileError: with every row that is none.
    """

    def read(row: Row, question: str, problems: Problems) -> Question | None:
        database, query = row.text("db_name", problems), row.text("query", problems)
        if database is None or query is None:
            return None
        golds = split_golds(query)
        told = row.values.get("full_instructions") or row.values.get("instructions") or ""
        gold = Gold(database, golds, unanswerable=all(map(abstains, golds)))
        category = str(row.values.get("query_category") or "")
        return Question(f"{path.stem}-{row.number:04}", question, gold, str(told), category)

    problems = Problems()
    rows = csv.DictReader(read_text(path).splitlines(keepends=True))
    numbered = (Row(f"{path}, row {number}", number, row) for number, row in enumerate(rows, start=1))
    return _read(numbered, read, problems)


def read_lines(path: Path) -> list[Question]:
    """A user's questions, one JSON object a line: ``question``, ``sql`` (one query, or a list of accepted ones).

    A line may have ``id``, ``evidence``, ``difficulty``, ``database``, which names its database file, and
    ``unanswerable``, which stands in the place of ``sql`` where the database does not hold the answer.

    Raises:
        TaskFileError: with every line that is none.
    """

    def read(row: Row, question: str, problems: Problems) -> Question | None:
        unanswerable = row.values.get("unanswerable") is True
        sql = row.values.get("sql", [UNANSWERABLE] if unanswerable else None)
        listed = sql if isinstance(sql, list) else [sql]
        golds = tuple(each for each in listed if isinstance(each, str))
        if not golds or len(golds) < len(listed):
            problems.add(row.place, "field 'sql' must be a query or a list of queries")
            return None
        if unanswerable and not all(map(abstains, golds)):
            problems.add(row.place, "field 'sql' of an unanswerable question must read no table; leave it out")
            return None
        named = {name: str(row.values.get(name) or "") for name in ("id", "database", "evidence", "difficulty")}
        gold = Gold(named["database"], golds, unanswerable)
        id_ = named["id"] or f"{path.stem}-{row.number:04}"
        return Question(id_, question, gold, named["evidence"], named["difficulty"])

    problems = Problems()
    return _read(read_rows(path, problems), read, problems)


def split_golds(text: str) -> tuple[str, ...]:
    """Accepted queries that are written one after another with semicolons; one in a string ends none."""
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import TokenError

    try:
        ends = [token.start for token in tokenize(text, dialect="sqlite") if token.token_type == TokenType.SEMICOLON]
    except TokenError:
        return (text,)
    starts = [0, *(end + 1 for end in ends)]
    parts = [text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True)]
    return tuple(part for part in parts if part) or (text,)


def _listed(path: Path, problems: Problems) -> Iterator[Row]:
    """The objects of a JSON list, numbered from 0 as the official prediction files are."""
    try:
        values = json.loads(read_text(path))
    except json.JSONDecodeError as exc:
        raise TaskFileError(f"{path}:{exc.lineno}:{exc.colno}: not JSON: {exc.msg}") from exc
    if not isinstance(values, list):
        raise TaskFileError(f"{path}: it must be a list of questions")
    for number, value in enumerate(values):
        if isinstance(value, dict):
            yield Row(f"{path}[{number}]", number, value)
        else:
            problems.add(f"{path}[{number}]", f"a question is a JSON object, not {json.dumps(value)[:40]}")


def _read(
    rows: Iterable[Row], read: Callable[[Row, str, Problems], Question | None], problems: Problems
) -> list[Question]:
    found, places = [], dict[str, str]()
    for row in rows:
        asked = row.text("question", problems)
        question = None if asked is None else read(row, asked, problems)
        if question is None:
            continue
        if question.id in places:
            problems.add(row.place, f"the id {question.id!r} is that of {places[question.id]} too")
        places.setdefault(question.id, row.place)
        found.append(question)
    problems.raise_any()
    return found
