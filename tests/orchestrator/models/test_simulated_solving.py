"""The simulated model as a solver: difficulty, wrong answers, steps, continuation, revision and lengths.

Tolerances are four standard errors, and all draws are fixed by seeds.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from archloom.graphs import SimulatedModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.models.simulated._client import SimulatedClient
from archloom.orchestrator.models.simulated._steps import last_step
from archloom.tasks import simulated_truth, simulated_wrong

N = 1000
NEVER = (1e-6, 1e6)
STOP = Sampling(stop=("\n\n",))
SOLUTION = re.compile(r"((?:Step \d+: \d+(?: [a-z]+)+\.\n\n)*)The answer is (\d+)\.")


def model(**fields: object) -> SimulatedClient:
    return SimulatedClient(SimulatedModel.model_validate({"tokens": 12, **fields}))


def always(p: float) -> tuple[float, float]:
    """A skill that is the same for all tasks."""
    return (p * 1e9, (1 - p) * 1e9)


def question(number: int) -> str:
    return f"Simulated task solving/0/{number}: what is its number?"


def marker(number: int) -> str:
    return f"Simulated task solving/0/{number}:"


def asked(number: int, partial: str | None = None) -> Messages:
    user = {"role": "user", "content": question(number)}
    return (user,) if partial is None else (user, {"role": "assistant", "content": partial})


async def draw(
    client: SimulatedClient, messages: Messages, seed: int = 0, sampling: Sampling | None = None
) -> Completion:
    return await client.complete(messages, sampling or Sampling(), seed=seed)


async def answer(client: SimulatedClient, messages: Messages, seed: int = 0, sampling: Sampling | None = None) -> str:
    found = re.search(r"(\d+)\.$", (await draw(client, messages, seed, sampling)).text)
    assert found is not None
    return found[1]


async def right(client: SimulatedClient, number: int, seed: int = 0, partial: str | None = None) -> bool:
    return await answer(client, asked(number, partial), seed) == simulated_truth(question(number))


def near(share: float, expected: float, n: int) -> bool:
    """Within four binomial standard errors."""
    return abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def accuracy_of_steps(p: float, steps: int, correction: float) -> float:
    error = 1 - p ** (1 / steps)
    if error + correction == 0:
        return 1.0
    return (correction + error * (1 - error - correction) ** steps) / (error + correction)


# -- difficulty ----------------------------------------------------------------------------------------------


async def test_clusters_have_their_weights_and_their_betas() -> None:
    client = model(skill=[{"weight": 3, "a": 8, "b": 2}, {"a": 1, "b": 9}])
    assert near(fmean([await right(client, number) for number in range(N)]), 0.75 * 0.8 + 0.25 * 0.1, N)
    sharp = model(skill=[{"weight": 3, "a": 1e9, "b": 1}, {"weight": 2, "a": 1, "b": 1e9}])
    outcomes = [{await right(sharp, number, seed) for seed in range(3)} for number in range(N)]
    assert near(fmean(each == {True} for each in outcomes), 0.6, N)
    assert near(fmean(each == {False} for each in outcomes), 0.4, N)


@pytest.mark.parametrize(
    ("skill", "where"),
    [([1], (1,)), ([0, 1], (0,)), ([{"a": 1}], (0, "b")), ([{"a": 1, "b": 2, "c": 3}], (0, "c")), ("x", ())],
    ids=["one number", "zero", "missing", "unknown", "text"],
)
def test_a_mistake_in_the_skill_is_reported_where_it_is(skill: object, where: tuple[object, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        SimulatedModel.model_validate({"skill": skill})
    assert ("skill", *where) in [error["loc"] for error in caught.value.errors()]


CLUSTERS = [{"weight": 1, "a": 6, "b": 2}, {"weight": 2, "a": 1, "b": 4}]


@pytest.mark.parametrize("skill", [(2, 3), CLUSTERS], ids=["one beta", "clusters"])
def test_shared_difficulty_keeps_the_distribution_of_the_skill(skill: Sequence[object]) -> None:
    solves = reference(skill=skill, shared_difficulty=0.7)
    weights = [(1.0, 2, 3)] if skill == (2, 3) else [(1 / 3, 6, 2), (2 / 3, 1, 4)]

    def cdf(p: object) -> object:
        return sum(w * stats.beta(a, b).cdf(p) for w, a, b in weights)

    # 1.95 / sqrt(n) is the critical value of Kolmogorov's test at 0.001.
    assert stats.kstest(solves, cdf).statistic < 1.95 / math.sqrt(N)


@pytest.mark.parametrize(("one", "other"), [(0.9, 0.8), (0.6, 0.5), (1.0, 1.0), (0.9, 0.0), (0.0, 0.0)], ids=str)
def test_difficulties_correlate_with_the_product_of_the_loadings(one: float, other: float) -> None:
    first = reference(skill=(2, 3), shared_difficulty=one)
    second = reference(skill=(5, 1), model="other", seed=7, shared_difficulty=other)
    z = [stats.norm.ppf(stats.beta(a, b).cdf(solves)) for solves, a, b in ((first, 2, 3), (second, 5, 1))]
    r = float(np.corrcoef(z)[0, 1])
    assert abs(r - one * other) <= 4 * (1 - (one * other) ** 2) / math.sqrt(N) + 1e-6


def reference(**fields: object) -> list[float]:
    client = model(**fields)
    return [client._roles._difficulty.reference(marker(number)) for number in range(N)]


@pytest.mark.parametrize(("loading", "both"), [(1.0, 1 / 3), (0.0, 1 / 4)], ids=["shared", "independent"])
async def test_models_that_share_difficulty_are_right_together(loading: float, both: float) -> None:
    pair = [model(model=name, skill=(1, 1), shared_difficulty=loading) for name in ("a", "b")]
    outcomes = [[await right(client, number) for client in pair] for number in range(2 * N)]
    assert near(fmean(all(each) for each in outcomes), both, 2 * N)
    assert near(fmean(each[0] for each in outcomes), 1 / 2, 2 * N)


# -- wrong answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong_answers", "expected"), [(4, 0.5 * 0.9 + 0.5 / 4), (1, 1.0)], ids=["four", "one"])
async def test_a_lure_takes_its_share_of_the_wrong_answers(wrong_answers: int, expected: float) -> None:
    client = model(skill=NEVER, wrong_answers=wrong_answers, wrong_skew=0, lure=0.5, lure_share=0.9)
    first = [await answer(client, asked(number)) == simulated_wrong(question(number), 0) for number in range(N)]
    assert near(fmean(first), expected, N)


async def test_the_other_wrong_answers_keep_their_law_beside_a_lure() -> None:
    client = model(skill=NEVER, wrong_answers=3, wrong_skew=1, lure=1, lure_share=0.4)
    seen = Counter([await answer(client, asked(1), seed) for seed in range(N)])
    for rank, share in enumerate([0.4, 0.6 * 3 / 5, 0.6 * 2 / 5]):
        assert near(seen[simulated_wrong(question(1), rank)] / N, share, N)


async def test_all_models_are_lured_by_the_same_answers_to_the_same_tasks() -> None:
    pair = [
        model(model=name, seed=seed, skill=NEVER, wrong_skew=0, lure=0.5, lure_share=1)
        for seed, name in enumerate("ab")
    ]
    first = [
        all([await answer(client, asked(number)) == simulated_wrong(question(number), 0) for client in pair])
        for number in range(N)
    ]
    assert near(fmean(first), 0.5 + 0.5 / 16, N)


async def test_more_lures_are_those_of_fewer_and_others() -> None:
    lured = []
    for lure in (0.3, 0.6):
        client = model(skill=NEVER, wrong_answers=1000, wrong_skew=0, lure=lure, lure_share=1)
        answers = [await answer(client, asked(number)) for number in range(100)]
        lured.append({number for number, said in enumerate(answers) if said == simulated_wrong(question(number), 0)})
    assert lured[0] < lured[1]


@pytest.mark.parametrize("samples", [1, 25])
async def test_a_lure_makes_a_majority_fail(samples: int) -> None:
    client, tasks = model(skill=always(0.4), lure=1, lure_share=1), 400
    wins = [
        sum([await right(client, number, seed) for seed in range(samples)]) > samples / 2 for number in range(tasks)
    ]
    assert near(fmean(wins), float(stats.binom(samples, 0.4).sf(samples // 2)), tasks)


# -- steps ---------------------------------------------------------------------------------------------------


async def test_a_solution_has_numbered_steps_with_blank_lines_between() -> None:
    for seed in range(20):
        found = SOLUTION.fullmatch((await draw(model(steps=4), asked(1), seed)).text)
        assert found is not None
        assert re.findall(r"Step (\d+)", found[1]) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("correction", [0.0, 0.3])
@pytest.mark.parametrize("steps", [1, 5])
async def test_the_accuracy_of_steps_follows_from_skill_and_self_correction(steps: int, correction: float) -> None:
    client = model(skill=always(0.5), steps=steps, self_correction=correction)
    shares = [await right(client, number) for number in range(N)]
    assert near(fmean(shares), accuracy_of_steps(0.5, steps, correction), N)


async def test_an_error_comes_at_each_step_alike_and_stays() -> None:
    client = model(skill=always(0.9**4), steps=4)
    states = []
    for number in range(N):
        paragraphs = (await draw(client, asked(number))).text.split("\n\n")
        states.append([rank_in(number, paragraph) is None for paragraph in paragraphs[:4]])
        assert states[-1] == sorted(states[-1], reverse=True)
        assert (paragraphs[4] == f"The answer is {simulated_truth(question(number))}.") is states[-1][-1]
    for step in range(4):
        assert near(fmean(state[step] for state in states), 0.9 ** (step + 1), N)


def rank_in(number: int, text: str) -> int | None:
    step = last_step(marker(number), text)
    assert step is not None
    return step.rank


async def prefix(client: SimulatedClient, number: int, *, good: bool, steps: int = 2) -> str:
    """The first steps of a solution that are all right, or not."""
    for seed in range(1000):
        text = "\n\n".join((await draw(client, asked(number), seed)).text.split("\n\n")[:steps])
        if (rank_in(number, text) is None) is good:
            return text + "\n\n"
    raise AssertionError("no such prefix")


async def test_a_right_prefix_saves_the_errors_of_its_steps() -> None:
    client = model(skill=always(0.5), steps=5)
    begun = await prefix(client, 1, good=True)
    assert near(fmean([await right(client, 1, seed, begun) for seed in range(N)]), 0.5 ** (3 / 5), N)


@pytest.mark.parametrize("correction", [0.0, 0.2])
async def test_a_wrong_prefix_is_lost_but_for_self_correction(correction: float) -> None:
    client = model(skill=always(1 - 1e-9), steps=5, self_correction=correction)
    begun = await prefix(model(skill=always(0.3), steps=5), 1, good=False)
    expected = 1 - (1 - correction) ** 3
    assert near(fmean([await right(client, 1, seed, begun) for seed in range(N)]), expected, N)


async def test_what_follows_a_wrong_step_leads_to_one_wrong_answer() -> None:
    client = model(skill=always(0.5), steps=5, wrong_answers=50, wrong_skew=0)
    begun = await prefix(client, 1, good=False)
    rank = rank_in(1, begun)
    assert rank is not None
    answers = {await answer(client, asked(1, begun), seed) for seed in range(50)}
    assert answers == {simulated_wrong(question(1), rank)}


async def test_a_model_without_steps_goes_on_after_the_steps_of_another() -> None:
    writer, plain = model(skill=always(0.5), steps=5), model(skill=always(0.7), self_correction=0.1)
    for good, expected in ((True, 0.7), (False, 0.1)):
        begun = await prefix(writer, 1, good=good)
        assert near(fmean([await right(plain, 1, seed, begun) for seed in range(N)]), expected, N)


@given(seed=st.integers(0, 2**31), limit=st.integers(1, 120), steps=st.integers(0, 5))
def test_a_cut_reply_and_its_continuation_are_one_solution(seed: int, limit: int, steps: int) -> None:
    client = model(steps=steps, tokens=60)
    first = asyncio.run(draw(client, asked(1), seed, Sampling(max_tokens=limit)))
    rest = asyncio.run(draw(client, asked(1, first.text), seed))
    whole = first.text + rest.text
    if steps == 0:
        assert re.fullmatch(r"[a-z]+(?: [a-z]+)*\nThe answer is \d+\.", whole)
    else:
        found = SOLUTION.fullmatch(whole)
        assert found is not None
        assert re.findall(r"Step (\d+)", found[1]) == [str(number) for number in range(1, steps + 1)]
    assert (rest.finish == "empty") == (first.finish == "stop")
    assert first.text


async def test_step_by_step_with_a_stop_string_writes_a_whole_solution() -> None:
    client, shares = model(skill=always(0.6), steps=3), []
    for number in range(N // 4):
        text = ""
        for seed in range(4):
            reply = await draw(client, asked(number, text or None), seed, STOP)
            assert reply.finish == "stop"
            text += reply.text + "\n\n" * (seed < 3)
        found = SOLUTION.fullmatch(text)
        assert found is not None
        shares.append(found[2] == simulated_truth(question(number)))
    assert near(fmean(shares), 0.6, len(shares))


async def test_a_prefix_that_lacks_the_delimiter_stops_at_once() -> None:
    client = model(steps=3)
    begun = (await draw(client, asked(1), 0, STOP)).text
    reply = await draw(client, asked(1, begun), 0, STOP)
    assert (reply.text, reply.finish, reply.tokens_out) == ("", "empty", 1)


async def test_at_temperature_0_a_prefix_leads_where_the_whole_did() -> None:
    client, cold = model(skill=always(0.5), steps=5), Sampling(temperature=0)
    for number in range(30):
        paragraphs = (await draw(client, asked(number), 0, cold)).text.split("\n\n")
        for steps in range(1, 6):
            begun = "\n\n".join(paragraphs[:steps]) + "\n\n"
            rest = await draw(client, asked(number, begun), steps, cold)
            assert rest.text.endswith(paragraphs[-1])


# -- going on after an answer --------------------------------------------------------------------------------


async def test_after_its_answer_there_is_nothing_left_to_say() -> None:
    reply = await draw(model(), asked(1, "sum\nThe answer is 417."))
    assert (reply.text, reply.finish, reply.tokens_out) == ("", "empty", 1)


@pytest.mark.parametrize("cue", ["Final Answer:", "So the answer is", "\n\nThe answer is: "])
async def test_a_cue_for_the_answer_is_followed_by_nothing_else(cue: str) -> None:
    client = model(skill=always(1 - 1e-9), steps=4)
    begun = await prefix(client, 1, good=True)
    reply = await draw(client, asked(1, begun + cue))
    assert reply.text == " " * (not cue[-1].isspace()) + f"{simulated_truth(question(1))}."


@pytest.mark.parametrize(("begins", "expected"), [(True, 1 - 0.2), (False, 0.35)], ids=["right", "wrong"])
async def test_thinking_on_after_an_answer_fixes_and_breaks(begins: bool, expected: float) -> None:
    client = model(fixes=0.35, breaks=0.2)
    said = simulated_truth(question(1)) if begins else simulated_wrong(question(1), 0)
    shares = [await right(client, 1, seed, f"sum\nThe answer is {said}. Wait") for seed in range(N)]
    assert near(fmean(shares), expected, N)


# -- lengths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 4])
async def test_wrong_answers_have_their_own_length(steps: int) -> None:
    client = model(skill=NEVER if steps else always(0.5), steps=steps, tokens=60, tokens_wrong=150, length_spread=0.5)
    lengths: dict[bool, list[int]] = {True: [], False: []}
    for seed in range(N):
        reply = await draw(client, asked(1), seed)
        lengths[reply.text.endswith(f" {simulated_truth(question(1))}.")].append(reply.tokens_out)
    for good, mean in ((False, 150),) if steps else ((True, 60), (False, 150)):
        error = mean * math.sqrt(math.expm1(0.5**2) / len(lengths[good]))
        # Words are whole, and a word is 1.3 tokens.
        assert abs(fmean(lengths[good]) - mean) <= 4 * error + 1.3 * max(1, steps) / 2


async def test_without_spread_all_replies_are_of_one_length() -> None:
    client = model(skill=always(0.5), tokens=60, length_spread=0)
    assert {(await draw(client, asked(1), seed)).tokens_out for seed in range(20)} == {60}
