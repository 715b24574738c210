"""Schemas and values as a prompt gets them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tools.sql import (
    Column,
    ColumnRef,
    ForeignKey,
    Schema,
    SQLiteDatabase,
    Table,
    ValueIndex,
    approximate_tokens,
    render_schema,
    sample_values,
)

WIDE = Schema(
    "sqlite",
    (
        *(Table(f"log_{n}", tuple(Column(f"field_{n}_{m}", "TEXT") for m in range(40))) for n in range(30)),
        Table("stadium", (Column("id", "INT"), Column("name", "TEXT"), Column("capacity", "INT")), primary_key=("id",)),
        Table("singer", (Column("id", "INT"), Column("name", "TEXT"), Column("country", "TEXT")), primary_key=("id",)),
        Table(
            "gig",
            (Column("singer_id", "INT"), Column("stadium_id", "INT"), Column("note", "TEXT")),
            foreign_keys=(
                ForeignKey(("singer_id",), "singer", ("id",)),
                ForeignKey(("stadium_id",), "stadium", ("id",)),
            ),
        ),
    ),
)
ASKED = "Which singers from which countries sang in a stadium with a capacity of 1000?"


def test_whole_schema_is_a_line_a_table(shop: SQLiteDatabase) -> None:
    schema = shop.schema()
    assert render_schema(schema, samples=sample_values(shop, schema, each=2)).split("\n") == [
        """city(id INTEGER key 1 2, name TEXT 'Paris' 'Rome', "zip code" TEXT '00100' '75000')""",
        "shop(id INTEGER key 1 2, city_id INTEGER -> city.id 1 2, title TEXT 'Au Bon Pain' 'Forno', "
        "opened DATE '2001-01-01' '2011-05-01', turnover REAL 7.5 20.0)",
        "sale(shop_id INTEGER key -> shop.id 1 2, day INTEGER key 1 2, amount REAL 2.5 3.5)",
        "big(title TEXT 'Au Bon Pain')",
    ]


def test_samples_are_short_and_in_one_line() -> None:
    schema = Schema("sqlite", (Table("t", (Column("a", ""),)),))
    samples = {ColumnRef("t", "a"): ("x" * 99, "it's\n\udcff", b"abc", 1.5)}
    assert render_schema(schema, samples=samples) == f"t(a '{'x' * 37}...' 'it''s ?' <3 bytes> 1.5)"


def test_wide_schema_keeps_what_the_question_is_about_and_what_links_it() -> None:
    text = render_schema(WIDE, question=ASKED, tokens=100)
    assert approximate_tokens(text) <= 100
    shown = [line.partition("(")[0] for line in text.split("\n")]
    assert {"stadium", "singer", "gig"} <= set(shown)
    assert "capacity" in text
    assert "country" in text
    assert "-> singer.id" in text
    assert text.endswith("more tables")


@given(
    st.integers(0, 1500), st.sampled_from(["", ASKED, "field 3 7 of log 3"]), st.sampled_from([len, approximate_tokens])
)
def test_text_is_never_over_its_budget(tokens: int, question: str, count: Callable[[str], int]) -> None:
    text = render_schema(WIDE, question=question, tokens=tokens, count=count)
    assert count(text) <= tokens


def test_budget_that_suffices_changes_nothing() -> None:
    whole = render_schema(WIDE)
    assert render_schema(WIDE, question=ASKED, tokens=approximate_tokens(whole)) == whole


FINDS = {
    "word": ("Which shops are in Rome?", ("city", "name", "Rome")),
    "other case": ("which shops are in rome?", ("city", "name", "Rome")),
    "several words": ("What did au bon pain sell?", ("shop", "title", "Au Bon Pain")),
    "misspelt": ("Shops in Sant-Denis", ("city", "name", "Saint-Denis")),
    "number as text": ("Who lives in 75000?", ("city", "zip code", "75000")),
}


@pytest.mark.parametrize(("question", "found"), FINDS.values(), ids=FINDS)
def test_value_that_a_question_names_is_found(shop: SQLiteDatabase, question: str, found: tuple[str, str, str]) -> None:
    best = ValueIndex.build(shop, shop.schema()).search(question)[0]
    assert (*best.column, best.value) == found


def test_short_value_must_be_a_word_of_its_own(make: Callable[..., SQLiteDatabase]) -> None:
    database = make("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('F'), ('US')")
    index = ValueIndex.build(database, database.schema())
    assert [match.value for match in index.search("How many from the US?")] == ["US"]
    assert index.search("How famous is it?") == ()


def test_limits_of_the_index(make: Callable[..., SQLiteDatabase]) -> None:
    database = make(
        "CREATE TABLE t (a TEXT); INSERT INTO t SELECT 'value ' || value FROM json_each('[1,2,3,4]'); INSERT INTO t VALUES (printf('%200d', 1))"
    )
    assert len(ValueIndex.build(database, database.schema()).places) == 4
    assert len(ValueIndex.build(database, database.schema(), per_column=2).places) == 2
