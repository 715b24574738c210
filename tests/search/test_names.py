"""Names of configurations: short, of one line, and different for different configurations."""

from __future__ import annotations

from itertools import product

import pytest

from archloom.graphs import Document
from archloom.search import space_of
from archloom.search._names import short_name, unique_names

SPACE = """\
archloom: 1
models:
  m: {provider: scripted}
  n: {provider: scripted, replies: ["2"]}
nodes:
  a: {type: generator, model: m}
  b: {type: critic, model: m, after: a}
  v: {type: vote, after: b}
output: v
"""

NAMES = {
    "samples and temperature": (
        "a: {type: generator, model: m}",
        "a: {type: generator, model: m, samples: {choose: [1, 8]}, temperature: {choose: [0.4]}}",
        {"×1 T0.4", "×8 T0.4"},
    ),
    "optional node": ("after: a}", "after: a, optional: true}", {"b", "as written"}),
    "choice of a node that is left out": (
        "after: a}",
        "after: a, optional: true, max_tokens: {choose: [1, 2]}}",
        {"b max_tokens 1", "b max_tokens 2", "as written"},
    ),
    "model": ("type: generator, model: m", "type: generator, model: {choose: [m, n]}", {"m", "n"}),
    "the same field of two nodes": (
        "model: m}\n  b: {type: critic, model: m",
        "model: {choose: [m, n]}}\n  b: {type: critic, model: {choose: [m, n]}",
        {"a m b m", "a n b m", "a m b n", "a n b n"},
    ),
    "edges": ("v: {type: vote, after: b}", "v: {type: vote, after: {subset: [a, b]}}", {"v←a", "v←b", "v←a+b"}),
    "budget of a node": ("model: m}\n  b", "model: m, budget: {calls: {choose: [1, 2]}}}\n  b", {"budget.calls 1", "budget.calls 2"}),
    "budget of a task": ("nodes:", "budget: {tokens: {choose: [5]}}\nnodes:", {"budget.tokens 5"}),
    "long texts": (
        "model: m}\n  b",
        'model: m, system: {choose: ["one\\ntwo", "a text that goes on and on and on"]}}\n  b',
        {"one two", "a text that goes on and…"},
    ),
    "library graph": (
        "b: {type: critic, model: m, after: a}",
        "b: {use: library/self_consistency, with: {model: m, samples: {choose: [2, 4]}}, after: a}",
        {"×2", "×4"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "names"), NAMES.values(), ids=NAMES)
def test_name_says_what_was_chosen(old: str, new: str, names: set[str]) -> None:
    assert old in SPACE
    space = space_of(Document.parse(SPACE.replace(old, new)))
    assert {short_name(space, point) for point in space.points()} == names


def test_names_that_would_be_equal_are_told_apart() -> None:
    text = SPACE.replace(
        "model: m}\n  b", 'model: m, system: {choose: ["the same long beginning 1", "the same long beginning 2"]}}\n  b'
    )
    space = space_of(Document.parse(text))
    points = list(product(range(2)))
    assert len(set(unique_names(space, points).values())) == 2
