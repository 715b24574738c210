"""Claims about voting and selection, re-enacted on the simulated provider.

Each claim is a function of what a technique did. It must hold of the technique and must not hold when plain majority
voting over the same number of samples takes its place. A seed is a population of tasks; intervals are over tasks.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import yaml

from archloom.graphs import Document
from archloom.nodes import Completion, Task
from archloom.orchestrator import ModelPool, Workflow, configuration_of
from archloom.orchestrator.models import MemoryStore
from archloom.testing._claims import Lab, Measured
from archloom.testing._replies import Call, FunctionClient

TASKS = 120
EASY_AND_LURED: dict[str, Any] = {
    "provider": "simulated",
    "skill": [{"a": 18, "b": 2}, {"a": 6, "b": 12}],
    "wrong_answers": 20,
    "wrong_skew": 0.0,
    "lure": 1.0,
    "lure_share": 0.8,
    "tokens": 10,
}
"""On half of the tasks most samples give the same wrong answer, the lure; other wrong answers are all rare."""
MEDIUM: dict[str, Any] = {"provider": "simulated", "skill": [3, 3], "tokens": 10}


def judge(hit: float, false_alarm: float, **fields: object) -> dict[str, object]:
    return {"provider": "simulated", "model": "judge", "hit": hit, "false_alarm": false_alarm, "tokens": 5, **fields}


async def test_self_consistency_gains_where_the_right_answer_leads_and_loses_where_a_lure_does() -> None:
    """Wang et al., 2022; the second half is arithmetic: where another answer is likelier, more samples lose."""
    lab = Lab({"m": {**MEDIUM, "skill": [6, 4]}}, tasks=TASKS)
    assert (await lab.use("self_consistency", samples=15)).above(await lab.majority(1)).low > 0.1
    lab = Lab({"m": {**EASY_AND_LURED, "skill": [6, 12]}}, tasks=TASKS)
    assert (await lab.use("self_consistency", samples=15)).above(await lab.majority(1)).high < 0


async def test_best_of_majority_does_not_degrade_with_samples_where_majority_and_best_of_n_do() -> None:
    """Di et al., 2025: lures mislead the majority, and rare answers that look too good mislead best-of-N."""
    lab = Lab({"m": EASY_AND_LURED, "judge": judge(0.8, 0.3, wrong_spread=2.5)}, tasks=TASKS)

    async def judged(samples: int, *, min_share: float) -> Measured:
        nodes = {
            "draft": {"type": "generator", "model": "m", "samples": samples},
            "frequent": {"type": "vote", "min_share": min_share, "keep": 99, "after": "draft"},
            "check": {
                "type": "verifier", "model": "judge", "logprobs": 5, "temperature": 0.7, "keep": "all",
                "after": "frequent" if min_share else "draft",
            },
            "best": {"type": "best", "after": "check"},
        }  # fmt: skip
        if not min_share:
            del nodes["frequent"]
        return await lab.run(nodes, output="best")

    def claim(few: Measured, many: Measured) -> bool:
        return many.above(few).low > -0.05

    assert claim(await judged(4, min_share=0.15), await judged(32, min_share=0.15))
    assert not claim(await lab.majority(4), await lab.majority(32))
    assert not claim(await judged(4, min_share=0), await judged(32, min_share=0))


async def test_best_of_majority_verifies_only_what_is_left() -> None:
    lab = Lab({"m": EASY_AND_LURED, "judge": judge(0.8, 0.3)}, tasks=TASKS)
    best = await lab.use("best_of_majority", judge="judge", samples=16)
    majority = await lab.majority(16)
    assert best.above(majority).low > 0
    assert best.calls < 16 + 4 * 3, "few different answers are left, and each is verified four times"


@pytest.mark.parametrize("seed", [0, 1])
async def test_weighted_voting_gains_with_a_good_judge_and_a_useless_one_sinks_only_best_of_n(seed: int) -> None:
    """Snell et al., 2024. With an uninformative judge best-of-N falls to the accuracy of a single sample."""
    good = Lab({"m": MEDIUM, "judge": judge(0.85, 0.25)}, tasks=TASKS, seed=seed)
    parameters = {"judge": "judge", "samples": 6, "votes": 2}

    def claim(technique: Measured, majority: Measured) -> bool:
        return technique.above(majority).low > 0

    majority = await good.majority(6)
    assert claim(await good.use("weighted_vote", **parameters), majority)
    assert not claim(majority, majority)
    useless = Lab({"m": MEDIUM, "judge": judge(0.5, 0.5)}, tasks=TASKS, seed=seed)
    weighted, best = await useless.use("weighted_vote", **parameters), await useless.use("best_of_n", **parameters)
    single = await useless.majority(1)
    assert weighted.above(best).low > 0
    assert weighted.above(await useless.majority(6)).mean > -0.1
    assert best.above(single).low < 0.05


@pytest.mark.slow
async def test_perplexity_consistency_needs_half_the_samples_where_log_probabilities_are_calibrated() -> None:
    """Zhou et al., 2025: at 8 samples it reaches what majority voting reaches at 16; without calibration it does not."""
    lab = Lab({"m": {**MEDIUM, "wrong_answers": 6, "calibration": 2.0}}, tasks=TASKS)

    def claim(technique: Measured, majority: Measured, twice: Measured) -> bool:
        return technique.above(twice).mean >= 0 and technique.above(majority).low > 0

    majority, twice = await lab.majority(8), await lab.majority(16)
    assert claim(await lab.use("rpc", samples=8), majority, twice)
    assert not claim(majority, majority, twice)
    blind = Lab({"m": {**MEDIUM, "wrong_answers": 6, "calibration": 0.0}}, tasks=80)
    pair = await blind.majority(8), await blind.majority(16)
    assert not claim(await blind.use("rpc", samples=8), *pair)


async def test_markers_help_where_right_answers_are_shorter_and_hurt_where_they_are_longer() -> None:
    """Wang et al., 2025 (Think Deep, Think Fast)."""

    async def gain(right: float, wrong: float) -> tuple[Measured, Measured]:
        lab = Lab({"m": {**MEDIUM, "tokens": right, "tokens_wrong": wrong, "length_spread": 0.5}}, tasks=TASKS)
        return await lab.use("marker_vote", samples=8, keep=5), await lab.majority(8)

    def claim(technique: Measured, majority: Measured) -> bool:
        return technique.above(majority).low > 0

    with_markers, majority = await gain(10, 20)
    assert claim(with_markers, majority)
    assert not claim(majority, majority)
    with_markers, majority = await gain(20, 10)
    assert with_markers.above(majority).high < 0


@pytest.mark.slow
async def test_voting_over_temperatures_is_safe_where_a_single_one_may_be_too_hot() -> None:
    """Wu et al., 2025, as far as votes go: no temperature need be known, and one that scatters does little harm."""
    lab = Lab({"m": {**MEDIUM, "skill": [4, 3]}}, tasks=TASKS)
    best, worst = await lab.majority(20, temperature=0.7), await lab.majority(20, temperature=1.3)

    def claim(technique: Measured) -> bool:
        return technique.above(best).mean > -0.06 and technique.above(worst).low > 0

    technique = await lab.use("multi_temperature_vote", samples=3, more=2)
    assert claim(technique)
    assert technique.calls <= 4 * (3 + 2) == best.calls
    assert not claim(worst)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
async def test_temperatures_that_agree_end_the_draw_without_loss(seed: int) -> None:
    """Wu et al., 2025: the early exit. Half of the tasks are easy; on the others every sample counts.

    The same graph with a share that cannot be reached never stops. Drawing fewer everywhere saves as much, and loses:
    so does a majority at the best temperature, over as many samples as were drawn on average.
    """
    skill = [{"a": 60, "b": 1}, {"a": 16, "b": 24}]
    lab = Lab({"m": {**MEDIUM, "skill": skill, "wrong_skew": 0.0}}, tasks=TASKS, seed=seed)
    whole = await lab.use("multi_temperature_vote", settled=1.1)
    assert whole.calls == 40

    def claim(technique: Measured) -> bool:
        return technique.tokens < 0.8 * whole.tokens and technique.above(whole).low > -0.01

    early = await lab.use("multi_temperature_vote")
    assert claim(early)
    fewer = round(early.calls / 4)
    assert not claim(await lab.use("multi_temperature_vote", samples=fewer, settled=0.0))
    assert not claim(await lab.majority(40))
    assert not claim(await lab.majority(4 * fewer))


# Free text


WORDS = ("stone", "arch", "cable", "flood", "river", "engineer", "mayor", "iron", "wood", "winter", "toll", "ferry")


def paraphrase(rng: random.Random, name: str) -> str:
    """What is true of a bridge in other words: some are left out, no two tellings are alike."""
    of_it = random.Random(name).sample(WORDS, 10)
    return " ".join([name, *(word for word in of_it if rng.random() < 0.8)])


async def told(nodes: dict[str, Any], *, tasks: int, faithful: float) -> float:
    """Share of the tasks on which the answer says what most samples say in one way or another."""

    async def reply(call: Call) -> Completion:
        rng = random.Random(f"{call.text}/{call.seed}")
        named = call.text.split()[-1]
        text = paraphrase(rng, named if rng.random() < faithful else f"name{rng.randrange(1000, 9999)}")
        return Completion(text, "stop", 5, len(text.split()), 0.1)

    data = {"archloom": 1, "models": {"m": {"provider": "scripted"}}, "nodes": nodes, "output": "x"}
    configuration = configuration_of(Document.parse(yaml.safe_dump(data)))
    right = Counter[bool]()
    async with ModelPool(MemoryStore(), client=lambda spec: FunctionClient(reply)) as pool:
        workflow = Workflow(configuration, pool=pool)
        for number in range(tasks):
            result = await workflow.arun(Task.ask(f"Who built bridge name{number}", id=str(number)))
            right[f"name{number}" in result.text.split()] += 1
    return right[True] / tasks


@pytest.mark.parametrize("name", ["mbr", "hedged_sampling"])
async def test_agreement_finds_what_most_say_where_no_two_say_it_alike(name: str) -> None:
    """Minimum Bayes risk: exact votes are all different, and a majority of one is as good as a single sample."""
    technique = await told(
        {"x": {"use": f"library/{name}", "with": {"model": "m", "samples": 8}}}, tasks=60, faithful=0.5
    )
    draft = {"type": "generator", "model": "m", "samples": 8}
    majority = await told({"draft": draft, "x": {"type": "vote", "after": "draft"}}, tasks=60, faithful=0.5)
    assert technique > 0.85
    assert majority < 0.75
