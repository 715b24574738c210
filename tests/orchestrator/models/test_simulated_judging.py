"""The simulated model as judge, scorer, reviser and fuser: rates, noise, biases and what critiques do.

Tolerances are four standard errors, and all draws are fixed by seeds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import NormalDist, fmean

import numpy as np
import pytest
from scipy import integrate, stats

from archloom.graphs import SimulatedModel
from archloom.nodes import (
    Candidate,
    Fuser,
    Generator,
    Messages,
    ModelNode,
    Ranker,
    Sampling,
    Task,
    Verifier,
    parse_ranking,
    parse_verdict,
)
from archloom.orchestrator.models.simulated._client import SimulatedClient
from archloom.orchestrator.models.simulated._steps import Step, step_head
from archloom.tasks import simulated_truth, simulated_wrong

N = 800
Z = NormalDist()
QUESTION = "Simulated task judging/0/1: what is its number?"
MARKER = "Simulated task judging/0/1:"
TRUTH = str(simulated_truth(QUESTION))
FINE = "Rate it.\nEnd with\nScore: a number from 0 to 1000000"


def model(**fields: object) -> SimulatedClient:
    return SimulatedClient(SimulatedModel.model_validate({"tokens": 8, **fields}))


def response(right: bool, number: int = 0) -> str:
    """A response; each number is another text."""
    return f"Way {number}.\nThe answer is {TRUTH if right else simulated_wrong(QUESTION, 0)}."


def prefix(right: bool, steps: int = 1, words: str = "add both.", number: int = 0) -> str:
    heads = [step_head(MARKER, Step(step, None if right else 0)) for step in range(1, steps + 1)]
    return "\n\n".join([f"{head} part {number}." for head in heads[:-1]] + [f"{heads[-1]} {words}"])


def shown(node: ModelNode, texts: Sequence[str], critiques: Sequence[str] = ()) -> Messages:
    """What a node asks about these responses, each with these critiques."""
    given = tuple(Candidate(id=f"c#{i}", text=text, answer=None) for i, text in enumerate(texts))
    for critique in critiques:
        given = tuple(candidate.annotated(critique=critique) for candidate in given)
    [request] = node.requests(Task.ask(QUESTION), given)
    return request.messages


def user(text: str) -> Messages:
    return ({"role": "user", "content": text},)


def asking(text: str, asked: str, heading: str = "### Response") -> Messages:
    return user(f"{QUESTION}\n\n{heading}\n{text}\n\n{asked}")


async def reply(client: SimulatedClient, messages: Messages, seed: int = 0) -> str:
    return (await client.complete(messages, Sampling(), seed=seed)).text


async def answer(client: SimulatedClient, messages: Messages, seed: int = 0) -> str:
    return (await reply(client, messages, seed)).removesuffix(".").rpartition(" ")[2]


async def accepted(client: SimulatedClient, text: str, seed: int = 0) -> bool:
    return parse_verdict(await reply(client, shown(Verifier(model="m"), [text]), seed)) is True


async def first(client: SimulatedClient, texts: Sequence[str], seed: int = 0) -> int:
    """The response that is ranked first."""
    order = parse_ranking(await reply(client, shown(Ranker(model="m"), texts), seed), len(texts))
    assert isinstance(order, tuple)
    return order[0]


async def scores(client: SimulatedClient, texts: Sequence[str], asked: str = FINE, seeds: bool = True) -> list[float]:
    """The score of each text, in one part of a million."""
    said = [await reply(client, asking(text, asked), i if seeds else 0) for i, text in enumerate(texts)]
    return [float(text.rpartition(" ")[2]) / 1e6 for text in said]


def near(share: float, expected: float, n: int) -> bool:
    """Within four binomial standard errors."""
    return abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Share of pairs in which the right one is higher."""
    return float(stats.mannwhitneyu(right, wrong).statistic) / (len(right) * len(wrong))


def auc_near(found: float, expected: float, n: int) -> bool:
    """Its variance is at most A(1 - A) / n with n cases in the smaller class."""
    return near(found, expected, n)


# -- verdicts ------------------------------------------------------------------------------------------------

NOISES: list[dict[str, float]] = [
    {}, {"judge_consistency": 0.5}, {"judge_consistency": 1}, {"wrong_spread": 3}, {"judge_consistency": 0.7, "wrong_spread": 0.5},
]  # fmt: skip


@pytest.mark.parametrize("noise", NOISES, ids=str)
async def test_hit_and_false_alarm_hold_over_responses_whatever_the_noise(noise: dict[str, float]) -> None:
    client = model(hit=0.85, false_alarm=0.25, **noise)
    for right, rate in ((True, 0.85), (False, 0.25)):
        assert near(fmean([await accepted(client, response(right, number)) for number in range(N)]), rate, N)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
async def test_two_votes_agree_by_the_share_of_noise_that_belongs_to_the_response(share: float) -> None:
    client = model(hit=0.7, judge_consistency=share)
    pairs = [[await accepted(client, response(True, number), seed) for seed in (0, 1)] for number in range(N)]
    z = Z.inv_cdf(0.7)
    both = 0.7 if share == 1 else float(stats.multivariate_normal.cdf([z, z], cov=[[1, share], [share, 1]]))
    assert near(fmean(all(pair) for pair in pairs), both, N)


async def test_the_opinions_of_two_judges_are_independent() -> None:
    pair = [model(model=name, hit=0.7, judge_consistency=1) for name in ("one", "other")]
    both = [all([await accepted(client, response(True, number)) for client in pair]) for number in range(N)]
    assert near(fmean(both), 0.49, N)


async def test_a_consistent_judge_has_one_opinion_in_all_its_roles_and_places() -> None:
    client = model(hit=0.7, false_alarm=0.7, judge_consistency=1)
    texts = [response(True, number) for number in range(2)]
    best = {(await first(client, texts, seed)) for seed in range(5)} | {
        1 - await first(client, texts[::-1], seed) for seed in range(5)
    }
    assert len(best) == 1


@pytest.mark.parametrize(
    ("asked", "form"),
    [
        ("End with one line, either\nVerdict: correct\nor\nVerdict: incorrect", r"Verdict: (correct|incorrect)"),
        ("Is the answer correct (Yes/No)?", r"(Yes|No)"),
        ("Is it correct? End with\nVerdict: Yes\nor\nVerdict: No", r"Verdict: (Yes|No)"),
        ("Is it correct, yes or no? End with 'Verdict: ...'", r"Verdict: (Yes|No)"),
        ("Give a score from 0 to 10.", r"Score: \d+\.\d\d"),
        ("Give a score from 0 to 9.", r"Score: \d"),
        ("Give an integer score from 1 to 100.", r"Score: \d+"),
        ("List strengths and weaknesses.", r"Overall: likely (right|wrong)\."),
        ("Improve it.", r"The answer is \d+\."),
    ],
)
async def test_the_last_line_has_the_form_that_is_asked_for(asked: str, form: str) -> None:
    said = await reply(model(), asking(response(True), asked))
    assert re.fullmatch(form, said.splitlines()[-1])


@pytest.mark.parametrize("heading", ["### Response", "### Partial solution", "### Solution so far", "### Solution 1"])
async def test_what_stands_under_a_heading_is_judged(heading: str) -> None:
    client = model(hit=1, false_alarm=0)
    for right in (True, False):
        said = await reply(client, asking(response(right), "Verdict: correct\nor\nVerdict: incorrect", heading))
        assert parse_verdict(said) is right


async def test_the_message_before_the_last_question_is_judged_when_no_heading_is_there() -> None:
    client = model(hit=1, false_alarm=0, score_signal=30)
    for right in (True, False):
        turns = (*user(QUESTION), {"role": "assistant", "content": prefix(right)})
        judged = (*turns, *user("Is this correct? Answer Yes or No."))
        assert (await reply(client, judged)).endswith("Yes" if right else "No")
        scored = (*turns, *user("Give a score from 0 to 9."), {"role": "assistant", "content": "The score is: "})
        said = await client.complete(scored, Sampling(max_tokens=1), seed=0)
        assert (said.text, said.tokens_out) == ("9" if right else "0", 1)


async def test_the_word_of_a_verdict_has_its_probability() -> None:
    client, sure = model(hit=0.8, false_alarm=0.3), dict[bool, list[float]]()
    for right in (True, False):
        sure[right] = []
        for seed in range(N // 2):
            drawn = await client.complete(
                shown(Verifier(model="m"), [response(right)]), Sampling(logprobs=2), seed=seed
            )
            word = next(token for token in drawn.tokens if token.text in {" correct", " incorrect"})
            chances = {text: math.exp(logprob) for text, logprob in word.top}
            assert sum(chances.values()) == pytest.approx(1)
            assert word.logprob == max(logprob for _, logprob in word.top)
            assert drawn.text.endswith(word.text)
            sure[right].append(chances[" correct"])
    expected = Z.cdf((Z.inv_cdf(0.8) - Z.inv_cdf(0.3)) / math.sqrt(2))
    assert auc_near(auc(sure[True], sure[False]), expected, N // 2)


# -- several responses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.0, 1.0, -0.5])
async def test_the_first_place_is_worth_its_bias_and_a_swap_cancels_it(bias: float) -> None:
    client = model(hit=0.8, false_alarm=0.3, position_bias=bias)
    d = Z.inv_cdf(0.8) - Z.inv_cdf(0.3)
    equal = [response(True, number) for number in range(2)]
    wins = [
        fmean([await first(client, equal, seed) == 0 for seed in range(N)]),
        fmean([await first(client, equal[::-1], seed) == 1 for seed in range(N)]),
    ]
    assert near(wins[0], Z.cdf(bias / math.sqrt(2)), N)
    assert near(fmean(wins), 0.5, 2 * N)
    unequal = [response(True), response(False)]
    there = fmean([await first(client, unequal, seed) == 0 for seed in range(N)])
    back = fmean([await first(client, unequal[::-1], seed) == 1 for seed in range(N)])
    assert near(there, Z.cdf((d + bias) / math.sqrt(2)), N)
    assert near(back, Z.cdf((d - bias) / math.sqrt(2)), N)


async def test_a_chooser_names_one_with_the_bias_of_a_judge() -> None:
    client = model(hit=0.8, false_alarm=0.3, position_bias=1)
    asked = user(
        f"{QUESTION}\n### Response 1\n{response(False)}\n### Response 2\n{response(True)}\nEnd with\nBest: 1 or 2"
    )
    said = [(await reply(client, asked, seed)).splitlines()[-1] for seed in range(N)]
    d = Z.inv_cdf(0.8) - Z.inv_cdf(0.3)
    assert set(said) == {"Best: 1", "Best: 2"}
    assert near(fmean(each == "Best: 2" for each in said), Z.cdf((d - 1) / math.sqrt(2)), N)


def best_is_right(d: float, spread: float, count: int) -> float:
    """P(the best of ``count`` right and ``count`` wrong responses is right)."""

    def density(x: float) -> float:
        return count * Z.pdf(x - d) * Z.cdf(x - d) ** (count - 1) * Z.cdf(x / spread) ** count

    return float(integrate.quad(density, -8, d + 8)[0])


@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize("count", [1, 4, 24])
async def test_wide_wrong_quality_lets_the_best_of_many_be_wrong(count: int, spread: float) -> None:
    draws, d = 600, Z.inv_cdf(0.8) - spread * Z.inv_cdf(0.3)
    client = model(hit=0.8, false_alarm=0.3, wrong_spread=spread)
    texts = [response(number % 2 == 0, number) for number in range(2 * count)]
    right = fmean([await first(client, texts, seed) % 2 == 0 for seed in range(draws)])
    assert near(right, best_is_right(d, spread, count), draws)
    grows = best_is_right(d, spread, count) > best_is_right(d, spread, 1)
    assert grows == (spread == 1 and count > 1)


# -- scores --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "signal"), [({"score_signal": 1.5}, 1.5), ({}, 1.366), ({"score_signal": 0}, 0)], ids=str
)
async def test_scores_separate_right_from_wrong_prefixes_by_their_signal(
    fields: dict[str, float], signal: float
) -> None:
    client = model(hit=0.8, false_alarm=0.3, **fields)
    right, wrong = [await scores(client, [prefix(good)] * (N // 2)) for good in (True, False)]
    assert auc_near(auc(right, wrong), Z.cdf(signal / math.sqrt(2)), N // 2)


async def test_a_score_is_the_probability_of_being_right_when_one_in_two_is() -> None:
    client = model(score_signal=1.5)
    right, wrong = [np.array(await scores(client, [prefix(good)] * N)) for good in (True, False)]
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        inside = [np.sum((each >= low) & (each < high)) for each in (right, wrong)]
        everything = np.concatenate([right, wrong])
        expected = float(np.mean(everything[(everything >= low) & (everything < high)]))
        assert near(inside[0] / sum(inside), expected, int(sum(inside)))


async def test_little_of_an_unfinished_step_tells_little() -> None:
    client = model(score_signal=2)
    for words, seen in (("add both", 2), ("add " * 10 + "both", 11)):
        right, wrong = [await scores(client, [prefix(good, words=words)] * (N // 2)) for good in (True, False)]
        signal = 2 * seen / (seen + 10)
        assert auc_near(auc(right, wrong), Z.cdf(signal / math.sqrt(2)), N // 2)


@pytest.mark.parametrize("steps", [1, 2, 4])
async def test_early_confidence_exaggerates_early_scores(steps: int) -> None:
    texts = [prefix(True, steps, number=number) for number in range(20)]
    plain, bold = [
        np.array(await scores(model(score_signal=1, early_confidence=factor), texts)) for factor in (1.0, 3.0)
    ]
    ratio = stats.logistic.ppf(bold) / stats.logistic.ppf(plain)
    assert ratio == pytest.approx(1 + 2 / steps, rel=1e-2)


async def test_several_responses_are_scored_in_their_order_and_the_first_gains_by_its_bias() -> None:
    right, bias = response(True), 1.0
    client = model(score_signal=2, position_bias=bias)
    messages = user(f"{QUESTION}\n### Response 1\n{right}\n### Response 2\n{right}\nScores: two numbers from 0 to 10")
    said = [re.findall(r"[\d.]+", (await reply(client, messages, seed)).splitlines()[-1]) for seed in range(N)]
    assert all(len(each) == 2 for each in said)
    share = fmean(float(one) > float(other) for one, other in said)
    assert abs(share - Z.cdf(bias / math.sqrt(2))) <= 4 * math.sqrt(0.25 / N) + 0.01  # some are equal in two places


async def test_a_digit_is_the_likelier_of_the_two_that_the_score_lies_between() -> None:
    client, spreads = model(score_signal=1), set()
    for seed in range(50):
        drawn = await client.complete(
            asking(prefix(True), "Give a score from 0 to 9."), Sampling(logprobs=5), seed=seed
        )
        word = next(token for token in reversed(drawn.tokens) if token.text.strip())
        chances = {int(text): math.exp(logprob) for text, logprob in word.top}
        assert sum(chances.values()) == pytest.approx(1)
        assert chances[int(word.text)] == max(chances.values())
        spreads.add(max(chances) - min(chances))
    assert spreads == {1}


# -- revising ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begins", "expected"), [(True, 0.8), (False, 0.35)], ids=["right", "wrong"])
@pytest.mark.parametrize("node", [Fuser(model="m"), Generator(model="m")], ids=["fuser", "generator"])
async def test_a_reviser_fixes_and_breaks(node: ModelNode, begins: bool, expected: float) -> None:
    client, messages = model(fixes=0.35, breaks=0.2), shown(node, [response(begins)])
    assert near(fmean([await answer(client, messages, seed) == TRUTH for seed in range(N)]), expected, N)


async def test_a_reviser_in_a_chat_goes_by_its_own_answer() -> None:
    turns = (*user(QUESTION), {"role": "assistant", "content": response(False)}, *user("Check it again."))
    shares = [await answer(model(fixes=0.35, skill=(1e-6, 1e6)), turns, seed) == TRUTH for seed in range(N)]
    assert near(fmean(shares), 0.35, N)
    afresh = [await answer(model(skill=(1e6, 1e-6)), turns, seed) == TRUTH for seed in range(20)]
    assert all(afresh)


async def test_rounds_of_revision_lead_to_fixes_over_fixes_and_breaks() -> None:
    client, finals = model(fixes=0.3, breaks=0.1), []
    for chain in range(500):
        text = response(False)
        for number in range(15):
            text = await reply(client, shown(Fuser(model="m"), [text]), 100 * chain + number)
        finals.append(text.endswith(f" {TRUTH}."))
    assert near(fmean(finals), 0.75 * (1 - 0.6**15), 500)


@pytest.mark.parametrize(("critique", "sign"), [("Overall: likely right.", 1), ("Overall: likely wrong.", -1)])
async def test_a_heeded_critique_moves_the_log_odds_of_a_change(critique: str, sign: int) -> None:
    client = model(fixes=0.3, heeds=1.5)
    messages = shown(Fuser(model="m"), [response(False)], [critique])
    expected = float(stats.logistic.cdf(stats.logistic.ppf(0.3) - 1.5 * sign))
    assert near(fmean([await answer(client, messages, seed) == TRUTH for seed in range(N)]), expected, N)


async def test_a_critique_does_not_move_a_model_that_never_changes_an_answer() -> None:
    messages = shown(Fuser(model="m"), [response(False)], ["Overall: likely wrong."])
    assert TRUTH not in {await answer(model(heeds=9), messages, seed) for seed in range(50)}


@pytest.mark.parametrize("heeds", [0.0, 1.0])
async def test_heeded_critiques_decide_between_responses(heeds: float) -> None:
    client = model(hit=0.5, false_alarm=0.5, heeds=heeds)
    texts = [
        f"{response(True)}\n\nCritique: Overall: likely right.",
        f"{response(False)}\n\nCritique: Overall: likely wrong.",
    ]
    expected = Z.cdf(2 * heeds / math.sqrt(2))
    for node in (Fuser(model="m"), Ranker(model="m")):
        messages = shown(node, texts)
        said = [await reply(client, messages, seed) for seed in range(N)]
        assert near(fmean(each.endswith((f" {TRUTH}.", "1 > 2")) for each in said), expected, N)


async def test_a_fuser_breaks_the_best_that_it_is_shown() -> None:
    client = model(hit=1, false_alarm=0, breaks=0.25)
    messages = shown(Fuser(model="m"), [response(False), response(True), response(False)])
    assert near(fmean([await answer(client, messages, seed) == TRUTH for seed in range(N)]), 0.75, N)
