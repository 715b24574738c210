"""Claims about spending where it pays, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting takes its place. One seed of the models and of the tasks; intervals are over tasks.
"""

from __future__ import annotations

import pytest

from archloom.testing._claims import Interval, Lab, Measured

pytestmark = pytest.mark.slow

TASKS = 80
CLEAR_OR_NOT = {"skill": [{"a": 18, "b": 3}, {"a": 1, "b": 40}], "shared_difficulty": 1.0}
"""Half of the tasks can be answered; the judge knows the same tasks."""


def simulated(name: str, **fields: object) -> dict[str, object]:
    return {"provider": "simulated", "model": name, **fields}


def worth(measured: Measured) -> list[float]:
    """1 for a right answer, -1 for a wrong one, 0 for none."""
    return [0.0 if cell.answer is None else 2 * cell.value - 1 for cell in measured.cells]


async def test_a_bouncer_at_the_door_turns_away_few_good_tasks_and_saves_what_the_others_cost() -> None:
    """Mathews and Nagappan, 2025: of 650 issues that must be bounced o4-mini bounces 26.8 %, of the others 5.4 %."""
    door = simulated("judge", hit=0.95, false_alarm=0.7, tokens=10, **CLEAR_OR_NOT)
    lab = Lab({"m": simulated("m", tokens=200, **CLEAR_OR_NOT), "judge": door}, tasks=160)
    majority = await lab.majority(5)

    def claim(technique: Measured) -> bool:
        lost = majority.above(technique)
        gained = Interval.of([a - b for a, b in zip(worth(technique), worth(majority), strict=True)])
        return lost.high < 0.06 and gained.low > 0.05 and technique.tokens < 0.95 * majority.tokens

    bounced = await lab.use("input_bouncer", judge="judge", samples=5)
    assert claim(bounced)
    assert not claim(majority)
    declined = [cell for cell in bounced.cells if cell.answer is None]
    assert {cell.calls for cell in declined} == {1}, "nothing is drawn for a task that is turned away"


async def test_an_answer_that_says_it_will_do_saves_most_of_the_others() -> None:
    """Manvi et al., 2024: 74 % of what 16 samples gain with 1.2 samples on average; here of 10."""
    solver = simulated("m", skill=[{"a": 18, "b": 2}, {"a": 6, "b": 12}], lure=1.0, tokens=100)
    lab = Lab({"m": solver, "sure": simulated("sure", hit=0.9, false_alarm=0.1, tokens=2),
               "blind": simulated("blind", hit=0.6, false_alarm=0.6, tokens=2)}, tasks=TASKS)  # fmt: skip
    single, all_of_them = await lab.majority(1), await lab.use("self_eval_adaptive", judge="sure", more=9, threshold=1)

    def claim(technique: Measured) -> bool:
        gain, whole = technique.above(single), all_of_them.above(single)
        return gain.low > 0 and gain.mean > 0.74 * whole.mean and technique.tokens < 0.4 * all_of_them.tokens

    adaptive = await lab.use("self_eval_adaptive", judge="sure", more=9)
    assert all_of_them.accuracy.low > 0.9, "the best of all is kept"
    assert claim(adaptive)
    assert not claim(await lab.majority(10))
    assert not claim(await lab.majority(3))
    blind = await lab.use("self_eval_adaptive", judge="blind", more=3)
    assert blind.above(single).low < 0, "the gain is that of the value"


async def test_thinking_on_the_hard_steps_alone_is_as_good_as_on_all_and_cheaper() -> None:
    """Xiao et al., 2026: AIME24 78.8 % with three steps in four hard, 27.5 % with none; fewer tokens than all thinking.

    Which steps are hard is a matter of the task. That steps are easier than the task is what the technique lives by; here
    the task is as hard as one of its steps, so nothing is said about a thinker that answers it at once.
    """
    easy, sees = {"a": 150, "b": 1}, {"hit": 0.98, "false_alarm": 0.005}
    fast = {"tokens": 30, "shared_difficulty": 1.0, "skill": [easy, {"a": 3, "b": 15}]}
    slow = {"tokens": 200, "shared_difficulty": 1.0, "skill": [easy, {"a": 150, "b": 2}]}
    models = {"m": simulated("m", **fast, **sees), "wary": simulated("wary", hit=0, false_alarm=0, **fast)}
    lab = Lab({**models, "thinker": simulated("thinker", **slow)}, tasks=TASKS)
    sizes = {"drafts": 2, "steps": 4}
    all_think = await lab.use("scale_select", model="wary", thinker="thinker", **sizes)
    none = await lab.use("scale_select", thinker="m", **sizes)

    def claim(technique: Measured) -> bool:
        as_good = technique.above(all_think).mean > -0.08
        return as_good and technique.above(none).low > 0.2 and technique.tokens < 0.75 * all_think.tokens

    assert claim(await lab.use("scale_select", thinker="thinker", **sizes))
    assert not claim(none)
    assert not claim(await lab.majority(20))


async def test_one_verified_answer_and_a_second_where_it_is_rejected_stand_for_many() -> None:
    """Zhong et al., 2025: the accuracy of the baseline with about a fourth of the solutions."""
    solver = simulated("m", skill=[{"a": 18, "b": 2}, {"a": 4, "b": 6}], lure=0.5, tokens=200, fixes=0.4, heeds=2.0)
    fast, slow = simulated("fast", hit=0.8, false_alarm=0.2, tokens=5), simulated("slow", hit=0.95, false_alarm=0.05)
    blind = simulated("blind", hit=0.5, false_alarm=0.5)
    lab = Lab({"m": solver, "fast": fast, "slow": slow, "blind": blind}, tasks=TASKS)
    single, majority = await lab.majority(1), await lab.majority(8)

    def claim(technique: Measured) -> bool:
        return technique.above(majority).low > 0 and technique.above(single).low > 0.15

    assert claim(await lab.use("solve_detect_verify", fast="fast", slow="slow", votes=4)), "two solutions at most"
    assert not claim(majority)
    assert not claim(await lab.use("solve_detect_verify", fast="blind", slow="blind", votes=4))


async def test_context_batch_and_turn_together_beat_each_alone() -> None:
    """Yu et al., 2025. What is cut by its context has no answer; a turn mends more than it breaks."""
    solver = simulated("m", skill=[3, 5], lure=0.5, lure_share=0.9, tokens=60, fixes=0.3, breaks=0.05)
    lab = Lab({"m": solver, "judge": simulated("judge", hit=0.8, false_alarm=0.3, tokens=5)}, tasks=TASKS)

    async def scaled(context: int = 60, batch: int = 1, turns: int = 1) -> Measured:
        return await lab.use("three_d", judge="judge", context=context, batch=batch, turns=turns)

    alone = [await scaled(context=200), await scaled(batch=4), await scaled(turns=3)]

    def claim(technique: Measured) -> bool:
        return all(technique.above(axis).low > 0.05 for axis in alone)

    assert claim(await scaled(context=200, batch=4, turns=3))
    assert not claim(await lab.majority(12))
