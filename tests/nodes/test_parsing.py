"""What the parsers make of replies: a corpus of real and of messy ones, and of anything at all.

``corpus/smollm2.jsonl`` holds what the embedded model wrote to the nodes' own prompts (``corpus/draw.py``), each with
what a reader takes it for. ``corpus/hand.jsonl`` holds shapes that larger models write. ``expected`` is the parse;
``unparsed`` says why there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.nodes import (
    Unparsed,
    parse_asserts,
    parse_critiques,
    parse_preference,
    parse_ranking,
    parse_results,
    parse_tests,
    parse_verdict,
)
from archloom.tools import extract_answer

Parser = Callable[[str, int, bool], object]

PARSERS: Mapping[str, Parser] = {
    "ranking": lambda text, count, complete: parse_ranking(text, count),
    "preference": lambda text, count, complete: parse_preference(text),
    "verdict": lambda text, count, complete: parse_verdict(text),
    "critiques": lambda text, count, complete: parse_critiques(text, count),
    "tests": lambda text, count, complete: parse_tests(text, count, complete=complete),
    "asserts": lambda text, count, complete: parse_asserts(text, "double", count, complete=complete),
    "results": lambda text, count, complete: parse_results(text, count),
    "answer": lambda text, count, complete: extract_answer(text, "number", complete=complete) or Unparsed("none"),
}
CORPUS = [
    pytest.param(json.loads(line), id=f"{path.stem}-{number}")
    for path in sorted((Path(__file__).parent / "corpus").glob("*.jsonl"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
]


def test_corpus_is_large_and_covers_every_parser() -> None:
    entries = [param.values[0] for param in CORPUS]
    assert len(entries) >= 120
    for parser in PARSERS:
        of_parser = [entry for entry in entries if entry["parser"] == parser]
        assert any("expected" in entry for entry in of_parser)
        assert any("unparsed" in entry for entry in of_parser)


@pytest.mark.parametrize("entry", CORPUS)
def test_reply_is_read_as_a_reader_would(entry: dict[str, Any]) -> None:
    parsed = PARSERS[entry["parser"]](entry["text"], entry["count"], entry.get("complete", True))
    if "unparsed" in entry:
        assert isinstance(parsed, Unparsed)
        assert parsed.why
    else:
        assert _json(parsed) == entry["expected"]


def _json(parsed: object) -> object:
    """As the corpus writes it."""
    return json.loads(json.dumps(dict(parsed) if isinstance(parsed, Mapping) else parsed))


PIECES = st.sampled_from(
    [
        *("Ranking:", "Verdict:", "Better:", "Test", "Response", "### Response", "correct", "incorrect", "passed"),
        *("assert f(1)", "\nassert ", "f", "```\n", "```python\n"),
        *("failed", "1", "2", "3", "[2]", "[1]", ">", "=", "-", "or", "\n", "\n\n", ".", ",", "**", ": ", "then", "4"),
    ]
)
REPLIES = st.one_of(st.text(), st.lists(PIECES, max_size=30).map(" ".join), st.lists(PIECES, max_size=30).map("".join))


@given(REPLIES, st.integers(1, 4))
def test_whatever_is_written_a_parse_is_whole_or_there_is_none(reply: str, count: int) -> None:
    ranking = parse_ranking(reply, count)
    assert isinstance(ranking, Unparsed) or sorted(ranking) == list(range(count))
    results = parse_results(reply, count)
    assert isinstance(results, Unparsed) or len(results) == count
    critiques = parse_critiques(reply, count)
    assert isinstance(critiques, Unparsed) or (critiques and set(critiques) <= set(range(count)))
    tests = parse_tests(reply, count)
    assert isinstance(tests, Unparsed) or (0 < len(tests) <= count and all(tests))
    asserts = parse_asserts(reply, "f", count)
    assert isinstance(asserts, Unparsed) or 0 < len(asserts) <= count
    assert isinstance(parse_verdict(reply), bool | Unparsed)
    assert isinstance(parse_preference(reply), str | Unparsed)


@given(
    st.permutations(range(5)), st.sampled_from([" > ", ", ", " -> ", "\n"]), st.sampled_from(["{}", "[{}]", "**{}**"])
)
def test_every_order_is_read_back(order: list[int], separator: str, shape: str) -> None:
    items = [shape.format(f"Response {number + 1}" if separator == "\n" else number + 1) for number in order]
    assert parse_ranking("I compared them.\nRanking: " + separator.join(items), 5) == tuple(order)


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.randoms())
def test_results_do_not_depend_on_the_order_of_their_lines(results: list[bool], rng: Any) -> None:
    lines = [f"Test {number}: {'passed' if result else 'failed'}" for number, result in enumerate(results, 1)]
    rng.shuffle(lines)
    assert parse_results("\n".join(lines), len(results)) == tuple(results)


@given(st.lists(st.from_regex(r"[A-Z][a-z]{1,9}( [a-z]{1,9}){0,4}\.", fullmatch=True), min_size=1, unique=True))
def test_a_list_of_tests_is_read_back_as_it_was_written(tests: list[str]) -> None:
    text = "\n".join(f"{number}. {test}" for number, test in enumerate(tests, 1))
    assert parse_tests(text, len(tests)) == tuple(tests)
