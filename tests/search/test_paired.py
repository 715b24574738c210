"""Two configurations side by side."""

from __future__ import annotations

import pytest

from archloom.search._paired import paired
from archloom.search._statistics import mcnemar, paired_difference, tasks_needed

FIRST = [1, 1, 1, 0, 1, 1, 0, 1, 1, 1]
SECOND = [0, 1, 0, 0, 1, 1, 1, 0, 1, 0]


def test_everything_agrees_with_the_single_figures() -> None:
    found = paired(FIRST, SECOND)
    assert found.tasks == 10
    assert found.difference == paired_difference(FIRST, SECOND)
    assert found.mcnemar == mcnemar(FIRST, SECOND)
    assert found.needed == tasks_needed(FIRST, SECOND, level=0.95, power=0.8)
    assert not found.apart
    assert found.more == (found.needed or 0) - 10 > 0


@pytest.mark.parametrize(
    ("first", "second", "apart", "more"),
    [
        pytest.param([1.0] * 8, [0.0] * 8, True, 0, id="a certain difference"),
        pytest.param([0.5, 0.7], [0.5, 0.7], False, None, id="no difference"),
        pytest.param([1.0], [0.0], True, None, id="a single task"),
    ],
)
def test_ends(first: list[float], second: list[float], apart: bool, more: int | None) -> None:
    found = paired(first, second)
    assert (found.apart, found.more) == (apart, more)


def test_graded_scores_have_no_mcnemar() -> None:
    assert paired([0.5, 1.0], [0.0, 1.0]).mcnemar is None
