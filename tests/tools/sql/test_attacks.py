"""Queries that try to get out: none does, the machine is as it was, and each ends within its limits."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from archloom.tools.sql import Rows, SQLiteDatabase, SqlLimits

LIMITS = SqlLimits(timeout_s=1.0, rows=10_000)
KILLED_BY_S = LIMITS.timeout_s + 1.0 + 1.5
"""Its time, the grace before the kill, and a busy machine."""
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "

FORBIDDEN = {
    "attach": "ATTACH DATABASE '{folder}/stolen.sqlite' AS x",
    "attach as a query": "ATTACH (SELECT '{folder}/stolen.sqlite') AS x",
    "attach in memory": "ATTACH ':memory:' AS x",
    "detach": "DETACH main",
    "vacuum into": "VACUUM INTO '{folder}/stolen.sqlite'",
    "pragma": "PRAGMA table_info(city)",
    "pragma that lifts read-only": "PRAGMA query_only = OFF",
    "writable schema": "PRAGMA writable_schema = ON",
    "journal mode": "PRAGMA journal_mode = WAL",
    "folder for temporary files": "PRAGMA temp_store_directory = '{folder}'",
    "heap limit": "PRAGMA hard_heap_limit = 0",
    "pragma as a table": "SELECT * FROM pragma_database_list",
    "extension": "SELECT load_extension('{folder}/evil.so')",
    "tokenizer with a pointer": "SELECT fts3_tokenizer('evil', x'4141414141414141')",
    "pointer of a tokenizer": "SELECT hex(fts3_tokenizer('simple'))",
    "virtual table": "CREATE VIRTUAL TABLE temp.v USING fts5(a)",
    "pages of the file": "SELECT * FROM dbstat",
    "temporary table": "CREATE TEMP TABLE t AS SELECT 1",
    "temporary view": "CREATE TEMP VIEW v AS SELECT 1",
    "temporary trigger": "CREATE TEMP TRIGGER r AFTER INSERT ON city BEGIN SELECT 1; END",
    "insert": "INSERT INTO city VALUES (9, 'x', NULL)",
    "insert in a with": "WITH x AS (SELECT 9) INSERT INTO city (id, name) SELECT *, 'x' FROM x RETURNING *",
    "update": "UPDATE city SET name = 'x' RETURNING *",
    "delete": "DELETE FROM city RETURNING *",
    "schema table": "UPDATE sqlite_master SET sql = 'x'",
    "drop": "DROP TABLE city",
    "alter": "ALTER TABLE city RENAME TO town",
    "reindex": "REINDEX",
    "analyze": "ANALYZE",
    "explained write": "EXPLAIN DELETE FROM city",
    "savepoint": "SAVEPOINT s",
    "commit": "COMMIT",
}
SECOND = {
    "second statement": "SELECT 1; DROP TABLE city",
    "second statement after a comment": "SELECT 1; /* ; */ DROP TABLE city --",
    "second statement with attach": "SELECT 1;ATTACH '{folder}/stolen.sqlite' AS x",
}
HEAVY = {
    "endless rows": (NUMBERS + "SELECT i FROM n", {"row_cap"}),
    "endless sum": (NUMBERS + "SELECT sum(i) FROM n", {"timeout"}),
    "endless memory": (NUMBERS + "SELECT count(DISTINCT hex(randomblob(500))) FROM n", {"timeout", "too_large"}),
    "endless sort": (NUMBERS + "SELECT i, hex(randomblob(999)) FROM n ORDER BY 2", {"timeout", "too_large"}),
    "endless string": (NUMBERS + "SELECT group_concat(hex(zeroblob(9999))) FROM n", {"timeout", "too_large"}),
    "cross join": (
        "SELECT count(*) FROM " + ", ".join(f"sqlite_master AS a{n}, city AS b{n}" for n in range(12)),
        {"timeout"},
    ),
    "blob of a gigabyte": ("SELECT randomblob(1000000000)", {"too_large"}),
    "zeroes of a gigabyte": ("SELECT hex(zeroblob(1000000000))", {"too_large"}),
    "many big blobs": (NUMBERS + "SELECT randomblob(9000000) FROM n", {"too_large", "timeout"}),
    "doubling": ("SELECT " + "replace(" * 30 + "'aa'" + ", 'a', 'aa')" * 30, {"too_large"}),
    "padding": ("SELECT length(printf('%1000000000d', 1))", {"ok", "too_large"}),
    "one long operation": ("SELECT instr(zeroblob(9000000), zeroblob(4000000) || x'01')", {"timeout"}),
    "LIKE bomb": (
        "SELECT hex(zeroblob(4000000)) LIKE '" + "%0" * 4000 + "%1'",
        {"timeout", "error", "ok"},
    ),
    "GLOB bomb": ("SELECT hex(zeroblob(2000000)) GLOB '" + "*[0-9]" * 1500 + "x'", {"timeout", "error", "ok"}),
    "deep expression": ("SELECT " + "abs(" * 9000 + "1" + ")" * 9000, {"error"}),
    "many columns": ("SELECT " + ", ".join(["*"] * 3000) + " FROM city", {"error"}),
    "many queries": (" UNION ALL ".join(["SELECT 1"] * 5000), {"error", "ok"}),
}


def _state(folder: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


@pytest.mark.parametrize("sql", FORBIDDEN.values(), ids=FORBIDDEN)
def test_anything_but_reading_is_refused(shop: SQLiteDatabase, tmp_path: Path, sql: str) -> None:
    before = _state(tmp_path)
    result = shop.execute(sql.replace("{folder}", str(tmp_path)), limits=LIMITS)
    assert result.outcome in {"not_read_only", "error"}, result
    assert _state(tmp_path) == before
    assert shop.execute("SELECT count(*) FROM city").outcome == "ok"


@pytest.mark.parametrize("sql", SECOND.values(), ids=SECOND)
def test_second_statement_is_refused_with_the_first(shop: SQLiteDatabase, tmp_path: Path, sql: str) -> None:
    before = _state(tmp_path)
    assert shop.execute(sql.replace("{folder}", str(tmp_path)), limits=LIMITS).outcome == "several_statements"
    assert _state(tmp_path) == before


@pytest.mark.parametrize(("sql", "outcomes"), HEAVY.values(), ids=HEAVY)
def test_heavy_query_ends_within_its_limits(shop: SQLiteDatabase, tmp_path: Path, sql: str, outcomes: set[str]) -> None:
    before, started = _state(tmp_path), time.monotonic()
    result = shop.execute(sql, limits=LIMITS)
    assert result.outcome in outcomes, result
    assert time.monotonic() - started < KILLED_BY_S
    assert _state(tmp_path) == before
    after = shop.execute("SELECT count(*) FROM city")
    assert isinstance(after, Rows)
    assert after.rows == ((3,),)


def test_nothing_outlives_a_query(shop: SQLiteDatabase) -> None:
    """Settings and tables of one query would change what the next one sees: the same worker answers both."""
    for sql in ("PRAGMA case_sensitive_like = ON", "CREATE TEMP TABLE city (id)", "ATTACH ':memory:' AS other"):
        shop.execute(sql)
    result = shop.execute("SELECT (SELECT count(*) FROM city), 'A' LIKE 'a'")
    assert isinstance(result, Rows)
    assert result.rows == ((3, 1),)


def test_query_does_not_see_our_environment_or_files(shop: SQLiteDatabase, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret")
    for sql in (f"SELECT readfile('{tmp_path}/secret.csv')", f"SELECT * FROM csv('{tmp_path}/secret.csv')"):
        assert shop.execute(sql).outcome == "error"
