"""Whatever a database, a gold or a prediction is, each metric says something defined of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from archloom.tasks import TaskError, load_tasks
from archloom.tasks.text2sql import Gold, sql_metric_names, sql_scorer
from archloom.tasks.text2sql._execution import BirdEx, ExecutionScorer, SoftF1, SpiderExec
from archloom.tools.sql import SqlLimits

MakeDatabase = Callable[..., Path]
Spider = Callable[..., Path]
NAMES = "SELECT name, age FROM singer"
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT i FROM n"
EXECUTION: dict[str, Callable[[dict[str, tuple[str, ...]], SqlLimits], ExecutionScorer]] = {
    "spider_exec": SpiderExec,
    "spider_exec_keep_distinct": lambda databases, limits: SpiderExec(databases, limits, True),
    "bird_ex": BirdEx,
    "soft_f1": SoftF1,
}


@pytest.fixture
def databases(database: MakeDatabase) -> dict[str, tuple[str, ...]]:
    return {"concert": (str(database("concert/concert")),)}


PREDICTIONS = {
    # prediction, what the execution metrics say of it, what exact_set_match says
    "nothing": ("", "no_statement", "no_statement"),
    "comments only": ("-- SELECT 1\n/* SELECT 2 */", "no_statement", "no_statement"),
    "two statements": (NAMES + "; SELECT 1", "several_statements", "several_statements"),
    "DDL": ("DROP TABLE singer", "not_read_only", "not_read_only"),
    "DDL behind a query": (NAMES + "; DROP TABLE singer", "several_statements", "several_statements"),
    "write": ("DELETE FROM singer", "not_read_only", "not_read_only"),
    "attach": ("ATTACH '/nowhere' AS x", "not_read_only", "not_read_only"),
    "ten megabytes": ("SELECT " + "1+" * 5_000_000 + "1", "too_long", "too_long"),
    "ten megabytes of DISTINCT": ("SELECT " + "DISTINCT " * 1_200_000 + "1", "too_long", "too_long"),
    "syntax": ("SELECT name, FROM singer WHERE (", "error", "error"),
    "prose": ("I do not know.", "error", "error"),
    "unknown column": ("SELECT nothing FROM singer", "error", "mismatch"),
    "lone surrogate": ("SELECT '\udcff'", "error", "mismatch"),
    "NUL": ("SELECT \0", "error", "mismatch"),
    "deep": ("SELECT " + "(" * 40_000 + "1" + ")" * 40_000, "error", "error"),
    "million rows": (NUMBERS.format(1_000_000), "row_cap", "mismatch"),
    "endless": (f"SELECT max(i) FROM ({NUMBERS.format(-1)})", "timeout", "mismatch"),
    "big value": ("SELECT zeroblob(1000000000)", "too_large", "mismatch"),
    "blob": ("SELECT x'00'", "mismatch", "mismatch"),
    "infinity": ("SELECT 9e999", "mismatch", "mismatch"),
    "NaN": ("SELECT 9e999 - 9e999", "mismatch", "mismatch"),
    "bytes that are not UTF-8": ("SELECT CAST(x'ff' AS TEXT)", "mismatch", "mismatch"),
}


@pytest.mark.parametrize(("sql", "outcome", "exact"), PREDICTIONS.values(), ids=PREDICTIONS)
def test_prediction_that_fails_scores_0_and_says_why(
    databases: dict[str, tuple[str, ...]], sql: str, outcome: str, exact: str
) -> None:
    gold, limits = Gold("concert", (NAMES,)), SqlLimits(timeout_s=0.5 if outcome == "timeout" else 60)
    found = {name: make(databases, limits).verdict(sql, gold) for name, make in EXECUTION.items()}
    found["exact_set_match"] = sql_scorer("exact_set_match", databases).verdict(sql, gold)
    wanted = dict.fromkeys(EXECUTION, outcome) | {"exact_set_match": exact}
    assert {name: verdict.outcome for name, verdict in found.items()} == wanted
    assert {verdict.score for verdict in found.values()} == {0}


VALUES = {
    # gold, prediction, whether they are the same
    "blob and itself": ("SELECT x'00ff'", "SELECT x'00ff'", True),
    "blob and another": ("SELECT x'00ff'", "SELECT x'00fe'", False),
    "blob and its text": ("SELECT x'61'", "SELECT 'a'", False),
    "empty blob and NULL": ("SELECT x''", "SELECT NULL", False),
    "empty text and NULL": ("SELECT ''", "SELECT NULL", False),
    "infinity and itself": ("SELECT 9e999", "SELECT 9e998", True),
    "infinity and minus infinity": ("SELECT 9e999", "SELECT -9e999", False),
    "infinity and a large number": ("SELECT 9e999", "SELECT 1.7e308", False),
    "NaN is NULL in SQLite": ("SELECT 9e999 - 9e999", "SELECT NULL", True),
    "bytes that are not UTF-8 and themselves": ("SELECT CAST(x'61ff' AS TEXT)", "SELECT CAST(x'61ff' AS TEXT)", True),
    "bytes that are not UTF-8 and others": ("SELECT CAST(x'61ff' AS TEXT)", "SELECT CAST(x'61fe' AS TEXT)", False),
    "bytes that are not UTF-8 and what is left without": ("SELECT CAST(x'61ff' AS TEXT)", "SELECT 'a'", False),
    "text with a NUL": ("SELECT 'a' || char(0) || 'b'", "SELECT 'a'", False),
    "large integers": ("SELECT 9223372036854775807", "SELECT 9223372036854775806", False),
    "minus zero": ("SELECT -0.0", "SELECT 0", True),
    "column named value": ("SELECT value FROM singer WHERE value > 1", "SELECT singer.value FROM singer WHERE id <> 2", True),
    "value in a string": ("SELECT 'value'", "SELECT '1'", False),
}  # fmt: skip


@pytest.mark.parametrize(("gold", "given", "same"), VALUES.values(), ids=VALUES)
def test_odd_values_are_compared_as_they_are(
    databases: dict[str, tuple[str, ...]], gold: str, given: str, same: bool
) -> None:
    outcomes = {
        name: sql_scorer(name, databases).verdict(given, Gold("concert", (gold,))).outcome for name in EXECUTION
    }
    assert outcomes == dict.fromkeys(EXECUTION, "match" if same else "mismatch")


def _missing(path: Path) -> None:
    path.unlink()


def _prose(path: Path) -> None:
    path.write_text("this is prose and no database " * 99)


def _damaged(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xa5" * (len(data) - 100))


UNUSABLE = {"missing": _missing, "not a database": _prose, "damaged": _damaged}


@pytest.mark.parametrize("name", sql_metric_names())
@pytest.mark.parametrize("spoil", UNUSABLE.values(), ids=UNUSABLE)
def test_database_that_cannot_be_read_is_no_fault_of_the_prediction(
    databases: dict[str, tuple[str, ...]], name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(Path(databases["concert"][0]))
    verdict = sql_scorer(name, databases).verdict(NAMES, Gold("concert", (NAMES,)))
    assert (verdict.score, verdict.outcome) == (0, "gold_failed")
    assert "unavailable" in verdict.detail


def test_locked_database_is_no_fault_of_the_prediction(databases: dict[str, tuple[str, ...]]) -> None:
    scorer, gold = sql_scorer("spider_exec", databases), Gold("concert", (NAMES,))
    with closing(sqlite3.connect(databases["concert"][0], isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        verdict = scorer.verdict(NAMES, gold)
    assert (verdict.outcome, verdict.detail.partition(":")[0]) == ("gold_failed", "locked")
    assert scorer.verdict(NAMES, gold).outcome == "match"


@pytest.mark.parametrize("name", sql_metric_names())
@pytest.mark.parametrize(
    ("gold", "db_id"),
    [
        pytest.param("SELECT nothing FROM singer (", "concert", id="gold that is no SQL"),
        pytest.param("DROP TABLE singer", "concert", id="gold that writes"),
        pytest.param("SELECT 1; SELECT 2", "concert", id="gold of two statements"),
        pytest.param("-- none", "concert", id="gold without a statement"),
        pytest.param(NAMES, "unknown", id="unknown database"),
    ],
)
def test_gold_that_fails_is_no_fault_of_the_prediction(
    databases: dict[str, tuple[str, ...]], name: str, gold: str, db_id: str
) -> None:
    scorer, wrong = sql_scorer(name, databases), Gold(db_id, (gold,))
    assert scorer.verdict(NAMES, wrong).outcome == "gold_failed"
    with pytest.raises(TaskError, match=r"the gold query of a task on database .* fails"):
        scorer.score(None, f"```sql\n{NAMES}\n```", wrong.target())


def test_result_of_a_million_rows_is_never_compared(databases: dict[str, tuple[str, ...]]) -> None:
    scorer, many = sql_scorer("bird_ex", databases), NUMBERS.format(1_000_000)
    verdict = scorer.verdict(many, Gold("concert", (many,)))
    assert (verdict.outcome, verdict.detail) == ("gold_failed", "row_cap: more than 500000 rows")
    assert scorer.verdict(many, Gold("concert", (NUMBERS.format(2),))).outcome == "row_cap"


@pytest.mark.parametrize(
    ("database", "says"),
    [("nowhere.sqlite", "no such file|No such file"), ("prose.sqlite", "not a database"), (".", "regular file")],
)
def test_own_questions_to_a_database_that_cannot_be_read_are_an_error(tmp_path: Path, database: str, says: str) -> None:
    _prose(tmp_path / "prose.sqlite")
    (tmp_path / "mine.jsonl").write_text(json.dumps({"question": "Who?", "sql": NAMES}))
    with pytest.raises(TaskError, match=rf"1 of 1 questions cannot be scored.*unavailable 1.*({says})"):
        load_tasks(f"sql:mine.jsonl?database={database}", base=tmp_path)


def test_odd_values_and_names_are_shown_in_the_schema(spider: Spider, database: MakeDatabase) -> None:
    folder = spider(("odd", "Which values?", "SELECT value FROM t"))
    database(
        "odd/odd",
        "CREATE TABLE t (value TEXT, b BLOB, r REAL); INSERT INTO t VALUES (CAST(x'61ff' AS TEXT), x'00', 9e999)",
    )
    [example] = load_tasks("spider:.", base=folder).examples
    assert "t(value TEXT" in example.task.question
    example.task.question.encode("utf-8")  # a model client has to
