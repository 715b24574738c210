"""Claims about refinement and routing, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting with as many answers takes its place. Figures are of 200 tasks, those of routing of 1,200; intervals are 95 %,
of paired differences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archloom.testing._claims import Lab, Measured

pytestmark = pytest.mark.slow

TASKS = 200
NOISE = 0.07
"""Twice the standard error of a share of 200 tasks."""

Claim = Callable[[Measured], bool]


def lab(judge: tuple[float, float] = (0.9, 0.1), **model: Any) -> Lab:
    hit, false_alarm = judge
    return Lab(
        {
            "m": {"provider": "simulated", "tokens": 10, **model},
            "judge": {"provider": "simulated", "model": "judge", "hit": hit, "false_alarm": false_alarm, "tokens": 5},
        },
        tasks=TASKS,
    )


def only_of_the_technique(claim: Claim, technique: Measured, majority: Measured) -> None:
    assert claim(technique)
    assert not claim(majority)


@pytest.mark.parametrize(
    ("skill", "fixes", "breaks"), [((2, 6), 0.3, 0.1), ((6, 2), 0.1, 0.3)], ids=["below the level", "above it"]
)
async def test_sequential_refinement_goes_to_its_level_by_a_constant_factor(
    skill: tuple[int, int], fixes: float, breaks: float
) -> None:
    """Accuracy after R rounds is f/(f+g) + (a - f/(f+g)) (1-f-g)^R: arithmetic, with a that of one answer."""
    tried = lab(skill=list(skill), fixes=fixes, breaks=breaks)
    one = await tried.majority(1)
    level = fixes / (fixes + breaks)
    for rounds in (1, 2, 6):
        expected = level + (one.accuracy.mean - level) * (1 - fixes - breaks) ** rounds

        def comes_to(found: Measured, expected: float = expected) -> bool:
            return abs(found.accuracy.mean - expected) < NOISE

        refined = await tried.use("sequential_refine", rounds=rounds)
        assert comes_to(refined)
        assert refined.calls == rounds + 1
        assert (refined.above(one).mean > 0) == (level > one.accuracy.mean)
    assert not comes_to(await tried.majority(7))


async def test_refinement_that_stops_at_a_fixed_point_costs_fewer_calls() -> None:
    tried = lab(skill=[5, 5], fixes=0.3, breaks=0.1)
    stopping = await tried.use("sequential_refine", until="unchanged")
    assert stopping.calls < 0.6 * (await tried.use("sequential_refine")).calls


async def test_self_refine_gains_by_a_signal_from_outside_and_not_without_one() -> None:
    """Madaan et al., 2023, on mathematics: near zero without an external signal."""
    model = {"skill": [4, 6], "fixes": 0.25, "breaks": 0.35, "heeds": 2.0}
    keen, blind = lab((0.9, 0.1), **model), lab((0.5, 0.5), **model)
    seen = await keen.use("self_refine", judge="judge")
    majority = await keen.majority(round(seen.calls))
    only_of_the_technique(lambda found: found.above(majority).low > 0.2, seen, majority)
    unseen = await blind.use("self_refine", judge="judge")
    assert abs(unseen.above(await blind.majority(1)).mean) < NOISE


async def test_self_refine_leaves_alone_what_is_accepted_at_once() -> None:
    sure = lab((1.0, 0.0), skill=[99, 1], fixes=0.2, breaks=0.5)
    assert (await sure.use("self_refine", judge="judge")).calls < 2.2


async def test_gains_of_iterative_decoding_come_from_feedback_and_vanish_with_a_random_judge() -> None:
    """Chakraborty et al., 2025: verifier-guided refinement, not the diversity of samples."""
    model = {"skill": [4, 6], "fixes": 0.2, "breaks": 0.3}
    keen, blind = lab((0.9, 0.1), **model), lab((0.5, 0.5), **model)
    majority = await keen.majority(16)
    guided = await keen.use("iterative_decoding", judge="judge")
    only_of_the_technique(lambda found: found.above(majority).low > 0.2, guided, majority)
    random = await blind.use("iterative_decoding", judge="judge")
    assert random.above(await blind.majority(16)).high < 0.02
    assert guided.above(random).low > 0.3
    assert guided.calls < random.calls  # a score that is full ends the loop


async def test_each_round_of_feedback_adds_to_what_one_draw_gives() -> None:
    tried = lab((0.8, 0.2), skill=[2, 8], fixes=0.25, breaks=0.1)
    scores = [(await tried.use("iterative_decoding", judge="judge", rounds=n)).accuracy.mean for n in (1, 3)]
    assert scores[1] > scores[0] + 0.03


async def test_a_debate_gains_only_where_reading_others_corrects_more_than_it_misleads() -> None:
    """Du et al., 2023, held against a majority vote over as many calls."""
    helped = lab(skill=[5, 5], fixes=0.4, breaks=0.05)
    majority = await helped.majority(6)
    debated = await helped.use("debate")
    assert debated.calls <= 6
    only_of_the_technique(lambda found: found.above(majority).low > 0.05, debated, majority)
    misled = lab(skill=[5, 5], fixes=0.05, breaks=0.5)
    assert (await misled.use("debate")).above(await misled.majority(6)).high < 0


async def test_parallel_drafts_take_less_time_than_sequential_ones_for_as_many_calls() -> None:
    """Madaan et al., 2025: the better answer at a part of the latency; tokens are not fewer."""
    tried = lab((0.8, 0.3), skill=[4, 6], fixes=0.3, breaks=0.1)
    parallel = await tried.use("parallel_distill_refine", judge="judge")
    sequential = await tried.use("sequential_refine", rounds=18)
    majority = await tried.majority(19)
    assert parallel.calls == sequential.calls == majority.calls
    assert parallel.latency_s < 0.5 * sequential.latency_s
    assert parallel.tokens > sequential.tokens
    only_of_the_technique(lambda found: found.above(sequential).low > 0.05, parallel, majority)


async def test_a_workspace_chosen_by_a_random_judge_is_worth_less() -> None:
    model = {"skill": [4, 6], "fixes": 0.3, "breaks": 0.1}
    keen, random = lab((0.8, 0.3), **model), lab((0.5, 0.5), **model)
    chosen, drawn = [await each.use("parallel_distill_refine", judge="judge") for each in (keen, random)]
    assert chosen.above(drawn).low > 0


async def test_routing_by_difficulty_spends_samples_where_they_change_something() -> None:
    """Snell et al., 2024: as good as many samples for all at a part of their cost, which few samples for all are not."""
    easy, hard = {"weight": 2, "a": 60, "b": 1}, {"weight": 1, "a": 400, "b": 600}
    tried = Lab(
        {"m": {"provider": "simulated", "tokens": 10, "skill": [easy, hard], "wrong_answers": 2, "wrong_skew": 0.0}},
        tasks=1200,
    )
    many = await tried.majority(32)

    def as_good_and_cheaper(found: Measured) -> bool:
        return found.above(many).low > -0.025 and found.tokens < 0.45 * many.tokens

    routed = await tried.use("difficulty_routing", more=28)
    only_of_the_technique(as_good_and_cheaper, routed, many)
    only_of_the_technique(as_good_and_cheaper, routed, await tried.majority(round(routed.calls)))
