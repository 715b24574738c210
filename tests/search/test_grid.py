"""Brute force."""

from __future__ import annotations

import pytest

from archloom.graphs import Objective
from archloom.search._space import Axis, Space
from archloom.search.errors import SpaceTooLargeError
from archloom.search.optimizers import Observation, make_optimizer
from archloom.testing._optimizers import run, small_space

TASKS = ("a", "b", "c")


@pytest.mark.parametrize("seed", [0, 1])
def test_every_configuration_is_evaluated_in_the_order_of_the_space(seed: int) -> None:
    space = small_space()
    steps = [step for step, _ in run(make_optimizer("grid", space, TASKS, Objective(), seed=seed), space)]
    assert steps == [[Observation(point, TASKS)] for point in space.points()]


def test_a_space_too_large_to_list_is_refused_before_anything_is_observed() -> None:
    space = Space([Axis(f"hole{number}", tuple(range(10))) for number in range(5)])
    with pytest.raises(SpaceTooLargeError, match=r"'grid'.*100,000 points"):
        make_optimizer("grid", space, TASKS, Objective())
