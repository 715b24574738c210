"""Closed forms against brute force over all subsets of a pool."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.search import best_of, majority_of
from archloom.tools import pass_at_k

VALUES = st.sampled_from([0.0, 0.25, 1.0])
RANKED = st.lists(st.tuples(st.integers(0, 4), VALUES), min_size=1, max_size=9)
ANSWERED = st.lists(st.tuples(st.sampled_from(["7", "8", "9", "10", None]), VALUES), min_size=1, max_size=9)


def every_best(pool: list[tuple[float, float]], k: int) -> float:
    worth = []
    for chosen in combinations(pool, k):
        top = max(score for score, _ in chosen)
        worth.append(fmean(value for score, value in chosen if score == top))
    return fmean(worth)


def every_majority(pool: list[tuple[str | None, float]], k: int) -> float:
    worth = []
    for chosen in combinations(pool, k):
        counts = Counter(answer for answer, _ in chosen if answer is not None)
        most = max(counts.values(), default=0)
        first = [answer for answer, count in counts.items() if count == most] or [None]
        worth.append(fmean(fmean(value for own, value in chosen if own == answer) for answer in first))
    return fmean(worth)


@given(RANKED, st.data())
def test_best_of_is_the_mean_over_all_subsets(pool: list[tuple[float, float]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(pool)))
    scores, values = zip(*pool, strict=True)
    assert best_of(scores, values, k) == pytest.approx(every_best(pool, k))


@given(ANSWERED, st.data())
def test_majority_is_the_mean_over_all_subsets(pool: list[tuple[str | None, float]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(pool)))
    answers, values = zip(*pool, strict=True)
    assert majority_of(answers, values, k) == pytest.approx(every_majority(pool, k))


@pytest.mark.parametrize("k", [1, 3, 17, 64])
def test_a_perfect_judge_gives_pass_at_k(k: int) -> None:
    right = [1.0] * 5 + [0.0] * 59
    assert best_of(right, right, k) == pytest.approx(pass_at_k(64, 5, k))


def test_one_sample_is_worth_the_mean_of_the_pool() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 1.0]
    assert best_of([3, 1, 2, 5, 4], values, 1) == pytest.approx(0.6)
    assert majority_of(["a", "b", None, "a", "c"], values, 1) == pytest.approx(0.6)


def test_the_whole_pool_has_one_subset() -> None:
    assert best_of([1, 2, 9], [1.0, 1.0, 0.0], 3) == 0.0
    assert majority_of(["a", "b", "a", None], [1.0, 0.0, 1.0, 0.0], 4) == pytest.approx(1.0)


def test_a_large_pool_with_many_answers_stays_exact() -> None:
    # Two answers, so the majority of 301 is binary: its chance follows from the hypergeometric distribution.
    from scipy.stats import hypergeom

    answers, values = ["a"] * 520 + ["b"] * 504, [1.0] * 520 + [0.0] * 504
    assert majority_of(answers, values, 301) == pytest.approx(float(hypergeom(1024, 520, 301).sf(150)), rel=1e-9)


@pytest.mark.parametrize("k", [0, 4])
def test_a_set_that_cannot_be_drawn_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"A set of {k} "):
        best_of([1, 2, 3], [0, 0, 1], k)
    with pytest.raises(ValueError, match=f"A set of {k} "):
        majority_of(["a", "b", "c"], [0, 0, 1], k)


def test_samples_and_values_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="3 samples and 2 values"):
        majority_of(["a", "b", "c"], [0, 1], 1)
