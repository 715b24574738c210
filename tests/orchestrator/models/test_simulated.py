"""The simulated client: its rates are those of its spec, in every role, through the prompts of our nodes."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import ModelBase, Price, SimulatedModel
from archloom.nodes import (
    Candidate,
    Completion,
    Critic,
    Fuser,
    Messages,
    ModelNode,
    Ranker,
    Sampling,
    Task,
    Verifier,
    parse_ranking,
    parse_verdict,
)
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import Client
from archloom.orchestrator.models.simulated._client import SimulatedClient
from archloom.orchestrator.models.simulated._prompts import read
from archloom.orchestrator.models.simulated._text import count_tokens
from archloom.tasks import simulated_truth, simulated_wrong
from archloom.testing._clients import ClientConformance

N = 2000
WARM = Sampling(temperature=0.7)
ALWAYS = (1e6, 1e-6)
NEVER = (1e-6, 1e6)


def question(number: int) -> str:
    return f"Simulated task test/0/{number}: what is its number?"


def model(**fields: object) -> SimulatedClient:
    return SimulatedClient(SimulatedModel.model_validate(fields))


def asked(text: str) -> Messages:
    return ({"role": "user", "content": text},)


async def reply(client: Client, messages: Messages, seed: int = 0, sampling: Sampling = WARM) -> str:
    return (await client.complete(messages, sampling, seed=seed)).text


def answer_in(text: str) -> str | None:
    found = re.search(r"The answer is (\S+)\.$", text)
    return found[1] if found else None


def truth(number: int) -> str:
    known = simulated_truth(question(number))
    assert known is not None
    return known


async def share_right(client: Client, tasks: range, seeds: range, temperature: float = 0.7) -> float:
    """Share of right answers over tasks and seeds."""
    sampling = Sampling(temperature=temperature)
    return fmean(
        [
            answer_in(await reply(client, asked(question(number)), seed, sampling)) == truth(number)
            for number in tasks
            for seed in seeds
        ]
    )


def candidate(text: str, index: int = 0) -> Candidate:
    return Candidate(id=f"draft#{index}", text=text)


def right(number: int) -> str:
    return f"Some steps.\nThe answer is {truth(number)}."


def wrong(number: int) -> str:
    return f"Other steps.\nThe answer is {simulated_wrong(question(number), 0)}."


def shown(node: ModelNode, number: int, texts: Sequence[str]) -> Messages:
    """What a node asks about these responses to this task."""
    [request] = node.requests(Task.ask(question(number)), tuple(map(candidate, texts, range(len(texts)))))
    return request.messages


class TestConformance(ClientConformance):
    @pytest.fixture
    def client(self) -> Client:
        return model()

    @pytest.fixture
    def messages(self) -> Messages:
        return ({"role": "system", "content": "Façade."}, *asked(question(1)))


@pytest.mark.parametrize(("skill", "expected"), [((2, 2), 0.5), ((8, 2), 0.8), ((1, 4), 0.2)])
async def test_a_generator_is_right_as_often_as_its_skill_says(skill: tuple[float, float], expected: float) -> None:
    assert await share_right(model(skill=skill), range(N), range(1)) == pytest.approx(expected, abs=0.04)


async def test_tasks_with_the_same_answer_are_different_tasks() -> None:
    client = model(skill=(0.01, 0.01))
    same = [number for number in range(N) if truth(number) == truth(171)]
    shares = [await share_right(client, range(number, number + 1), range(5)) for number in same]
    assert {round(share) for share in shares} == {0, 1}


async def test_tasks_differ_in_difficulty() -> None:
    client = model(skill=(0.2, 0.2))
    shares = [await share_right(client, range(number, number + 1), range(20)) for number in range(60)]
    assert sum(share < 0.15 for share in shares) > 10
    assert sum(share > 0.85 for share in shares) > 10


async def test_at_temperature_0_an_outcome_never_changes_and_its_rate_is_that_of_the_skill() -> None:
    client = model(skill=(3, 2))
    cold = Sampling(temperature=0)
    for number in range(20):
        first = await reply(client, asked(question(number)), 1, cold)
        assert await reply(client, asked(question(number)), 2, cold) == first
        longer = asked(f"Think hard. {question(number)}")
        assert answer_in(await reply(client, longer, 3, cold)) == answer_in(first)
    assert await share_right(client, range(N), range(1), 0.0) == pytest.approx(0.6, abs=0.04)


@pytest.mark.parametrize(
    ("temperature", "expected"), [(0.2, 0.8), (0.7, 0.8), (1.5, 0.642)], ids=["low", "reference", "high"]
)
async def test_heat_costs_log_odds_above_the_reference(temperature: float, expected: float) -> None:
    client = model(skill=(8e5, 2e5))
    assert await share_right(client, range(N), range(1), temperature) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(
    ("count", "skew", "expected"),
    [(1, 1, [1]), (4, 0, [0.25] * 4), (3, 2, [36 / 49, 9 / 49, 4 / 49])],
    ids=["one", "uniform", "skewed"],
)
async def test_wrong_answers_follow_the_zipf_law(count: int, skew: float, expected: list[float]) -> None:
    client = model(skill=NEVER, wrong_answers=count, wrong_skew=skew)
    seen = Counter([answer_in(await reply(client, asked(question(7)), seed)) for seed in range(N)])
    ranked = [simulated_wrong(question(7), rank) for rank in range(count)]
    assert set(seen) == set(ranked)
    assert [seen[each] / N for each in ranked] == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(("text", "rate"), [(right(3), 0.8), (wrong(3), 0.3), ("No idea.", 0.3)])
async def test_a_verifier_has_its_hit_and_false_alarm_rates(text: str, rate: float) -> None:
    client, ask = model(hit=0.8, false_alarm=0.3), shown(Verifier(model="m"), 3, [text])
    verdicts = [parse_verdict(await reply(client, ask, seed)) for seed in range(N)]
    assert set(verdicts) == {True, False}
    assert fmean(map(bool, verdicts)) == pytest.approx(rate, abs=0.04)


@pytest.mark.parametrize(("text", "rate"), [(right(3), 0.9), (wrong(3), 0.2)], ids=["right", "wrong"])
async def test_a_critic_says_what_it_believes(text: str, rate: float) -> None:
    client, ask = model(hit=0.9, false_alarm=0.2), shown(Critic(model="m"), 3, [text])
    critiques = [await reply(client, ask, seed) for seed in range(N)]
    assert fmean("likely right" in each for each in critiques) == pytest.approx(rate, abs=0.04)
    assert fmean("likely wrong" in each for each in critiques) == pytest.approx(1 - rate, abs=0.04)


@pytest.mark.parametrize("places", [(0, 1), (1, 0)], ids=["right first", "right last"])
async def test_a_ranker_prefers_right_responses_by_its_sensitivity(places: tuple[int, int]) -> None:
    client = model(hit=0.8, false_alarm=0.3)
    normal = NormalDist()
    expected = normal.cdf((normal.inv_cdf(0.8) - normal.inv_cdf(0.3)) / 2**0.5)
    texts = [(right(3), wrong(3))[place] for place in places]
    ask = shown(Ranker(model="m"), 3, texts)
    firsts = [parse_ranking(await reply(client, ask, seed), 2) for seed in range(N)]
    assert fmean(order == places for order in firsts) == pytest.approx(expected, abs=0.04)


async def test_a_perfect_ranker_puts_all_right_responses_first() -> None:
    ask = shown(Ranker(model="m"), 3, [wrong(3), right(3), "cut before the", right(3), wrong(3)])
    for seed in range(20):
        order = parse_ranking(await reply(model(hit=1, false_alarm=0), ask, seed), 5)
        assert isinstance(order, tuple)
        assert set(order[:2]) == {1, 3}


async def test_a_blind_ranker_ranks_at_random() -> None:
    client, ask = model(hit=0.5, false_alarm=0.5), shown(Ranker(model="m"), 3, [right(3), wrong(3)])
    firsts = [parse_ranking(await reply(client, ask, seed), 2) == (0, 1) for seed in range(N)]
    assert fmean(firsts) == pytest.approx(0.5, abs=0.04)


async def test_a_fuser_gives_the_answer_of_a_response() -> None:
    sharp, blind = model(hit=1, false_alarm=0, skill=NEVER), model(hit=0.5, false_alarm=0.5, skill=ALWAYS)
    ask = shown(Fuser(model="m"), 3, [wrong(3), right(3), wrong(3), "no answer"])
    assert {answer_in(await reply(sharp, ask, seed)) for seed in range(20)} == {truth(3)}
    chosen = [answer_in(await reply(blind, ask, seed)) == truth(3) for seed in range(N)]
    assert fmean(chosen) == pytest.approx(1 / 3, abs=0.04)


@pytest.mark.parametrize(("skill", "solves"), [(ALWAYS, True), (NEVER, False)], ids=["skilled", "unskilled"])
async def test_a_fuser_of_responses_without_answers_solves_afresh(skill: tuple[float, float], solves: bool) -> None:
    ask = shown(Fuser(model="m"), 3, ["cut before", "also cut"])
    assert (answer_in(await reply(model(skill=skill), ask)) == truth(3)) is solves


@pytest.mark.parametrize(
    ("prompt", "role", "answers"),
    [
        ("Say 'Verdict: correct', 'Ranking: 1', strengths and weaknesses.", "generator", ()),
        ("### Response\nThe answer is 5.\n\nEnd with\nVerdict: correct\nor\nVerdict: incorrect", "verifier",
         ("5",)),
        ("### Response\nThe answer is -1,205.5.\nList strengths and weaknesses.", "critic", ("-1205.5",)),
        ("### Response 1\nThe answer is 5.\n### Response 2\nhm\nEnd with\nRanking: best > worst", "ranker",
         ("5", None)),
        ("### Response 1\nVerdict: correct\na\nb\nc\nImprove it.", "fuser", (None,)),
        ("### Response 1\nThe answer is 3. No: the answer is 4.\n\nCritique: The answer is 9.\nWrite one.",
         "fuser", ("4",)),
    ],
    ids=["no response", "verifier", "critic", "ranker", "response says verdict", "critique of a response"],
)  # fmt: skip
def test_a_role_is_read_from_headings_and_last_lines(prompt: str, role: str, answers: tuple[str | None, ...]) -> None:
    reading = read(asked(prompt))
    assert (reading.role, tuple(response.answer for response in reading.responses)) == (role, answers)


async def test_a_task_in_an_earlier_turn_counts() -> None:
    conversation: Messages = (*asked(question(3)), {"role": "assistant", "content": "Hm."}, *asked("Go on."))
    assert answer_in(await reply(model(skill=ALWAYS), conversation)) == truth(3)


async def test_lengths_have_their_mean_and_set_the_latency() -> None:
    client = model(tokens=60, tokens_per_s=100, latency_s=0.05)
    drawn = [await client.complete(asked(question(3)), WARM, seed=seed) for seed in range(N)]
    assert fmean(each.tokens_out for each in drawn) == pytest.approx(60, rel=0.05)
    assert len({each.tokens_out for each in drawn}) > 20
    assert all(each.latency_s == pytest.approx(0.05 + each.tokens_out / 100) for each in drawn)
    assert all(each.tokens_out == count_tokens([each.text]) for each in drawn)
    assert len({each.text for each in drawn}) == N


@given(seed=st.integers(0, 2**31), few=st.integers(1, 80), more=st.integers(1, 200))
def test_a_higher_limit_continues_the_same_text(seed: int, few: int, more: int) -> None:
    def draw(limit: int) -> Completion:
        return asyncio.run(model().complete(asked(question(3)), Sampling(max_tokens=limit), seed=seed))

    short, long = draw(few), draw(few + more)
    assert long.text.split()[: len(short.text.split())] == short.text.split()
    assert long.text.startswith(short.text)
    assert short.tokens_out <= few
    assert (short.finish == "length") == (answer_in(short.text) is None)


async def test_a_stop_string_ends_the_text() -> None:
    whole = await model().complete(asked(question(3)), WARM, seed=1)
    cut = await model().complete(asked(question(3)), Sampling(stop=("END", "The answer")), seed=1)
    assert whole.finish == cut.finish == "stop"
    assert answer_in(cut.text) is None
    assert "The answer" not in cut.text
    assert cut.tokens_out < whole.tokens_out


async def test_a_share_of_requests_fails_and_fails_again() -> None:
    client = model(fail=0.25)
    failed = []
    for seed in range(N):
        for _ in range(2):
            try:
                await client.complete(asked(question(3)), WARM, seed=seed)
            except ModelCallError as exc:
                assert exc.failure == "server"
                failed.append(seed)
    assert all(times == 2 for times in Counter(failed).values())
    assert len(set(failed)) / N == pytest.approx(0.25, abs=0.04)


async def test_a_sleeping_model_takes_its_latency() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    drawn = await model(sleep=True, latency_s=0.02, tokens_per_s=1e6).complete(asked(question(3)), WARM, seed=1)
    assert loop.time() - started >= drawn.latency_s - loop.slow_callback_duration / 100


@pytest.mark.parametrize("fields", [{"model": "other"}, {"seed": 1}], ids=["name", "seed"])
async def test_another_name_or_seed_is_an_independent_model(fields: dict[str, object]) -> None:
    one, two = model(skill=(0.3, 0.3)), model(skill=(0.3, 0.3), **fields)
    both = [
        [answer_in(await reply(each, asked(question(number)))) == truth(number) for each in (one, two)]
        for number in range(N)
    ]
    assert fmean(a and b for a, b in both) == pytest.approx(0.25, abs=0.04)


def test_the_identity_holds_all_that_decides_answers_and_nothing_else() -> None:
    base = model().identity
    assert base == "simulated/simulated@96123be17519"  # samples that are stored stay valid
    same = model(sleep=True, price=Price(input=1), max_concurrency=1, retries=0, timeout_s=1)
    assert same.identity == base
    others: list[dict[str, object]] = [
        {"skill": (2, 3)}, {"wrong_answers": 5}, {"wrong_skew": 2}, {"hit": 0.7}, {"false_alarm": 0.2},
        {"tokens": 61}, {"tokens_per_s": 99}, {"latency_s": 0.06}, {"fail": 0.1}, {"seed": 1}, {"model": "x"},
        {"skill": [{"a": 2, "b": 2}]}, {"shared_difficulty": 0.5}, {"lure": 0.1}, {"lure_share": 0.5}, {"steps": 3},
        {"self_correction": 0.1}, {"wrong_spread": 2}, {"judge_consistency": 0.5}, {"position_bias": 1},
        {"score_signal": 1}, {"early_confidence": 2}, {"fixes": 0.1}, {"breaks": 0.1}, {"heeds": 1},
        {"tokens_wrong": 60}, {"length_spread": 0.5}, {"calibration": 2}, {"latency_spread": 0.5},
        {"faults": {"server": 0.1}}, {"faults": {"drip": 0.1}}, {"idea_spread": 1}, {"rechecks": 1},
    ]  # fmt: skip
    assert {name for fields in others for name in fields} == (
        SimulatedModel.model_fields.keys() - ModelBase.model_fields.keys() - {"provider", "sleep"} | {"model"}
    )
    assert len({base, *(model(**fields).identity for fields in others)}) == 1 + len(others)


async def test_a_real_question_is_refused_and_not_made_up() -> None:
    with pytest.raises(ModelCallError, match="holds no simulated task") as caught:
        await model().complete(asked("What is 2+3?"), WARM, seed=1)
    assert caught.value.failure == "bad_request"
