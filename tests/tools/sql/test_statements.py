"""What SQL texts are, and finding them in what a model wrote."""

from __future__ import annotations

import pytest

from archloom.tools.sql import (
    Column,
    ColumnRef,
    Schema,
    SqlFailure,
    Statement,
    Table,
    find_sql,
    is_ordered,
    read_statement,
)

SCHEMA = Schema(
    "sqlite",
    (
        Table("Singer", (Column("Id", "INT"), Column("Name", "TEXT"))),
        Table("Song", (Column("Id", "INT"), Column("Title", "TEXT"), Column("Singer_Id", "INT"))),
    ),
)
QUERIES = {
    "plain": ("SELECT name FROM singer", ("singer",), {("Singer", "Name")}),
    "star": ("SELECT * FROM singer", ("singer",), set()),
    "aliases": (
        "SELECT a.name, b.title FROM singer a JOIN song AS b ON a.id = b.singer_id",
        ("singer", "song"),
        {("Singer", "Name"), ("Song", "Title"), ("Singer", "Id"), ("Song", "Singer_Id")},
    ),
    "common table expression is no table": (
        "WITH x AS (SELECT title AS t FROM song) SELECT t FROM x",
        ("song",),
        {("Song", "Title")},
    ),
    "subquery": (
        "SELECT name FROM singer WHERE id IN (SELECT singer_id FROM song)",
        ("singer", "song"),
        {("Singer", "Name"), ("Singer", "Id"), ("Song", "Singer_Id")},
    ),
    "double quotes may be a string": ('SELECT name FROM singer WHERE name = "Joe"', ("singer",), {("Singer", "Name")}),
    "union": (
        "SELECT name FROM singer UNION SELECT title FROM song",
        ("singer", "song"),
        {("Singer", "Name"), ("Song", "Title")},
    ),
    "values": ("VALUES (1), (2)", (), set()),
    "trailing semicolon and comment": ("SELECT 1; -- done", (), set()),
}


@pytest.mark.parametrize(("sql", "tables", "columns"), QUERIES.values(), ids=QUERIES)
def test_tables_and_columns_of_a_query(sql: str, tables: tuple[str, ...], columns: set[tuple[str, str]]) -> None:
    statement = read_statement(sql, "sqlite")
    assert isinstance(statement, Statement), statement
    assert statement.tables == tables
    assert statement.columns(SCHEMA) == {ColumnRef(*each) for each in columns}


NO_QUERIES = {
    "nothing": ("", "no_statement"),
    "comment": ("/* x */", "no_statement"),
    "two": ("SELECT 1; SELECT 2", "several_statements"),
    "insert": ("INSERT INTO t VALUES (1)", "not_read_only"),
    "delete in a with": ("WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", "not_read_only"),
    "delete after a with": ("WITH x AS (SELECT 1) DELETE FROM t", "not_read_only"),
    "select into": ("SELECT a INTO u FROM t", "not_read_only"),
    "lock": ("SELECT a FROM t FOR UPDATE", "not_read_only"),
    "create as": ("CREATE TABLE u AS SELECT 1", "not_read_only"),
    "set": ("SET statement_timeout = 0", "not_read_only"),
    "copy": ("COPY t TO PROGRAM 'x'", "not_read_only"),
    "call": ("CALL f()", "not_read_only"),
    "begin": ("BEGIN", "not_read_only"),
    "garbage": ("SELECT FROM WHERE '", "error"),
    "combined names": ("SELECT UNION a", "error"),
    "deep": ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "error"),
    "long": ("SELECT " + "1+" * 100_000 + "1", "too_long"),
}


@pytest.mark.parametrize(("sql", "outcome"), NO_QUERIES.values(), ids=NO_QUERIES)
def test_what_is_no_single_query_is_said_to_be_none(sql: str, outcome: str) -> None:
    statement = read_statement(sql, "postgres")
    assert isinstance(statement, SqlFailure)
    assert statement.outcome == outcome


ORDERS = {
    "outermost": ("SELECT a FROM t ORDER BY a", True),
    "of a union": ("SELECT a FROM t UNION SELECT b FROM t ORDER BY 1", True),
    "in parentheses": ("(SELECT a FROM t ORDER BY a)", True),
    "none": ("SELECT a FROM t", False),
    "in a subquery": ("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 3)", False),
    "in a window": ("SELECT rank() OVER (ORDER BY a) FROM t", False),
    "in a string": ("SELECT 'order by' FROM t", False),
    "in what cannot be read": ("SELECT a FROM t ORDER  BY 'a", True),
}


@pytest.mark.parametrize(("sql", "ordered"), ORDERS.values(), ids=ORDERS)
def test_order_counts_where_the_query_states_it(sql: str, ordered: bool) -> None:
    assert is_ordered(sql, "sqlite") is ordered


REPLIES = {
    "block": ("Sure:\n```sql\nSELECT 1\nFROM t;\n```\nDone.", "SELECT 1\nFROM t;"),
    "last block": ("```sql\nSELECT 1\n```\nBetter:\n```sqlite\nSELECT 2\n```", "SELECT 2"),
    "unmarked block": ("```\nselect 1\n```", "select 1"),
    "block of another language": ("```python\nSELECT\n```", None),
    "alone": ("SELECT a\nFROM t WHERE b = ';'", "SELECT a\nFROM t WHERE b = ';'"),
    "alone, then prose": ("SELECT a FROM t;\nThis selects a.", "SELECT a FROM t"),
    "label": ("SQL: SELECT a FROM t", "SELECT a FROM t"),
    "prose paragraph after it": ("SELECT a\nFROM t\n\nIt gives a.", "SELECT a\nFROM t"),
    "inline": ("The query is `SELECT a FROM t`, I think.", "SELECT a FROM t"),
    "with": ("With care:\nWITH x AS (SELECT 1) SELECT * FROM x", "WITH x AS (SELECT 1) SELECT * FROM x"),
    "reasoning": ("<think>```sql\nSELECT 0\n```</think>SELECT 1", "SELECT 1"),
    "two statements": ("```sql\nSELECT 1; DROP TABLE t;\n```", "SELECT 1; DROP TABLE t;"),
    "statement that is no query": ("```sql\nDROP TABLE t\n```", "DROP TABLE t"),
    "prose": ("I cannot answer this with the data.", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("reply", "sql"), REPLIES.values(), ids=REPLIES)
def test_sql_is_found_in_a_reply(reply: str, sql: str | None) -> None:
    assert find_sql(reply) == sql


def test_ten_megabytes_are_searched_at_once() -> None:
    assert find_sql("SELECT " + "1 + " * 2_500_000) is not None
