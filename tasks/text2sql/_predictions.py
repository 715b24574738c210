"""Files of predicted queries in the official formats, and their evaluation without a model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal, TypeAlias

from archloom.tasks._rows import read_text
from archloom.tasks.errors import TaskFileError
from archloom.tasks.text2sql._questions import Question
from archloom.tasks.text2sql._verdict import SqlScorer, Verdict
from archloom.tools import UsageError

PredictionFormat: TypeAlias = Literal["spider", "bird"]
"""``spider``: one query a line, in the order of the questions, perhaps with a tab and the database behind it.
``bird``: a JSON object of ``"0": "QUERY\\t----- bird -----\\tDATABASE"``."""

_BIRD = "\t----- bird -----\t"
_AT_ONCE = 8


@dataclass(frozen=True)
class PredictionReport:
    """What an evaluation of predictions found.

    Attributes:
        metric: Name of the scorer.
        verdicts: By id of the question, in order; those with the outcome ``gold_failed`` are not scored.
    """

    metric: str
    verdicts: Mapping[str, Verdict]

    @property
    def scored(self) -> list[Verdict]:
        """Verdicts on questions whose gold runs."""
        return [verdict for verdict in self.verdicts.values() if verdict.outcome != "gold_failed"]

    @property
    def score(self) -> float:
        """Mean score of the scored questions, up to 1.118 for ``r_ves``; NaN when there are none."""
        return fmean(verdict.score for verdict in self.scored) if self.scored else float("nan")

    @property
    def outcomes(self) -> Counter[str]:
        """How many verdicts have each outcome; ``gold_failed`` counts the questions that were left out."""
        return Counter(verdict.outcome for verdict in self.verdicts.values())


def read_predictions(path: Path, format: PredictionFormat, questions: Sequence[Question]) -> dict[str, str]:
    """Predicted queries by the questions' ids. A question without one is missing.

    Raises:
        TaskFileError: the file is not in this format, or belongs to other questions.
    """
    text = read_text(path)
    if format == "spider":
        lines = text.rstrip("\n").split("\n")
        if len(lines) > len(questions):
            raise TaskFileError(f"{path}: {len(lines)} lines are more than the {len(questions)} questions")
        pairs = [(number, *line.partition("\t")[::2]) for number, line in enumerate(lines)]
    else:
        pairs = [(number, *entry.rpartition(_BIRD)[::2]) for number, entry in _bird_entries(path, text, len(questions))]
    found = {}
    for number, sql, database in pairs:
        question = questions[number]
        if database.strip() not in {"", question.gold.db_id}:
            mine, wanted = database.strip(), question.gold.db_id
            raise TaskFileError(f"{path}: prediction {number} is for database {mine!r}, its question for {wanted!r}")
        if sql.strip():
            found[question.id] = sql
    return found


def write_predictions(
    path: Path, format: PredictionFormat, questions: Sequence[Question], predictions: Mapping[str, str]
) -> None:
    """Writes queries, by the questions' ids, as the official evaluation takes them; a missing one stays empty.

    Raises:
        UsageError: a query cannot be written in one line, as Spider wants it.
    """
    queries = [predictions.get(question.id, "") for question in questions]
    if format == "spider":
        lines = [
            f"{one_line(sql, question.id)}\t{question.gold.db_id}\n"
            for question, sql in zip(questions, queries, strict=True)
        ]
        path.write_text("".join(lines), encoding="utf-8")
    else:
        pairs = enumerate(zip(questions, queries, strict=True))
        entries = {str(number): f"{sql}{_BIRD}{question.gold.db_id}" for number, (question, sql) in pairs}
        path.write_text(json.dumps(entries, indent=4), encoding="utf-8")


def evaluate_predictions(
    questions: Sequence[Question], predictions: Mapping[str, str], scorer: SqlScorer
) -> PredictionReport:
    """Judges each prediction. Nothing that is in one ends the evaluation; a missing one scores 0 (``no_sql``)."""

    def judge(question: Question) -> Verdict:
        verdict = scorer.verdict(predictions.get(question.id, ""), question.gold)
        missing = question.id not in predictions and verdict.outcome != "gold_failed"
        return Verdict(0.0, "no_sql") if missing else verdict

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        verdicts = list(threads.map(judge, questions))
    ids = [question.id for question in questions]
    return PredictionReport(scorer.name, dict(zip(ids, verdicts, strict=True)))


def one_line(sql: str, id: str) -> str:
    """The query in one line, without comments.

    Raises:
        UsageError: a string in it has a tab or a line break.
    """
    from sqlglot import tokenize
    from sqlglot.errors import TokenError

    if not any(char in sql for char in "\t\r\n"):
        return sql
    try:
        words = [sql[token.start : token.end + 1] for token in tokenize(sql, dialect="sqlite")]
    except TokenError:
        words = sql.split()  # it is no SQL, so nothing is lost
    line = " ".join(words)
    if any(char in line for char in "\t\r\n"):
        raise UsageError(
            f"the query of {id!r} has a line break or a tab in a string, which Spider's format cannot hold.",
            hint="Write it as char(10) or char(9), or use the format 'bird'.",
        )
    return line


def _bird_entries(path: Path, text: str, most: int) -> list[tuple[int, str]]:
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as exc:
        raise TaskFileError(f"{path}:{exc.lineno}:{exc.colno}: not JSON: {exc.msg}") from exc
    if not isinstance(entries, dict):
        raise TaskFileError(f"{path}: predictions are a JSON object, by the number of the question")
    found = []
    for key, entry in entries.items():
        if not key.isdecimal() or int(key) >= most or not isinstance(entry, str):
            raise TaskFileError(f"{path}: {key!r} is no number below {most}, or its entry is no text")
        if _BIRD not in entry:
            entry = entry + _BIRD
        found.append((int(key), entry))
    return found
