"""Scores of right, wrong and unreadable answers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from archloom.tasks import Choice, Exact, Numeric, Regex, Scorer, Target, scorer, scorer_names
from archloom.tools import UsageError


@pytest.mark.parametrize(
    ("how", "answer", "target", "score"),
    [
        pytest.param(Exact(), "paris", "paris", 1.0, id="same text"),
        pytest.param(Exact(), "rome", "paris", 0.0, id="other text"),
        pytest.param(Numeric(), "0.5", "1/2", 1.0, id="equal numbers"),
        pytest.param(Numeric(), "0.3333", "1/3", 0.0, id="rounded number"),
        pytest.param(Numeric(Fraction(1, 1000)), "0.3333", "1/3", 1.0, id="within tolerance"),
        pytest.param(Numeric(Fraction(1, 1000)), "0.3321", "1/3", 0.0, id="beyond tolerance"),
        pytest.param(Numeric(), "many", "1/3", 0.0, id="no number"),
        pytest.param(Choice(), "B", "b", 1.0, id="same choice"),
        pytest.param(Choice(), "A", "B", 0.0, id="other choice"),
    ],
)
def test_answer_is_scored(how: Scorer, answer: str, target: str, score: float) -> None:
    assert how.score(answer, "", Target(target)) == score


def test_regex_searches_the_text() -> None:
    assert Regex().score(None, "It is blue.", Target(r"\bblue\b")) == 1.0
    assert Regex().score("blue", "It is bluish.", Target(r"\bblue\b")) == 0.0


@pytest.mark.parametrize("name", sorted({*scorer_names()} - {"regex"}))
def test_unreadable_answer_is_wrong_even_where_the_target_is_missing(name: str) -> None:
    assert scorer(name).score(None, "5", Target("5")) == 0.0
    assert scorer(name).score(None, "", Target(None)) == 0.0


def test_scorers_are_found_by_name() -> None:
    assert [scorer(name).name for name in scorer_names()] == ["choice", "exact", "latex", "numeric", "regex"]
    with pytest.raises(UsageError, match="Did you mean 'numeric'"):
        scorer("numerc")
