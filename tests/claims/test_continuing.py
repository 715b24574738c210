"""Claims about looking at an answer before it is finished, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting takes its place. One seed of the models and of the tasks; intervals are over tasks.
"""

from __future__ import annotations

import pytest

from archloom.testing._claims import Lab, Measured

pytestmark = pytest.mark.slow


def simulated(name: str, **fields: object) -> dict[str, object]:
    return {"provider": "simulated", "model": name, **fields}


async def test_three_in_four_answers_can_be_given_up_at_their_beginning() -> None:
    """Manvi et al., 2024: 50 to 75 % of the samples are pruned early with little loss.

    Errors happen at each step and stay, so a beginning shows those that have happened by then and no others.
    """
    solver = simulated("m", skill=[6, 6], lure=0.5, steps=6, tokens=600)
    sees, blind = {"hit": 0.9, "false_alarm": 0.15, "tokens": 2}, {"hit": 0.5, "false_alarm": 0.5, "tokens": 2}
    lab = Lab({"m": solver, "judge": simulated("judge", **sees), "blind": simulated("blind", **blind)}, tasks=120)
    sizes = {"samples": 16, "prefix": 200, "max_tokens": 2000}
    all_finished = await lab.use("self_eval_prune", judge="judge", share=1, **sizes)

    def claim(technique: Measured) -> bool:
        lost = all_finished.above(technique)
        return lost.mean < 0.05 and lost.high < 0.1 and technique.tokens < 0.7 * all_finished.tokens

    assert all_finished.accuracy.low > 0.9
    assert claim(await lab.use("self_eval_prune", judge="judge", share=0.5, **sizes))
    quarter = await lab.use("self_eval_prune", judge="judge", share=0.25, **sizes)
    assert claim(quarter)
    assert quarter.tokens < 0.55 * all_finished.tokens
    assert not claim(await lab.majority(16, max_tokens=2000)), "as many samples, and all of them finished"
    assert not claim(await lab.majority(8, max_tokens=2000))
    assert not claim(await lab.use("self_eval_prune", judge="blind", share=0.25, **sizes)), (
        "the gain is that of the value"
    )


async def test_an_answer_that_is_cut_where_it_is_complete_is_as_good_and_costs_half() -> None:
    """Zhong et al., 2025: hesitation is a place to ask whether the solution is complete, and to cut it if so.

    The model checks its answer three times without gain. The verifier is the same with and without the detect step.
    """
    solver = simulated("m", skill=[{"a": 18, "b": 2}, {"a": 4, "b": 6}], lure=0.5, steps=3, tokens=200, rechecks=3,
                       fixes=0.03, breaks=0.02, heeds=4.0)  # fmt: skip
    models = {"m": solver, "fast": simulated("fast", hit=0.8, false_alarm=0.2, tokens=5),
              "slow": simulated("slow", hit=0.95, false_alarm=0.05), "done": simulated("done", hit=0.95, false_alarm=0.05,
              tokens=2), "never": simulated("never", hit=0, false_alarm=0, tokens=2)}  # fmt: skip
    lab = Lab(models, tasks=160)
    verified = {"fast": "fast", "slow": "slow", "votes": 4, "max_tokens": 3000}
    whole = await lab.use("solve_detect_verify", **verified)

    def claim(technique: Measured) -> bool:
        lost = whole.above(technique)
        return lost.mean < 0.05 and lost.high < 0.12 and technique.tokens < 0.65 * whole.tokens

    at_wait = await lab.use("solve_detect_verify_open", judge="done", **verified)
    assert claim(at_wait)
    assert at_wait.tokens < 0.55 * whole.tokens
    at_steps = {"pause": ["\n\n"], "looks": 12}
    assert claim(await lab.use("solve_detect_verify_open", judge="done", **at_steps, **verified)), "asked at each step"
    assert not claim(await lab.use("solve_detect_verify_open", judge="never", **at_steps, **verified))
    assert not claim(await lab.majority(3, max_tokens=3000)), "for as many tokens"
    assert not claim(await lab.majority(8, max_tokens=3000))
