"""The simulated model as a server: log-probabilities, latency, faults, cancelled calls, and its page of the guide.

Tolerances are four standard errors, and all draws are fixed by seeds.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist, fmean, stdev

import pytest
import yaml
from pydantic import ValidationError
from scipy import stats

from archloom.graphs import ModelBase, SimulatedModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import RETRYABLE, ModelCallError
from archloom.orchestrator.models import Progress
from archloom.orchestrator.models.simulated._client import SimulatedClient
from archloom.tasks import simulated_truth

N = 1000
PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulated.md"
HALF = (1e9, 1e9)
QUESTION = "Simulated task serving/0/1: what is its number?"
ASKED: Messages = ({"role": "user", "content": QUESTION},)


def model(**fields: object) -> SimulatedClient:
    return SimulatedClient(SimulatedModel.model_validate({"skill": HALF, "tokens": 12, **fields}))


async def draw(client: SimulatedClient, seed: int = 0, sampling: Sampling | None = None) -> Completion:
    return await client.complete(ASKED, sampling or Sampling(), seed=seed)


async def outcome(client: SimulatedClient, seed: int = 0) -> ModelCallError | Completion:
    try:
        return await draw(client, seed)
    except ModelCallError as error:
        return error


def is_right(text: str) -> bool:
    return text.endswith(f" {simulated_truth(QUESTION)}.")


def near(share: float, expected: float, n: int) -> bool:
    """Within four binomial standard errors; an area under a ROC curve has at most that of its smaller class."""
    return abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    return float(stats.mannwhitneyu(right, wrong).statistic) / (len(right) * len(wrong))


# -- log-probabilities ---------------------------------------------------------------------------------------


def test_it_says_what_it_can_do() -> None:
    assert SimulatedModel.capabilities == {"logprobs", "continuation", "pause"}


@pytest.mark.parametrize("calibration", [2.0, 0.0, -1.0])
@pytest.mark.parametrize("steps", [0, 3])
async def test_the_mean_logprob_separates_right_from_wrong_by_the_calibration(calibration: float, steps: int) -> None:
    client = model(calibration=calibration, steps=steps)
    means: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(N):
        drawn = await draw(client, seed, Sampling(logprobs=0))
        assert drawn.logprob is not None
        means[is_right(drawn.text)].append(drawn.logprob)
    expected = NormalDist().cdf(calibration / math.sqrt(2))
    assert near(auc(means[True], means[False]), expected, min(map(len, means.values())))


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(max_tokens=7), Sampling(max_tokens=1), Sampling(stop=("answer",))], ids=str
)
@pytest.mark.parametrize("top", [0, 1, 4])
async def test_tokens_are_those_of_the_text_and_of_the_usage(sampling: Sampling, top: int) -> None:
    for seed, steps in itertools.product(range(5), (0, 3)):
        client, plain = model(steps=steps), await draw(model(steps=steps), seed, sampling)
        drawn = await draw(
            client, seed, Sampling(sampling.temperature, sampling.max_tokens, stop=sampling.stop, logprobs=top)
        )
        assert (plain.logprob, plain.tokens) == (None, ())
        assert (drawn.text, drawn.tokens_out, drawn.finish) == (plain.text, plain.tokens_out, plain.finish)
        assert "".join(token.text for token in drawn.tokens) == drawn.text
        assert len(drawn.tokens) == drawn.tokens_out
        assert drawn.logprob == pytest.approx(fmean(token.logprob for token in drawn.tokens))
        for token in drawn.tokens:
            chances = [math.exp(logprob) for _, logprob in token.top]
            assert len(chances) == top
            assert chances == sorted(chances, reverse=True)
            assert sum(chances) <= 1 + 1e-9
            assert token.logprob <= 0


async def test_a_cut_reply_has_the_logprobs_of_the_whole() -> None:
    for seed in range(10):
        whole = await draw(model(), seed, Sampling(logprobs=2))
        short = await draw(model(), seed, Sampling(logprobs=2, max_tokens=8))
        told = [token for token in short.tokens if token.text]
        assert told == list(whole.tokens[: len(told)])


async def test_the_logprobs_of_a_step_do_not_tell_what_comes_after_it() -> None:
    client, means = model(calibration=3, steps=3), dict[bool, list[float]]({True: [], False: []})
    good = re.compile(re.escape((await draw(model(skill=(1e9, 1), steps=3))).text.split()[2]))
    for seed in range(N):
        step = await draw(client, seed, Sampling(stop=("\n\n",), logprobs=0))
        whole = await draw(client, seed)
        assert step.logprob is not None
        if good.search(step.text):
            means[is_right(whole.text)].append(step.logprob)
    assert near(auc(means[True], means[False]), 0.5, min(map(len, means.values())))


# -- latency -------------------------------------------------------------------------------------------------


async def test_a_spread_of_latency_leaves_its_mean_and_the_texts() -> None:
    plain, spread = model(), model(latency_spread=0.5)
    factors = []
    for seed in range(N):
        one, other = await draw(plain, seed), await draw(spread, seed)
        assert one.text == other.text
        factors.append(other.latency_s / one.latency_s)
        assert (await draw(model(latency_spread=0.5), seed)).latency_s == other.latency_s
    assert abs(fmean(factors) - 1) <= 4 * math.sqrt(math.expm1(0.25) / N)
    assert abs(stdev(map(math.log, factors)) - 0.5) <= 4 * 0.5 / math.sqrt(2 * N)


async def test_greedy_replies_are_one_text_at_many_latencies() -> None:
    drawn = [await draw(model(latency_spread=0.5), seed, Sampling(temperature=0)) for seed in range(5)]
    assert len({each.text for each in drawn}) == 1
    assert len({each.latency_s for each in drawn}) == 5


@pytest.mark.parametrize(("after_s", "tokens"), [(0.0, 0), (0.3, 15)], ids=["before a token", "while it writes"])
async def test_a_cancelled_call_used_what_was_written_by_then(after_s: float, tokens: int) -> None:
    client, progress = model(sleep=True, latency_s=0.1, tokens_per_s=100, tokens=4000, length_spread=0), Progress()
    call = asyncio.create_task(client.complete(ASKED, Sampling(max_tokens=5000), seed=0, progress=progress))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call, after_s or 0.01)
    assert progress.tokens_in == client.prompt_tokens_bound(ASKED)
    assert progress.tokens_out is not None
    assert tokens <= progress.tokens_out <= (4000 if tokens else 0)


# -- faults --------------------------------------------------------------------------------------------------

FAULTS = [name for name in SimulatedModel().faults.model_dump() if name != "drip"]


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_is_the_failure_of_its_name_and_says_what_it_used(kind: str) -> None:
    would_be = await draw(model())
    error = await outcome(model(faults={kind: 1}))
    assert isinstance(error, ModelCallError)
    assert error.failure == kind
    assert error.failure in RETRYABLE
    assert error.retry_after_s == 0
    used = {"malformed": (would_be.tokens_in, would_be.tokens_out), "empty": (would_be.tokens_in, 0)}
    assert error.used == used.get(kind)


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_sleeping_model_takes_its_time_to_fail(kind: str) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    fields = {"sleep": True, "latency_s": 0.01, "tokens_per_s": 1000, "timeout_s": 0.05, "length_spread": 0}
    error = await outcome(model(faults={kind: 1}, **fields))
    assert isinstance(error, ModelCallError)
    assert error.retry_after_s is None
    expected = {"timeout": 0.05, "stall": 0.05, "malformed": 0.02, "empty": 0.02}.get(kind, 0.01)
    assert loop.time() - started >= expected - 0.002


async def test_a_dripping_reply_comes_whole_and_late() -> None:
    plain, slow = await draw(model()), await draw(model(faults={"drip": 1}))
    assert slow.text == plain.text
    assert slow.latency_s - 0.05 == pytest.approx(10 * (plain.latency_s - 0.05))


async def test_faults_have_their_shares_and_the_rest_are_the_replies_of_a_sound_model() -> None:
    shares = {"rate_limit": 0.1, "server": 0.05, "timeout": 0.05, "malformed": 0.15, "empty": 0.1, "stall": 0.02}
    client, seen = model(faults=shares), Counter[str]()
    for seed in range(N):
        result = await outcome(client, seed)
        if isinstance(result, ModelCallError):
            seen[result.failure] += 1
        else:
            assert result == await draw(model(), seed)
    for kind, share in shares.items():
        assert near(seen[kind] / N, share, N)


async def attempts(client: SimulatedClient, seed: int) -> int:
    """How many it takes to get a reply."""
    for count in range(1, 100):
        if isinstance(await outcome(client, seed), Completion):
            return count
    raise AssertionError("no reply")


async def test_each_attempt_is_drawn_anew() -> None:
    client = model(faults={"server": 0.4})
    counts = [await attempts(client, seed) for seed in range(N)]
    for tries in (1, 2, 3):
        assert near(fmean(count > tries for count in counts), 0.4**tries, N)


async def test_what_an_attempt_gives_depends_on_neither_order_nor_other_requests() -> None:
    one, other = model(faults={"server": 0.3, "stall": 0.2}), model(faults={"server": 0.3, "stall": 0.2})
    apart: dict[int, list[object]] = {seed: [_told(await outcome(one, seed)) for _ in range(4)] for seed in range(40)}
    mixed: dict[int, list[object]] = {seed: [] for seed in range(40)}
    for _, seed in itertools.product(range(4), reversed(range(40))):
        mixed[seed].append(_told(await outcome(other, seed)))
    assert mixed == apart
    assert any(len(set(told)) > 1 for told in apart.values())


def _told(result: ModelCallError | Completion) -> object:
    return result.failure if isinstance(result, ModelCallError) else result.text


async def test_after_a_reply_a_request_begins_again() -> None:
    client = model(faults={"server": 0.5})
    counts = [await attempts(client, seed) for seed in range(40)]
    assert [await attempts(client, seed) for seed in range(40)] == counts
    assert len(set(counts)) > 2


async def test_a_model_of_another_name_has_other_faults() -> None:
    pair = [model(model=name, faults={"server": 0.5}) for name in ("a", "b")]
    both = [all([isinstance(await outcome(client, seed), Completion) for client in pair]) for seed in range(N)]
    assert near(fmean(both), 0.25, N)


def test_more_faults_than_attempts_are_refused() -> None:
    with pytest.raises(ValidationError, match="add up to more than 1"):
        SimulatedModel.model_validate({"faults": {"server": 0.7, "empty": 0.5}})


# -- the page ------------------------------------------------------------------------------------------------


def test_the_page_names_each_parameter_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `?(.*?)`? \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    written = {name: yaml.safe_load(default) for name, default in rows}
    defaults = SimulatedModel().model_dump(mode="json", exclude={"provider", *ModelBase.model_fields})
    faults = {f"faults.{kind}": share for kind, share in defaults.pop("faults").items()}
    assert written == {**defaults, **faults}
