"""Result keys: equal exactly where results are."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tools.sql import Row, Rows, result_key

values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 2),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 0.1]),
    st.text(max_size=3),
    st.sampled_from(["1", "null", "n1", "a\udcff"]),
    st.binary(max_size=3),
)
tables = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[values] * width), max_size=5))


def key(rows: list[Row], *, ordered: bool = False) -> str:
    return result_key(Rows(tuple(f"c{n}" for n in range(3)), tuple(rows)), ordered=ordered)


@given(tables, st.randoms())
def test_order_of_rows_counts_only_where_it_is_asked_for(rows: list[Row], rng: random.Random) -> None:
    shuffled = rng.sample(rows, len(rows))
    assert key(rows) == key(shuffled)
    assert (key(rows, ordered=True) == key(shuffled, ordered=True)) == (rows == shuffled)


@given(tables, tables)
def test_keys_are_equal_exactly_for_equal_bags(one: list[Row], other: list[Row]) -> None:
    assert (key(one) == key(other)) == (Counter(one) == Counter(other))
    assert (key(one, ordered=True) == key(other, ordered=True)) == (one == other)


@given(tables)
def test_repetition_counts(rows: list[Row]) -> None:
    assert (key(rows) == key(rows + rows)) == (not rows)


SAME = {
    "1 and 1.0": (1, 1.0, True),
    "zeroes": (0.0, -0.0, True),
    "large": (2**53, float(2**53), True),
    "large, one apart": (2**53 + 1, float(2**53), False),
    "NaN": (float("nan"), -float("nan"), True),
    "NaN and NULL": (float("nan"), None, False),
    "NaN and its name": (float("nan"), "nan", False),
    "infinities": (float("inf"), float("-inf"), False),
    "number and text": (1, "1", False),
    "text and blob": ("a", b"a", False),
    "NULL and empty text": (None, "", False),
    "case": ("a", "A", False),
}


@pytest.mark.parametrize(("one", "other", "same"), SAME.values(), ids=SAME)
def test_values_that_are_the_same(one: object, other: object, same: bool) -> None:
    assert (key([(one,)]) == key([(other,)])) is same  # type: ignore[list-item]


def test_values_do_not_run_into_each_other() -> None:
    assert key([("a", "bc")]) != key([("ab", "c")])
    assert key([("a",), ("b",)]) != key([("a", "b")])
