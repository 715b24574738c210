"""Text2SQL task sets by spec, questions that are left out, and files of predictions."""

from __future__ import annotations

import csv
import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from math import sqrt
from pathlib import Path

import pytest

from archloom.tasks import TaskError, TaskFileError, UnknownTaskSetError, load_tasks, task_loaders
from archloom.tasks.text2sql import (
    Gold,
    Question,
    RVes,
    evaluate_predictions,
    load_text2sql,
    read_bird,
    read_predictions,
    sql_scorer,
    write_predictions,
)
from archloom.tools import UsageError
from archloom.tools.sql import open_database

Spider = Callable[..., Path]
MakeDatabase = Callable[..., Path]
ASKED = ("concert", "How many singers are there?", "SELECT count(*) FROM singer")
OLDEST = ("concert", "Who is the oldest singer?", "SELECT name FROM singer ORDER BY age DESC LIMIT 1")


def test_spider_folder_gives_tasks_with_schema_and_targets_without_leak(spider: Spider) -> None:
    folder = spider(ASKED, OLDEST)
    tasks = load_tasks("spider:.", base=folder)
    assert (tasks.name, len(tasks), tasks.scorer.name) == ("spider:.", 2, "spider_exec")
    [first, second] = tasks.examples
    assert first.task.id == "spider-0000"
    assert "singer(id INTEGER key 1 2 3, name TEXT 'Ada' 'Bo' 'Cy', age INTEGER 20 30" in first.task.question
    assert first.task.question.endswith("Question: How many singers are there?")
    assert "SELECT" not in json.dumps([first.task.messages, dict(first.task.context)])
    assert first.task.context["db_id"] == "concert"
    assert open_database(str(first.task.context["database"])).execute(ASKED[2]).outcome == "ok"
    assert tasks.scorer.score(None, "```sql\nSELECT 3\n```", first.target) == 1
    assert tasks.scorer.score(None, "```sql\nSELECT 3\n```", second.target) == 0


def test_parameters_choose_metric_and_schema(spider: Spider) -> None:
    folder = spider(ASKED)
    tasks = load_tasks("spider:.?metric=bird_ex&schema_tokens=0", base=folder)
    assert tasks.scorer.name == "bird_ex"
    assert "Tables:" not in tasks.examples[0].task.question
    assert tasks.name == "spider:.?metric=bird_ex&schema_tokens=0"
    with pytest.raises(UnknownTaskSetError, match=r"has no parameter 'metrics'.*Did you mean 'metric'"):
        load_tasks("spider:.?metrics=bird_ex", base=folder)
    with pytest.raises(TaskError, match="schema_tokens='-1'"):
        load_tasks("spider:.?schema_tokens=-1", base=folder)
    with pytest.raises(UsageError, match="there is no metric 'x'"):
        load_tasks("spider:.?metric=x", base=folder)


def test_timing_is_refused_for_tasks_before_anything_runs(spider: Spider) -> None:
    folder = spider(("concert", "Broken gold?", "SELECT nothing FROM singer"))
    with pytest.raises(UsageError, match=r"metric=r_ves cannot score tasks: it is a timing") as refused:
        load_tasks("spider:.?metric=r_ves", base=folder)
    assert "metric=bird_ex" in str(refused.value.hint)


def test_questions_that_cannot_be_scored_are_left_out_counted_and_reported(
    spider: Spider, database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    folder = spider(
        ASKED,
        ("unknown", "Unknown database?", "SELECT 1"),
        ("concert", "Broken gold?", "SELECT nothing FROM singer"),
        ("concert", "Gold that writes?", "DELETE FROM singer"),
        ("concert", "Gold of two?", "SELECT 1; SELECT 2"),
        ("text", "Not a database?", "SELECT 1 FROM t"),
        ("locked", "Locked?", "SELECT * FROM singer"),
        ("empty", "No file?", "SELECT 1"),
    )
    (folder / "database/text").mkdir()
    (folder / "database/text/text.sqlite").write_text("this is prose and no database " * 99)
    (folder / "database/empty").mkdir()
    locked = database("locked/locked")
    with closing(sqlite3.connect(locked, isolation_level=None)) as other, caplog.at_level(logging.WARNING):
        other.execute("BEGIN EXCLUSIVE")
        loaded = load_text2sql("spider", ".", folder)
    assert [example.task.id for example in loaded.tasks.examples] == ["spider-0000"]
    assert {each.id: each.reason for each in loaded.left_out} == {
        "spider-0001": "no_database",
        "spider-0002": "error",
        "spider-0003": "not_read_only",
        "spider-0004": "several_statements",
        "spider-0005": "unavailable",
        "spider-0006": "locked",
        "spider-0007": "no_database",
    }
    assert "7 of 8 questions cannot be scored and are left out (no_database 2, " in caplog.text


def test_set_in_which_no_question_can_be_scored_is_an_error(spider: Spider) -> None:
    with pytest.raises(TaskError, match=r"1 of 1 questions .*no such column: nowhere"):
        load_tasks("spider:.", base=spider(("concert", "Broken?", "SELECT nowhere FROM singer")))
    assert (
        len(load_tasks("spider:.?check=false", base=spider(("concert", "Broken?", "SELECT nowhere FROM singer")))) == 1
    )


BAD_FILES = {
    "no folder": (None, "there is no dev.json in it"),
    "not JSON": ("[{]", r"dev\.json:1:3: not JSON"),
    "no list": ("{}", "must be a list of questions"),
    "no object": ("[1]", r"dev\.json\[0\]: a question is a JSON object"),
    "no query": ('[{"db_id": "a", "question": "b"}]', "no field 'query'"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file_is_refused_with_its_place(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "dev.json").write_text(text)
    with pytest.raises(TaskFileError, match=message):
        load_tasks("spider:.", base=tmp_path)


def test_bird_folder_brings_evidence_and_difficulty(tmp_path: Path, database: MakeDatabase) -> None:
    database("concert/concert")
    entry = {"question_id": 7, "db_id": "concert", "question": "How old?", "evidence": "old means age", "SQL": "SELECT age FROM singer", "difficulty": "simple"}  # fmt: skip
    (tmp_path / "mini_dev_sqlite.json").write_text(json.dumps([entry]))
    [example] = load_tasks("bird:.", base=tmp_path).examples
    assert (example.task.id, example.target.data["difficulty"]) == ("bird-7", "simple")
    assert "Evidence: old means age\n\nQuestion: How old?" in example.task.question


def test_defog_file_brings_several_golds_and_questions_without_an_answer(
    tmp_path: Path, database: MakeDatabase
) -> None:
    database("concert/concert")
    with (tmp_path / "q.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["db_name", "query", "question", "instructions"])
        writer.writerow(
            ["concert", "SELECT name FROM singer;SELECT id FROM singer WHERE name <> ';'", "Which singers?", ""]
        )
        writer.writerow(["concert", "SELECT 'No data.' AS answer;", "Why?", "Say so\nif there is no data."])
    tasks = load_tasks("defog:q.csv", base=tmp_path)
    first, second = tasks.examples
    assert first.target.data["golds"] == ["SELECT name FROM singer", "SELECT id FROM singer WHERE name <> ';'"]
    assert [each.target.data["unanswerable"] for each in tasks.examples] == [False, True]
    assert "Evidence: Say so\nif there is no data." in second.task.question
    assert tasks.scorer.score(None, "SELECT id FROM singer", first.target) == 1
    assert tasks.scorer.score(None, "SELECT 'There is none.'", second.target) == 1


def test_own_questions_to_any_database(tmp_path: Path, database: MakeDatabase) -> None:
    database("concert/concert")
    lines = [
        {"id": "a", "question": "Names?", "sql": ["SELECT name FROM singer", "SELECT id FROM singer"]},
        {"question": "Titles?", "sql": "SELECT title FROM song", "database": "database/concert/concert.sqlite"},
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    tasks = load_tasks("sql:mine.jsonl?database=database/concert/concert.sqlite", base=tmp_path)
    assert [each.task.id for each in tasks.examples] == ["a", "mine-0002"]
    assert len(tasks.examples[0].target.data["golds"]) == 2  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=r"says no database.*\?database=FILE"):
        load_tasks("sql:mine.jsonl", base=tmp_path)
    with pytest.raises(TaskError, match="must not hold a password"):
        load_tasks("sql:mine.jsonl?database=postgresql://me:secret@host/db", base=tmp_path)


def test_all_layouts_are_registered() -> None:
    assert {"bird", "defog", "spider", "sql"} <= set(task_loaders())


QUESTIONS = [
    Question("q0", "How many?", Gold("concert", ("SELECT count(*) FROM singer",))),
    Question("q1", "Who?", Gold("concert", ("SELECT name FROM singer",))),
    Question("q2", "What?", Gold("concert", ("SELECT nothing",))),
    Question("q3", "Which?", Gold("concert", ("SELECT id FROM singer",))),
]


@pytest.mark.parametrize("format", ["spider", "bird"])
def test_predictions_come_back_from_their_file(tmp_path: Path, format: str) -> None:
    given = {"q0": "SELECT count(*) -- all\nFROM singer", "q1": "SELECT 'a  b',\n1", "q2": "no SQL at\nall '"}
    write_predictions(tmp_path / "p", format, QUESTIONS, given)  # type: ignore[arg-type]
    found = read_predictions(tmp_path / "p", format, QUESTIONS)  # type: ignore[arg-type]
    spider = {"q0": "SELECT count ( * ) FROM singer", "q1": "SELECT 'a  b' , 1", "q2": "no SQL at all '"}
    assert found == (spider if format == "spider" else given)


def test_official_formats_are_as_documented(tmp_path: Path) -> None:
    write_predictions(tmp_path / "s", "spider", QUESTIONS[:2], {"q0": "SELECT 1"})
    assert (tmp_path / "s").read_text() == "SELECT 1\tconcert\n\tconcert\n"
    write_predictions(tmp_path / "b", "bird", QUESTIONS[:1], {"q0": "SELECT 1"})
    assert json.loads((tmp_path / "b").read_text()) == {"0": "SELECT 1\t----- bird -----\tconcert"}
    (tmp_path / "plain").write_text("SELECT 1\n\nSELECT 3\n")
    assert read_predictions(tmp_path / "plain", "spider", QUESTIONS) == {"q0": "SELECT 1", "q2": "SELECT 3"}


def test_predictions_for_other_questions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("SELECT 1\tother\n")
    with pytest.raises(TaskFileError, match="prediction 0 is for database 'other', its question for 'concert'"):
        read_predictions(tmp_path / "p", "spider", QUESTIONS)
    (tmp_path / "p").write_text("SELECT 1\n" * 5)
    with pytest.raises(TaskFileError, match="5 lines are more than the 4 questions"):
        read_predictions(tmp_path / "p", "spider", QUESTIONS)
    (tmp_path / "p").write_text('{"9": "SELECT 1"}')
    with pytest.raises(TaskFileError, match="'9' is no number below 4"):
        read_predictions(tmp_path / "p", "bird", QUESTIONS)
    with pytest.raises(UsageError, match="a line break or a tab in a string"):
        write_predictions(tmp_path / "p", "spider", QUESTIONS, {"q0": "SELECT 'a\nb'"})


def test_evaluation_goes_on_over_whatever_is_predicted(database: MakeDatabase) -> None:
    scorer = sql_scorer("spider_exec", {"concert": (str(database("concert/concert")),)})
    report = evaluate_predictions(QUESTIONS, {"q0": "SELECT 3", "q1": "DROP TABLE singer", "q2": "SELECT 1"}, scorer)
    assert {id_: verdict.outcome for id_, verdict in report.verdicts.items()} == {
        "q0": "match",
        "q1": "not_read_only",
        "q2": "gold_failed",
        "q3": "no_sql",
    }
    assert report.score == pytest.approx(1 / 3)
    assert report.outcomes["gold_failed"] == 1
    assert report.metric == "spider_exec"


def test_predictions_can_be_timed(database: MakeDatabase) -> None:
    scorer = RVes({"concert": (str(database("concert/concert")),)}, repeats=3)
    report = evaluate_predictions(QUESTIONS[:2], {"q0": QUESTIONS[0].gold.queries[0], "q1": "SELECT 1"}, scorer)
    assert report.outcomes == {"match": 1, "mismatch": 1}
    assert 0.25 <= report.score <= sqrt(1.25) / 2


def test_official_bird_predictions_are_read(shared_data: Path) -> None:
    folder = shared_data / "bird_mini_dev_questions"
    questions = read_bird(folder / "mini_dev_sqlite.json")
    found = read_predictions(folder / "predict_mini_dev_gpt-4-turbo_sqlite.json", "bird", questions)
    assert (len(questions), len(found)) == (500, 500)
    assert sorted({each.difficulty for each in questions}) == ["challenging", "moderate", "simple"]


DEFOG = {"questions_gen_sqlite": (210, 57), "instruct_basic_sqlite": (40, 0), "instruct_advanced_sqlite": (64, 7), "idk": (105, 0)}  # fmt: skip


@pytest.mark.parametrize("name", DEFOG)
def test_every_gold_of_defog_runs_and_matches_itself(shared_data: Path, name: str) -> None:
    loaded = load_text2sql("defog", f"{name}.csv?schema_tokens=0", shared_data / "defog_sql_eval")
    assert loaded.left_out == ()
    several = sum(len(each.gold.queries) > 1 for each in loaded.questions)
    assert (len(loaded.questions), several) == DEFOG[name]
    assert all(each.gold.unanswerable == (name == "idk") for each in loaded.questions)
    for gold in (0, -1):
        predictions = {each.id: each.gold.queries[gold] for each in loaded.questions}
        scorer = sql_scorer("spider_exec", loaded.databases)
        assert evaluate_predictions(loaded.questions, predictions, scorer).score == 1


def test_all_of_spider_is_loaded(shared_data: Path) -> None:
    loaded = load_text2sql("spider", "spider_dev", shared_data)
    assert (len(loaded.questions), len(loaded.databases), loaded.left_out) == (972, 19, ())
