"""SQLite: results as plain sqlite3 gives them, and a defined outcome for everything else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from archloom.tools import ToolError
from archloom.tools.sql import ForeignKey, QueryPool, Rows, SqlFailure, SQLiteDatabase, SqlLimits

Make = Callable[..., SQLiteDatabase]
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT i FROM n"


def rows(result: Rows | SqlFailure) -> tuple[tuple[object, ...], ...]:
    assert isinstance(result, Rows), result
    return result.rows


def test_result_has_columns_rows_and_a_duration(shop: SQLiteDatabase) -> None:
    result = shop.execute("SELECT id, name AS name, 1 AS name FROM city ORDER BY id DESC LIMIT 2")
    assert isinstance(result, Rows)
    assert result.columns == ("id", "name", "name")
    assert result.rows == ((3, "Saint-Denis", 1), (2, "Rome", 1))
    assert 0 < result.duration_s < 5
    assert (result.outcome, shop.execute("SELECT 1 WHERE 0").outcome) == ("ok", "empty")


VALUES = {
    "nothing": ("SELECT NULL", None),
    "largest integer": ("SELECT 9223372036854775807", 2**63 - 1),
    "infinity": ("SELECT 9e999", float("inf")),
    "minus infinity": ("SELECT -9e999", float("-inf")),
    "NaN is NULL": ("SELECT 9e999 - 9e999", None),
    "blob": ("SELECT x'00ff7b'", b"\x00\xff{"),
    "empty blob": ("SELECT x''", b""),
    "text that looks like a blob on the wire": ("""SELECT '{"b":"00"}'""", '{"b":"00"}'),
    "text with a NUL": ("SELECT 'a' || char(0) || 'b'", "a\0b"),
    "text that is not UTF-8": ("SELECT CAST(x'61ff62' AS TEXT)", "a\udcffb"),
    "emoji": ("SELECT '🐕'", "🐕"),
    "real": ("SELECT 0.1 + 0.2", 0.1 + 0.2),
    "function that is a table": ("SELECT sum(value) FROM json_each('[1, 2]')", 3),
}


@pytest.mark.parametrize(("sql", "value"), VALUES.values(), ids=VALUES)
def test_value_comes_back_as_it_is(shop: SQLiteDatabase, sql: str, value: object) -> None:
    [[found]] = rows(shop.execute(sql))
    assert (found, type(found)) == (value, type(value))


def test_column_named_value_is_a_column(make: Make) -> None:
    database = make("CREATE TABLE t (value TEXT, [order] INT); INSERT INTO t VALUES ('x', 1)")
    assert rows(database.execute("SELECT value, \"order\" FROM t WHERE value = 'x'")) == (("x", 1),)


BAD_TEXTS = {
    "nothing": ("", "no_statement"),
    "blanks": (" \n\t", "no_statement"),
    "comments only": ("-- a\n/* b */", "no_statement"),
    "semicolon only": (";", "no_statement"),
    "two statements": ("SELECT 1; SELECT 2", "several_statements"),
    "ten megabytes": ("SELECT " + "1+" * 5_000_000 + "1", "too_long"),
    "syntax": ("SELEC 1", "error"),
    "unknown column": ("SELECT nothing FROM city", "error"),
    "NUL": ("SELECT 1\0", "error"),
    "lone surrogate": ("SELECT '\udc80'", "error"),
    "deep": ("SELECT " + "(" * 40_000 + "1" + ")" * 40_000, "error"),
    "write": ("INSERT INTO city VALUES (9, 'x', NULL)", "not_read_only"),
    "DDL": ("CREATE TABLE t (a)", "not_read_only"),
    "transaction": ("BEGIN", "not_read_only"),
}


@pytest.mark.parametrize(("sql", "outcome"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_text_that_is_no_query_has_its_outcome(shop: SQLiteDatabase, sql: str, outcome: str) -> None:
    result = shop.execute(sql)
    assert result.outcome == outcome, result
    assert rows(shop.execute("SELECT count(*) FROM city")) == ((3,),)


def test_million_rows_are_capped_and_none_is_handed_out(shop: SQLiteDatabase) -> None:
    result = shop.execute(COUNT.format(1_000_000))
    assert isinstance(result, SqlFailure)
    assert (result.outcome, result.message) == ("row_cap", "more than 100000 rows")


def test_result_of_exactly_the_limit_is_whole(shop: SQLiteDatabase) -> None:
    assert len(rows(shop.execute(COUNT.format(50), limits=SqlLimits(rows=50)))) == 50
    assert shop.execute(COUNT.format(51), limits=SqlLimits(rows=50)).outcome == "row_cap"


def test_result_with_too_many_bytes_is_none(shop: SQLiteDatabase) -> None:
    sql = f"SELECT hex(zeroblob(50000)) FROM ({COUNT.format(100)})"
    assert shop.execute(sql, limits=SqlLimits(result_bytes=2**20)).outcome == "too_large"
    assert len(rows(shop.execute(sql))) == 100


def test_missing_and_unusable_files_are_unavailable(tmp_path: Path, pool: QueryPool) -> None:
    (tmp_path / "text.sqlite").write_text("no database, but long enough to look at " * 50)
    os.mkfifo(tmp_path / "pipe.sqlite")
    for name in ("missing.sqlite", "text.sqlite", "pipe.sqlite", "."):
        result = SQLiteDatabase(tmp_path / name, pool=pool).execute("SELECT 1 FROM sqlite_master")
        assert result.outcome == "unavailable", (name, result)
    assert not (tmp_path / "missing.sqlite").exists()
    with pytest.raises(ToolError, match=r"missing\.sqlite cannot be read \(unavailable\)"):
        SQLiteDatabase(tmp_path / "missing.sqlite", pool=pool).schema()


def test_damaged_file_is_unavailable(make: Make) -> None:
    database = make(
        "CREATE TABLE t (a); INSERT INTO t SELECT randomblob(900) FROM json_each(json_array(1,2,3,4,5,6,7,8,9))"
    )
    path = Path(database.name)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    assert database.execute("SELECT sum(length(a)) FROM t").outcome == "unavailable"


def test_file_with_odd_characters_in_its_name_is_opened(make: Make) -> None:
    database = make("CREATE TABLE t (a)", "a ?mode=rwc#%41.sqlite")
    assert database.execute("SELECT * FROM t").outcome == "empty"


def test_locked_database_is_locked_and_later_free(shop: SQLiteDatabase) -> None:
    with closing(sqlite3.connect(shop.name, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert shop.execute("SELECT * FROM city").outcome == "locked"
        other.execute("ROLLBACK")
    assert shop.execute("SELECT * FROM city").outcome == "ok"


def test_changed_and_replaced_files_are_read_anew(shop: SQLiteDatabase, make: Make) -> None:
    assert rows(shop.execute("SELECT count(*) FROM city")) == ((3,),)
    with closing(sqlite3.connect(shop.name)) as other, other:
        other.execute("DELETE FROM city WHERE id = 3")
    assert rows(shop.execute("SELECT count(*) FROM city")) == ((2,),)
    Path(shop.name).unlink()
    assert shop.execute("SELECT count(*) FROM city").outcome == "unavailable"
    make("CREATE TABLE city (a)", "shop.sqlite")
    assert rows(shop.execute("SELECT count(*) FROM city")) == ((0,),)


def test_database_in_wal_mode_is_read_without_leaving_files(shop: SQLiteDatabase) -> None:
    path = Path(shop.name)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        with writer:
            writer.execute("INSERT INTO city VALUES (4, 'Oslo', NULL)")
        assert rows(shop.execute("SELECT count(*) FROM city")) == ((4,),)  # it is still in the write-ahead log
    before = sorted(path.parent.iterdir())
    assert rows(shop.execute("SELECT count(*) FROM city")) == ((4,),)
    assert sorted(path.parent.iterdir()) == before


def test_worker_that_dies_costs_one_query(make: Make) -> None:
    with closing(QueryPool(1)) as workers:
        database = SQLiteDatabase(Path(make("CREATE TABLE t (a)").name), pool=workers)
        assert database.execute("SELECT 1").outcome == "ok"
        [worker] = workers._idle
        slow = threading.Timer(0.3, os.kill, (worker._process.pid, signal.SIGKILL))
        slow.start()
        assert database.execute(f"SELECT sum(i) FROM ({COUNT.format(10**9)})").outcome == "crashed"
        slow.join()
        assert database.execute("SELECT 1").outcome == "ok"
        [worker] = workers._idle
        os.kill(worker._process.pid, signal.SIGKILL)
        worker._process.wait()
        assert database.execute("SELECT 1").outcome == "ok"  # one that died idle costs nothing


def test_threads_share_the_workers(shop: SQLiteDatabase) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: rows(shop.execute(f"SELECT {number}"))[0][0], range(200)))
    assert found == list(range(200))


def test_schema_has_types_keys_and_views(shop: SQLiteDatabase) -> None:
    city, opened, sale, big = shop.schema().tables
    assert [(each.name, each.type, each.not_null) for each in city.columns] == [
        ("id", "INTEGER", False),
        ("name", "TEXT", True),
        ("zip code", "TEXT", False),
    ]
    assert (city.primary_key, sale.primary_key) == (("id",), ("shop_id", "day"))
    assert opened.foreign_keys == (ForeignKey(("city_id",), "city", ("id",)),)
    assert sale.keys == {"shop_id", "day"}
    assert (big.name, big.is_view, [each.name for each in big.columns]) == ("big", True, ["title"])


def test_schema_of_a_broken_view_has_no_columns(make: Make) -> None:
    database = make("CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t; DROP TABLE t")
    [view] = database.schema().tables
    assert (view.name, view.columns) == ("v", ())


def test_every_gold_of_spider_has_the_rows_of_plain_sqlite3(shared_data: Path, pool: QueryPool) -> None:
    folder = shared_data / "spider_dev"
    plain: dict[str, sqlite3.Connection] = {}
    for question in json.loads((folder / "dev.json").read_text()):
        name = question["db_id"]
        path = folder / "database" / name / f"{name}.sqlite"
        plain[name] = plain.get(name) or sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        wanted = tuple(plain[name].execute(question["query"]).fetchall())
        assert rows(SQLiteDatabase(path, pool=pool).execute(question["query"])) == wanted
    for connection in plain.values():
        connection.close()
