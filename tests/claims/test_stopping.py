"""Claims about stopping early, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting over the same number of samples takes its place. Intervals are over tasks.
"""

from __future__ import annotations

from typing import Any

from archloom.testing._claims import Lab, Measured

TASKS = 120
RIGHT_IS_SHORT: dict[str, Any] = {
    "provider": "simulated", "skill": [3, 3], "tokens": 20, "tokens_wrong": 40, "length_spread": 0.5,
}  # fmt: skip
RIGHT_IS_LONG = {**RIGHT_IS_SHORT, "tokens": 40, "tokens_wrong": 20}


async def test_first_finish_cuts_latency_and_beats_a_single_sample_where_right_answers_are_shorter() -> None:
    """Agarwal et al., 2025; where wrong answers are shorter it must fall below a single sample."""
    lab = Lab({"m": RIGHT_IS_SHORT}, tasks=TASKS)
    single, majority = await lab.majority(1), await lab.majority(4)

    def claim(technique: Measured) -> bool:
        faster = technique.latency_s < 0.7 * single.latency_s
        return faster and technique.tokens < majority.tokens and technique.above(single).low > 0.1

    first = await lab.use("first_finish", samples=4)
    assert claim(first)
    assert not claim(majority)
    assert first.calls == 4, "those that were cancelled are counted"
    assert first.tokens > 1.2 * single.tokens, "and what they had written is paid for"
    lab = Lab({"m": RIGHT_IS_LONG}, tasks=TASKS)
    assert (await lab.use("first_finish", samples=4)).above(await lab.majority(1)).high < 0


async def test_short_3_of_k_matches_the_majority_with_fewer_tokens_and_in_less_time() -> None:
    """Hassid et al., 2025: at least as accurate as majority@k, fewer thinking tokens, a third less wall time."""
    lab = Lab({"m": {**RIGHT_IS_SHORT, "tokens_wrong": 24}}, tasks=TASKS)
    majority = await lab.majority(8)

    def claim(technique: Measured) -> bool:
        matches = technique.above(majority).mean > -0.03
        return matches and technique.tokens < 0.9 * majority.tokens and technique.latency_s < 0.67 * majority.latency_s

    assert claim(await lab.use("short_m_at_k", samples=8, first=3))
    assert not claim(majority)


async def test_short_1_of_k_is_first_finish() -> None:
    lab = Lab({"m": RIGHT_IS_SHORT}, tasks=20)
    one, first = await lab.use("short_m_at_k", samples=4, first=1), await lab.use("first_finish", samples=4)
    assert [(a.answer, a.tokens, a.latency_s) for a in one.cells] == [
        (b.answer, b.tokens, b.latency_s) for b in first.cells
    ]


async def test_adaptive_consistency_draws_half_as_much_without_loss() -> None:
    """Aggarwal et al., 2023; a majority over as many samples as it used on average is worse."""
    skill = [{"a": 9, "b": 2}, {"a": 3, "b": 3}]
    lab = Lab({"m": {"provider": "simulated", "skill": skill, "tokens": 10}}, tasks=TASKS)
    whole = await lab.majority(24)

    def claim(technique: Measured) -> bool:
        return technique.calls < 0.6 * whole.calls and technique.above(whole).low > -0.03

    adaptive = await lab.use("adaptive_consistency", samples=24)
    assert claim(adaptive)
    assert not claim(whole)
    assert not claim(await lab.majority(round(adaptive.calls)))
