"""Plain data survives its way between the two processes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tools.code._wire import dump, load

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
KEYS = SCALARS | st.lists(SCALARS, max_size=3).map(tuple) | st.frozensets(SCALARS, max_size=3)
DATA = st.recursive(
    KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=10,
)


def no_name(thing: object) -> list[object]:
    raise AssertionError(thing)


def sent(value: object) -> object:
    return load(dump(value, no_name), lambda name, parts: no_name(parts))


@given(DATA)
def test_it_arrives_as_it_was_sent(value: object) -> None:
    arrived = sent(value)
    assert arrived == value
    assert type(arrived) is type(value)


def test_what_occurs_twice_is_one_thing_afterwards() -> None:
    shared: list[object] = [1]
    first, second = sent([shared, shared])  # type: ignore[misc]
    assert first is second


def test_a_long_chain_needs_no_deep_recursion() -> None:
    chain: list[object] = []
    for _ in range(20_000):
        chain = [chain]
    arrived, depth = sent(chain), 0
    while arrived:
        [arrived] = arrived  # type: ignore[misc]
        depth += 1
    assert depth == 20_000


def test_what_is_no_plain_data_is_named() -> None:
    thing = object()
    named: list[object] = []
    arrived = load(
        dump([thing, thing], lambda each: named.append(each) or ["mine", 7]), lambda name, parts: (name, parts)
    )
    assert arrived == [("mine", [7])] * 2
    assert named == [thing]


@pytest.mark.parametrize(
    "message",
    [
        '[[["tuple", [0]]], [0]]',
        '[[["list"]], [3]]',
        '[[["list", [1, 2]]], [0]]',
        '[[["dict", 1]], [0]]',
        '[[["set", [1]], ["list"]], [0]]',
        '[[["range", "a"]], [0]]',
        "[[]]",
        "3",
        "nonsense",
    ],
)
def test_nonsense_is_refused(message: str) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, RecursionError)):
        load(message.encode(), lambda name, parts: json.dumps(parts))
