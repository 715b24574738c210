"""The catalogue names the claim tests of each graph, or says why it has none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from archloom.graphs import library_names

FOLDER = str(Path(__file__).resolve().parents[2] / "docs")
NAMES = [name.removeprefix("library/") for name in library_names()]


@pytest.fixture(scope="module")
def claims() -> Iterator[ModuleType]:
    sys.path.insert(0, FOLDER)
    yield import_module("claims")
    sys.path.remove(FOLDER)


@pytest.mark.parametrize("name", NAMES)
def test_graph_has_a_claim_test_or_says_why_not(claims: ModuleType, name: str) -> None:
    """Use the graph in a test of ``tests/claims``, or say in ``docs/claims.py`` why its claim cannot be re-enacted."""
    found, reason = claims.claims_of(name), claims.WITHOUT.get(name)
    assert bool(found) != bool(reason), f"{found} and {reason!r}: exactly one of them"


def test_reasons_are_of_graphs_that_there_are(claims: ModuleType) -> None:
    assert set(claims.WITHOUT) <= set(NAMES)


def test_a_test_that_uses_a_graph_is_found_and_a_file_stands_for_its_constants(claims: ModuleType) -> None:
    [claim] = [each for each in claims.claims_of("adaptive_consistency") if each.file == "test_stopping.py"]
    assert claim.statement == "adaptive consistency draws half as much without loss"
    assert [(each.file, each.name) for each in claims.claims_of("archon_verified")] == [("test_composition.py", None)]
    assert claims.claims_of("no_such_graph") == []


def test_every_graph_is_in_the_catalogue_with_its_facts(claims: ModuleType) -> None:
    said = import_module("reference").techniques()
    for name in NAMES:
        entry = said.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        assert [line.split("**")[1] for line in entry.splitlines() if line.startswith("- **")] == [
            "Source:", "Needs:", "Cost:", "Helps:", "Hurts:", "Claims:"
        ], name  # fmt: skip
