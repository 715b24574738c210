"""Whom the winner is compared with: no baseline is weaker than what the search knows."""

from __future__ import annotations

import pytest

from archloom.search._held_out import strongest

SEVENTY, EIGHTY, LUCKY = (0,), (1,), (2,)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param(
            {EIGHTY: [1.0] * 60 + [0.0] * 20, SEVENTY: [1.0] * 63 + [0.0] * 7}, SEVENTY, id="not the most seen"
        ),
        pytest.param({LUCKY: [1.0] * 3, SEVENTY: [1.0] * 63 + [0.0] * 7}, SEVENTY, id="not three lucky tasks"),
        pytest.param({LUCKY: [1.0] * 30, SEVENTY: [1.0] * 56 + [0.0] * 14}, LUCKY, id="thirty are not luck"),
    ],
)
def test_the_single_call_to_beat_is_the_best_one_that_the_search_saw(
    scores: dict[tuple[int, ...], list[float]], expected: tuple[int, ...]
) -> None:
    assert strongest(scores) == expected
