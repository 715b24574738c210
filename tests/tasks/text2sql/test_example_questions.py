"""The questions of the example: their golds run, say what they should, and the databases are always the same."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archloom.tasks.text2sql import Gold, load_text2sql, sql_scorer
from archloom.tasks.text2sql._loaders import Text2SqlTasks
from archloom.tools.sql import Rows, open_database, schema_of

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "text2sql"


def _seeded(folder: Path) -> Path:
    shutil.copy(EXAMPLE / "questions.jsonl", folder)
    command = [sys.executable, str(EXAMPLE / "seed.py"), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(folder / f"{name}.sqlite") for name in ("shop", "school", "works")]
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _seeded(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Text2SqlTasks:
    return load_text2sql("sql", "questions.jsonl", folder)


def test_there_are_fifty_questions_and_eight_cannot_be_answered(loaded: Text2SqlTasks) -> None:
    assert (len(loaded.tasks), loaded.left_out) == (50, ())
    assert loaded.tasks.answer == "sql"
    assert sum(question.gold.unanswerable for question in loaded.questions) == 8
    assert sum(len(question.gold.queries) > 1 for question in loaded.questions) >= 15


def test_every_accepted_query_runs_and_is_right(loaded: Text2SqlTasks) -> None:
    scorer = sql_scorer("bird_ex", loaded.databases)
    for question in loaded.questions:
        for query in question.gold.queries:
            [location] = loaded.databases[question.gold.db_id]
            result = open_database(location).execute(query)
            assert isinstance(result, Rows), (question.id, result)
            assert result.rows, f"{question.id} is answered by nothing"
            only = Gold(question.gold.db_id, (query,), question.gold.unanswerable)
            assert scorer.verdict(query, only).outcome == "match", question.id


def test_ties_are_part_of_the_answer(loaded: Text2SqlTasks) -> None:
    scorer = sql_scorer("bird_ex", loaded.databases)
    gold = next(question.gold for question in loaded.questions if question.id == "shop-dearest")
    assert scorer.verdict("SELECT name FROM product ORDER BY price DESC LIMIT 1", gold).outcome == "mismatch"
    assert scorer.verdict("SELECT name FROM product WHERE price >= 99.5", gold).outcome == "match"


@pytest.mark.parametrize(
    ("sql", "outcome"),
    [
        ("SELECT 'unanswerable'", "match"),
        ("SELECT NULL", "match"),
        ("SELECT name FROM product", "mismatch"),
        ("SELECT weight FROM product", "error"),
    ],
)
def test_unanswerable_question_wants_a_query_that_reads_no_table(loaded: Text2SqlTasks, sql: str, outcome: str) -> None:
    gold = next(question.gold for question in loaded.questions if question.id == "shop-weights")
    assert sql_scorer("bird_ex", loaded.databases).verdict(sql, gold).outcome == outcome


def test_databases_hold_what_makes_questions_hard(folder: Path) -> None:
    def rows(name: str, sql: str) -> list[object]:
        result = open_database(str(folder / f"{name}.sqlite")).execute(sql)
        assert isinstance(result, Rows), result
        return [value for (value,) in result.rows]

    assert len(schema_of(str(folder / "works.sqlite")).tables) == 40
    assert rows("shop", "SELECT count(*) FROM customer WHERE city IS NULL") == [3]
    assert rows("shop", 'SELECT min("ship date") FROM "order"')[0] == "2023-01-28"
    assert len(rows("shop", "SELECT name FROM product WHERE price = (SELECT max(price) FROM product)")) > 1
    assert rows("school", "SELECT count(*) - count(DISTINCT name) FROM teacher") == [1]


def test_databases_are_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    again = _seeded(tmp_path)
    for name in ("shop", "school", "works"):
        one, other = (hashlib.sha256((at / f"{name}.sqlite").read_bytes()).digest() for at in (folder, again))
        assert one == other, name
