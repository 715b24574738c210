"""Claims about planning before answering, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting over as many samples takes its place. One seed of the models and of the tasks; intervals are over tasks.
"""

from __future__ import annotations

import pytest

from archloom.testing._claims import Lab, Measured

TASKS = 60
HARD = {"provider": "simulated", "skill": [1, 40], "tokens": 20}
TESTS = {"provider": "simulated", "model": "judge", "hit": 0.99, "false_alarm": 0.01, "tokens": 5}
"""Nearly as good as running tests."""


@pytest.mark.slow
async def test_ideas_solve_what_more_samples_of_the_same_idea_do_not() -> None:
    """Wang et al., 2024: pass@200 of 77.0 % with plans, 60.6 % with repeated sampling, 41.4 % with one sample.

    A set of observations moves the log-odds of a task by a normal number with a standard deviation of 4; at 0, where
    all ideas are the same idea, there is nothing to be gained. Repeated sampling has as many calls.
    """

    def claim(technique: Measured, repeated: Measured) -> bool:
        return technique.above(repeated).low > 0.1

    ideas = Lab({"m": {**HARD, "idea_spread": 4.0}, "judge": TESTS}, tasks=TASKS)
    planned = await ideas.use("plan_search", judge="judge", samples=12)
    repeated = await ideas.use("best_of_n", judge="judge", samples=44)
    assert claim(planned, repeated)
    assert not claim(await ideas.majority(44), repeated)
    same = Lab({"m": HARD, "judge": TESTS}, tasks=TASKS)
    no_ideas = await same.use("plan_search", judge="judge", samples=12)
    assert not claim(no_ideas, await same.use("best_of_n", judge="judge", samples=44))
