"""PostgreSQL: a server started for the test, and a role with no rights but reading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archloom.tools import ToolError
from archloom.tools.sql import (
    ForeignKey,
    PostgresDatabase,
    Rows,
    SqlFailure,
    SqlLimits,
    ValueIndex,
    render_schema,
    sample_values,
)

pytestmark = pytest.mark.slow
TABLES = """
CREATE TABLE singer (id integer PRIMARY KEY, name text NOT NULL, height numeric, born date);
CREATE TABLE song (id integer PRIMARY KEY, singer_id integer REFERENCES singer (id), title text);
INSERT INTO singer VALUES (1, 'Ada', 1.5, '1990-01-02'), (2, 'Bo', 2.0, NULL);
CREATE SEQUENCE numbers;
CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
"""


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[PostgresDatabase]:
    import psycopg

    with psycopg.connect(f"{postgres_server} user=owner", autocommit=True) as connection:
        connection.execute(TABLES.encode())
    opened = PostgresDatabase(f"{postgres_server} user=reader")
    yield opened
    opened.close()


def test_query_gives_rows_with_plain_values(database: PostgresDatabase) -> None:
    result = database.execute(
        "SELECT name, height, born, id > 1, '\\x00ff'::bytea, 'NaN'::float8 FROM singer ORDER BY id"
    )
    assert isinstance(result, Rows)
    assert result.columns[:3] == ("name", "height", "born")
    assert [row[:5] for row in result.rows] == [
        ("Ada", 1.5, "1990-01-02", False, b"\x00\xff"),
        ("Bo", 2, None, True, b"\x00\xff"),
    ]
    assert database.execute("SELECT * FROM singer WHERE false").outcome == "empty"


ATTACKS = {
    "write": ("INSERT INTO singer VALUES (3, 'Eve')", "not_read_only"),
    "write in a with": ("WITH x AS (DELETE FROM singer RETURNING id) SELECT * FROM x", "not_read_only"),
    "write in a function": ("SELECT setval('numbers', 9)", "not_read_only"),
    "second statement": ("SELECT 1; DROP TABLE singer", "several_statements"),
    "end of the transaction": ("COMMIT", "not_read_only"),
    "file": ("SELECT pg_read_file('/etc/hostname')", "not_read_only"),
    "program": ("COPY singer TO PROGRAM 'id'", "not_read_only"),
    "rights": ("SET ROLE owner", "not_read_only"),
    "sleep": ("SELECT pg_sleep(60)", "timeout"),
    "endless": ("WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT max(n) FROM x", "timeout"),
    "writable again": ("SELECT set_config('transaction_read_only', 'off', false)", "error"),
    "rows": ("SELECT generate_series(1, 1000000)", "row_cap"),
    "bytes": ("SELECT repeat('x', 10000000) FROM generate_series(1, 9)", "too_large"),
    "comment": ("-- nothing", "no_statement"),
    "unknown table": ("SELECT * FROM nowhere", "error"),
    "surrogate": ("SELECT '\udc80'", "error"),
}


@pytest.mark.parametrize(("sql", "outcome"), ATTACKS.values(), ids=ATTACKS)
def test_attack_has_its_outcome_and_changes_nothing(database: PostgresDatabase, sql: str, outcome: str) -> None:
    result = database.execute(sql, limits=SqlLimits(timeout_s=1, rows=1000))
    assert result.outcome == outcome, result
    assert result.duration_s < 4
    after = database.execute("SELECT count(*) FROM singer")
    assert isinstance(after, Rows)
    assert after.rows == ((2,),)


def test_large_object_which_older_servers_let_be_made_is_rolled_back(database: PostgresDatabase) -> None:
    database.execute("SELECT lo_create(0)")
    left = database.execute("SELECT count(*) FROM pg_largeobject_metadata")
    assert isinstance(left, Rows)
    assert left.rows == ((0,),)


def test_settings_do_not_outlive_the_query_that_makes_them(database: PostgresDatabase) -> None:
    database.execute("SELECT set_config('statement_timeout', '0', false), pg_advisory_lock(7)")
    assert database.execute("SELECT pg_sleep(60)", limits=SqlLimits(timeout_s=0.2)).outcome == "timeout"
    held = database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    assert isinstance(held, Rows)
    assert held.rows == ((0,),)


def test_schema_has_types_and_keys(database: PostgresDatabase) -> None:
    singer, song = database.schema().tables
    assert (singer.name, singer.primary_key) == ("singer", ("id",))
    assert [(column.name, column.type, column.not_null) for column in singer.columns][1] == ("name", "text", True)
    assert song.foreign_keys == (ForeignKey(("singer_id",), "singer", ("id",)),)


def test_prompts_are_made_as_for_sqlite(database: PostgresDatabase) -> None:
    schema = database.schema()
    text = render_schema(schema, samples=sample_values(database, schema, each=1))
    assert "singer(id integer key 1, name text 'Ada', height numeric 1.5, born date '1990-01-02')" in text
    assert "singer_id integer -> singer.id" in text
    assert [match.value for match in ValueIndex.build(database, schema).search("How tall is Bo?")] == ["Bo"]


def test_role_with_rights_over_the_server_is_refused(postgres_server: str, database: PostgresDatabase) -> None:
    with pytest.raises(ToolError, match=r"rights over the server.*CREATE ROLE reader"):
        PostgresDatabase(f"{postgres_server} user=owner").execute("SELECT 1")


def test_server_that_is_not_there_is_unavailable() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    result = PostgresDatabase("host=127.0.0.1 port=1 dbname=x user=y").execute("SELECT 1")
    assert isinstance(result, SqlFailure)
    assert result.outcome == "unavailable"
