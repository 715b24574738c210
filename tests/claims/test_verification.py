"""Claims about verification and abstaining, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting over the same number of samples takes its place. Intervals are over tasks.
"""

from __future__ import annotations

from typing import Any

import pytest

from archloom.nodes import Difficulty, tries_worth
from archloom.testing._claims import Lab, Measured

TASKS = 120
LURED: dict[str, Any] = {
    "provider": "simulated", "skill": [{"a": 18, "b": 2}, {"a": 6, "b": 12}],
    "lure": 1.0, "lure_share": 0.8, "tokens": 10,
}  # fmt: skip
"""On half of the tasks most samples give the same wrong answer."""


def judge(hit: float, false_alarm: float, tokens: float = 5, name: str = "judge") -> dict[str, object]:
    rates = {"hit": hit, "false_alarm": false_alarm}
    return {"provider": "simulated", "model": name, "tokens": tokens, **rates}


def beats(technique: Measured, majority: Measured) -> bool:
    return technique.above(majority).low > 0


@pytest.mark.slow
async def test_self_consistency_is_the_better_buy_until_several_times_the_compute() -> None:
    """Singhi et al., 2025: at equal tokens votes beat verification; with several times the tokens that turns."""
    skill = [{"a": 9, "b": 2}, {"a": 3, "b": 3}]
    solver = {"provider": "simulated", "skill": skill, "wrong_answers": 6, "lure": 0.3, "lure_share": 0.9, "tokens": 40}
    lab = Lab({"m": solver, "judge": judge(0.75, 0.3, tokens=40)}, tasks=TASKS)
    votes = await lab.majority(8)

    def claim(small: Measured, large: Measured) -> bool:
        equal = 0.8 * votes.tokens < small.tokens < 1.2 * votes.tokens
        several = large.tokens > 4 * votes.tokens
        return equal and beats(votes, small) and several and large.above(votes).mean > 0.03

    small = await lab.use("weighted_vote", judge="judge", samples=2, votes=1)
    large = await lab.use("weighted_vote", judge="judge", samples=6, votes=4)
    assert claim(small, large)
    assert not claim(votes, await lab.majority(40))


async def test_verdicts_weighed_by_their_probability_say_more_than_verdicts() -> None:
    """Zhang et al., 2024: P(Yes) instead of yes or no, at the same calls."""
    lab = Lab({"m": LURED, "judge": judge(0.85, 0.4)}, tasks=TASKS)
    majority, counted = await lab.majority(6), await lab.use("weighted_vote", judge="judge", samples=6, votes=1)

    def claim(technique: Measured) -> bool:
        return beats(technique, majority) and technique.above(counted).mean > 0.02

    probable = await lab.use("genrm", judge="judge", samples=6, votes=1)
    assert probable.calls == counted.calls
    assert claim(probable)
    assert not claim(majority)


@pytest.mark.slow
async def test_more_judgements_score_better_and_one_is_better_than_a_majority() -> None:
    """Liu et al., 2025: scores added over votes."""
    lab = Lab({"m": LURED, "judge": judge(0.65, 0.35)}, tasks=3 * TASKS)
    majority = await lab.majority(6)
    once = await lab.use("grm_vote", judge="judge", samples=6, votes=1)

    def claim(technique: Measured) -> bool:
        return beats(technique, majority) and beats(technique, once)

    assert claim(await lab.use("grm_vote", judge="judge", samples=6, votes=8))
    assert not claim(majority)


async def test_one_call_with_a_checklist_selects_where_most_are_wrong() -> None:
    """Khairi et al., 2025: five samples and one call."""
    lab = Lab({"m": LURED, "judge": judge(0.85, 0.15)}, tasks=TASKS)
    majority = await lab.majority(5)

    def claim(technique: Measured) -> bool:
        return beats(technique, majority) and technique.calls < 5 + 1.5

    assert claim(await lab.use("checklist", judge="judge", samples=4))
    assert not claim(majority)


async def test_a_flexible_verifier_is_as_good_as_a_slow_one_and_cheaper() -> None:
    """Zhong et al., 2025: the slow one decides only where fast verdicts disagree."""
    fast, slow = judge(0.85, 0.15, name="fast"), judge(0.95, 0.05, tokens=1500, name="slow")
    lab = Lab({"m": LURED, "fast": fast, "slow": slow}, tasks=TASKS)
    majority, all_slow = await lab.majority(6), await lab.use("weighted_vote", judge="slow", samples=6)

    def claim(technique: Measured) -> bool:
        as_good = technique.above(all_slow).low > -0.06
        return as_good and technique.tokens < 0.7 * all_slow.tokens and beats(technique, majority)

    assert claim(await lab.use("flexive", fast="fast", slow="slow", samples=6, votes=4))
    assert not claim(majority)


class TestImperfectVerifier:
    """Stroebl et al., 2024."""

    async def test_accuracy_of_what_is_accepted_has_a_ceiling_however_many_tries(self) -> None:
        """c r / (c r + (1 - s)(1 - r)) with one kind of task: here 0.8 x 0.5 / (0.8 x 0.5 + 0.2 x 0.5) = 0.8."""
        solver = {"provider": "simulated", "skill": [500, 500], "tokens": 10}
        lab = Lab({"m": solver, "judge": judge(0.8, 0.2)}, tasks=200)
        majority = await lab.majority(8)

        def claim(technique: Measured) -> bool:
            answered = [cell for cell in technique.cells if cell.answer is not None]
            accuracy = sum(cell.value for cell in answered) / len(answered)
            return 0.72 < accuracy < 0.88 and technique.calls < 5

        few, many = [await lab.use("imperfect_verifier", judge="judge", rounds=rounds) for rounds in (2, 8)]
        assert claim(few)
        assert claim(many)
        assert sum(cell.answer is None for cell in few.cells) > sum(cell.answer is None for cell in many.cells)
        assert not claim(majority)

    @pytest.mark.parametrize(("value_wrong", "tries"), [(-0.7, 3), (-1.0, 2), (-2.0, 1), (-7.0, 0)])
    def test_the_dearer_a_wrong_answer_the_sooner_to_give_up(self, value_wrong: float, tries: int) -> None:
        kinds = [Difficulty(0.58, 0.87), Difficulty(0.42, 0.13)]
        assert tries_worth(kinds, hit=1.0, false_alarm=0.25, value_wrong=value_wrong) == tries

    def test_cheap_errors_and_cheap_tries_are_worth_many(self) -> None:
        kinds = [Difficulty(0.58, 0.87), Difficulty(0.42, 0.13)]
        assert tries_worth(kinds, hit=1.0, false_alarm=0.25, value_wrong=-0.5) > 50
        assert tries_worth(kinds, hit=1.0, false_alarm=0.25, value_wrong=-0.5, cost=0.05) < 10


async def test_abstaining_answers_less_and_is_right_more_often() -> None:
    """An output bouncer on the share of the vote: of what it answers more is right, by much."""
    lab = Lab({"m": {"provider": "simulated", "skill": [4, 3], "tokens": 10}}, tasks=TASKS)
    majority = await lab.majority(8)

    def claim(technique: Measured) -> bool:
        answered = [cell for cell in technique.cells if cell.answer is not None]
        accuracy = sum(cell.value for cell in answered) / len(answered)
        return accuracy > majority.accuracy.high and 0.2 < len(answered) / TASKS < 0.9

    assert claim(await lab.use("abstain", samples=8, threshold=0.6))
    assert not claim(majority)


async def test_a_judge_at_the_door_keeps_wrong_answers_in_and_costs_little() -> None:
    """Mathews and Nagappan, 2025: what goes out is right more often, and few right answers are held back."""
    lab = Lab({"m": LURED, "judge": judge(0.85, 0.25)}, tasks=TASKS)
    majority = await lab.majority(5)

    def claim(technique: Measured) -> bool:
        answered = [cell for cell in technique.cells if cell.answer is not None]
        accuracy = sum(cell.value for cell in answered) / len(answered)
        held_back = majority.above(technique).mean
        return accuracy > majority.accuracy.high and held_back < 0.15 and technique.calls < 5 + 3.5

    assert claim(await lab.use("bouncer", judge="judge", samples=5, votes=3))
    assert not claim(majority)
