"""Queries as answers: which texts give one, when two are the same, and what costs nothing to those who ask for none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tools import canonical_answer, extract_answer
from archloom.tools.sql import (
    LONGEST_SHOWN,
    Column,
    ColumnRef,
    ForeignKey,
    Rows,
    Schema,
    SqlFailure,
    Table,
    canonical_sql,
    show_result,
    stated_query,
)

SAME = {
    "layout": ("SELECT name FROM singer", "select  name\nfrom singer ;"),
    "comments": ("SELECT name FROM singer", "-- names\nSELECT name /* all */ FROM singer"),
    "case of plain names": ("SELECT Name FROM Singer", "SELECT name FROM singer"),
    "white space in what sqlglot cannot read": ("SELECT FROM WHERE (", "SELECT  FROM\nWHERE ("),
}
DIFFERENT = {
    "text values": ("SELECT 'a'", "SELECT 'A'"),
    "quoted names": ('SELECT "Name" FROM t', 'SELECT "name" FROM t'),
    "distinct": ("SELECT a FROM t", "SELECT DISTINCT a FROM t"),
    "columns": ("SELECT a, b FROM t", "SELECT b, a FROM t"),
}
NO_ANSWER = {
    "prose": "I do not know.",
    "two statements": "```sql\nSELECT 1; SELECT 2\n```",
    "a write": "```sql\nDROP TABLE singer\n```",
    "only a comment": "```sql\n-- nothing\n```",
    "empty block": "```sql\n```",
    "too long": f"SELECT {'1+' * 100_000}1",
    "reasoning alone": "<think>\n```sql\nSELECT 1\n```",
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_layout_does_not_count(one: str, other: str) -> None:
    assert canonical_sql(one) == canonical_sql(other) is not None


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_may_change_the_result_counts(one: str, other: str) -> None:
    assert canonical_sql(one) != canonical_sql(other)


@pytest.mark.parametrize("text", NO_ANSWER.values(), ids=NO_ANSWER)
def test_text_without_one_query_that_reads_has_no_answer(text: str) -> None:
    assert extract_answer(text, "sql") is None


def test_answer_is_the_query_in_the_text() -> None:
    text = "It is\n```sql\nSELECT  Name FROM singer;\n```\nas you see."
    assert extract_answer(text, "sql") == "SELECT name FROM singer"
    assert canonical_answer("select NAME from Singer", "sql") == "SELECT name FROM singer"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("```sql\nSELECT 1\n```\nbecause", "SELECT 1", id="closed block"),
        pytest.param("```sql\nSELECT 1, 2", None, id="open block"),
        pytest.param("SELECT 1, 2", None, id="bare query"),
    ],
)
def test_text_that_was_cut_has_only_what_it_closed(text: str, answer: str | None) -> None:
    assert stated_query(text, complete=False) == answer


def test_postgres_is_understood() -> None:
    assert canonical_sql("SELECT a FROM t WHERE b ~ 'x' ") == canonical_sql("select a from t where b ~ 'x'") is not None


def test_query_that_is_too_deep_to_be_written_is_still_an_answer() -> None:
    deep = f"SELECT {'(' * 300}1{')' * 300}"
    assert canonical_sql(deep) is not None


@given(st.text(max_size=80))
def test_canonical_form_is_its_own(text: str) -> None:
    found = canonical_sql(text)
    assert found is None or canonical_sql(found) in {found, None}


@pytest.mark.parametrize(
    "code",
    [
        "import archloom.nodes",
        "from archloom.graphs import Document; Document.load('w.yaml')",
        "from archloom.tools import extract_answer; extract_answer('The answer is 12.', 'number')",
    ],
)
def test_only_those_who_ask_for_sql_pay_for_it(code: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("w")
    (folder / "w.yaml").write_text(
        "archloom: 1\nanswer: sql\nmodels: {m: {provider: scripted}}\n"
        "nodes: {x: {use: library/text2sql/repair, with: {model: m}}}\noutput: x\n"
    )
    check = f"{code}\nimport sys\nsys.exit(bool({{'sqlglot', 'rapidfuzz', 'psycopg'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", check], cwd=folder, check=False).returncode == 0


SHOWN = {
    "rows": (Rows(("a", "b"), ((1, "x"), (None, 2.5))), "a | b\n1 | x\nNULL | 2.5\n(2 rows)"),
    "more rows": (Rows(("a",), ((1,), (2,), (3,))), "a\n1\n2\n(3 rows, 2 shown)"),
    "no rows": (Rows(("a",), ()), "a\n(0 rows)"),
    "blob and lines": (Rows(("a", "b"), ((b"\x00\x01", "two\nlines"),)), "a | b\n<2 bytes> | two lines\n(1 row)"),
    "surrogate": (Rows(("a",), (("\udcff",),)), "a\n?\n(1 row)"),
    "failure": (SqlFailure("error", "no such\ncolumn"), "error: no such column"),
}


@pytest.mark.parametrize(("result", "shown"), SHOWN.values(), ids=SHOWN)
def test_result_is_shown_as_a_small_table(result: Rows | SqlFailure, shown: str) -> None:
    assert show_result(result, rows=2) == shown


@given(st.integers(0, 100), st.integers(0, 60), st.integers(0, 200))
def test_what_is_shown_is_never_long(count: int, columns: int, length: int) -> None:
    result = Rows(tuple(f"c{i}" for i in range(columns)), (("x" * length,) * columns,) * count)
    assert len(show_result(result, rows=50)) <= LONGEST_SHOWN
    assert (
        show_result(result, rows=50).endswith(f"({count} row{'s' * (count != 1)}" + ")" * (count <= 50)) or count > 50
    )


SCHEMA = Schema(
    "sqlite",
    (
        Table("a", (Column("id", "INT"), Column("x", "TEXT"), Column("y", "TEXT")), primary_key=("id",)),
        Table("b", (Column("a_id", "INT"),), foreign_keys=(ForeignKey(("a_id",), "a", ("id",)),)),
    ),
)


def test_part_of_a_schema_keeps_keys() -> None:
    part = SCHEMA.only({ColumnRef("a", "y")})
    assert [(table.name, [column.name for column in table.columns]) for table in part.tables] == [("a", ["id", "y"])]


def test_plain_schema_has_neither_types_nor_keys() -> None:
    plain = SCHEMA.plain(types=False, keys=False)
    assert {column.type for _, column in plain.columns()} == {""}
    assert not any(table.keys for table in plain.tables)
    assert SCHEMA.plain(types=True, keys=True) == SCHEMA
