"""Claims about compositions, re-enacted on the simulated provider: what judges, tests, programs, layers and different
models add, and when a fuser hurts.

Every figure is of 180 tasks, 60 with each of 3 seeds of the models and the tasks. Differences are of paired outcomes;
their margins are three standard errors. A claimed gain fails when the composition is replaced by a majority vote.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping
from functools import cache, partial
from math import sqrt
from statistics import fmean, stdev
from typing import Any, NamedTuple

import pytest
import yaml

from archloom.graphs import Document, ModelSpec, ScriptedModel
from archloom.nodes import Messages
from archloom.orchestrator import ModelPool, Workflow
from archloom.orchestrator.models import Client, MemoryStore, ScriptedClient, open_client
from archloom.tasks import load_tasks, simulated_truth

pytestmark = pytest.mark.slow

SEEDS, TASKS, N = (1, 2, 3), 60, 9

SOLVERS: Mapping[str, dict[str, Any]] = {
    # Half of the tasks have one wrong answer that most samples agree on: a majority is wrong there, and surely so.
    "lured": {"skill": [2, 3], "lure": 0.5, "lure_share": 0.9},
    "good": {"skill": [6, 3]},
    # Three answers out of ten tasks never come, and as many always: another model helps more than another sample.
    "sure": {"skill": [0.6, 0.4]},
}
JUDGES: Mapping[str, dict[str, Any]] = {
    "keen": {"hit": 0.8, "false_alarm": 0.35, "heeds": 2.0},
    "blind": {"hit": 0.5, "false_alarm": 0.5},
    "clumsy": {"hit": 0.6, "false_alarm": 0.4, "breaks": 0.25},
}
EXPERT = {"hit": 0.95, "false_alarm": 0.1}
"""A critic that knows more than the model that fuses."""
_DRAFT = {"type": "generator", "model": "solver", "samples": N}
_PAIR = {"model": "solver", "judge": "judge", "samples": N}
_ONE = {"first": "solver", "second": "solver", "third": "solver", "aggregator": "judge"}
_THREE = {**_ONE, "second": "second", "third": "third"}
SHAPES: Mapping[str, dict[str, dict[str, Any]]] = {
    "single": {"out": {**_DRAFT, "samples": 1}},
    "majority": {"draft": _DRAFT, "out": {"type": "vote", "after": "draft"}},
    "fuser": {"draft": _DRAFT, "out": {"type": "fuser", "model": "judge", "after": "draft"}},
    "critic > fuser": {
        "draft": _DRAFT,
        "review": {"type": "critic", "model": "expert", "after": "draft"},
        "out": {"type": "fuser", "model": "judge", "after": "review"},
    },
    "critic > ranker > fuser": {"out": {"use": "library/rank_then_fuse", "with": {**_PAIR, "keep": 4}}},
    "cot_pot": {
        "out": {"use": "library/cot_pot", "with": {"model": "solver", "translator": "translator", "samples": N}}
    },
    "verifier > fuser": {"out": {"use": "library/archon_verified", "with": {**_PAIR, "votes": 3}}},
    "two layers": {"out": {"use": "library/archon_deep", "with": {**_PAIR, "keep": 4}}},
    "one layer, 30 calls": {"out": {"use": "library/rank_then_fuse", "with": {**_PAIR, "keep": 4, "samples": 14}}},
    "tests": {"out": {"use": "library/archon_tests", "with": {**_PAIR, "judge": "tester"}}},
    "mixture of one": {"out": {"use": "library/mixture_of_agents", "with": _ONE}},
    "mixture of three": {"out": {"use": "library/mixture_of_agents", "with": _THREE}},
    "majority of three": {
        **{name: {**_DRAFT, "model": name, "samples": 3} for name in ("solver", "second", "third")},
        "out": {"type": "vote", "after": ["solver", "second", "third"]},
    },
}


class Difference(NamedTuple):
    """Mean of paired differences, and three standard errors of it."""

    mean: float
    margin: float


@cache
def outcomes(shape: str, solver: str, judge: str) -> list[float]:
    """1 for each task that was answered right, by seed and task."""
    return [outcome for seed in SEEDS for outcome in asyncio.run(_answered(shape, solver, judge, seed))]


async def _answered(shape: str, solver: str, judge: str, seed: int) -> list[float]:
    models = dict.fromkeys(("solver", "second", "third"), SOLVERS[solver])
    models |= {"judge": JUDGES.get(judge, {}), "expert": EXPERT}
    used = {
        name: {"provider": "simulated", "model": name, "tokens": 20, "seed": seed, **spec}
        for name, spec in models.items()
    }
    used["translator"] = used["tester"] = {"provider": "scripted", "model": judge}
    data = {"archloom": 1, "answer": "number", "models": used, "nodes": SHAPES[shape], "output": "out"}
    configuration = Document.parse(yaml.safe_dump(data)).configure()
    examples = load_tasks(f"simulated:composition?size={TASKS}&seed={seed}").examples
    async with ModelPool(MemoryStore(), client=_client) as pool:
        workflow = Workflow(configuration, pool=pool)
        return [float((await workflow.arun(each.task)).answer == str(each.target.answer)) for each in examples]


def _client(spec: ModelSpec) -> Client:
    if isinstance(spec, ScriptedModel):
        return ScriptedClient(spec, _SCRIPTS[spec.model])
    return open_client(spec, environ={})


def _translated(messages: Messages, index: int) -> str:
    """A program that confirms a right answer in 4 cases of 5, and a wrong one in 1 of 10."""
    prompt = str(messages[-1]["content"])
    answer = int(re.findall(r"The answer is (\d+)\.", prompt)[-1])
    right = answer == int(str(simulated_truth(str(messages[0]["content"]))))
    confirms = random.Random(f"{prompt}/{index}").random() < (0.8 if right else 0.1)
    return f"```python\nhalf = {answer // 2}\nprint(half + {answer - answer // 2 + (not confirms)})\n```"


def _copied(messages: Messages, index: int) -> str:
    """A program that prints the answer it was shown."""
    answer = re.findall(r"The answer is (\d+)\.", str(messages[-1]["content"]))[-1]
    return f"```python\nprint({answer})\n```"


def _tested(passes_right: float, passes_wrong: float, messages: Messages, index: int) -> str:
    """Five tests, or a verdict on each: a right answer passes with the first probability, a wrong one the second."""
    prompt = str(messages[-1]["content"])
    if "### Tests" not in prompt:
        return "\n".join(f"{number}. Its step {number} is sound." for number in range(1, 6))
    answer = re.findall(r"The answer is (\d+)\.", prompt)[-1]
    passes = passes_right if answer == simulated_truth(prompt) else passes_wrong
    draws = random.Random(f"{prompt}/{index}")
    verdicts = ["passed" if draws.random() < passes else "failed" for _ in range(5)]
    return "\n".join(f"Test {number}: {verdict}" for number, verdict in enumerate(verdicts, 1))


_SCRIPTS = {
    "translator": _translated,
    "copier": _copied,
    "careful tester": partial(_tested, 0.8, 0.35),
    "careless tester": partial(_tested, 0.5, 0.5),
}


def difference(one: list[float], other: list[float]) -> Difference:
    pairs = [a - b for a, b in zip(one, other, strict=True)]
    return Difference(fmean(pairs), 3 * stdev(pairs) / sqrt(len(pairs)))


@pytest.mark.parametrize("shape", ["critic > ranker > fuser", "verifier > fuser"])
def test_judges_find_the_right_answer_where_a_majority_agrees_on_a_wrong_one(shape: str) -> None:
    gain = difference(outcomes(shape, "lured", "keen"), outcomes("majority", "lured", "keen"))
    assert gain.mean > gain.margin > 0


def test_fuser_heeds_a_critic_that_knows_more() -> None:
    gain = difference(outcomes("critic > fuser", "lured", "keen"), outcomes("fuser", "lured", "keen"))
    assert gain.mean > gain.margin


def test_gain_is_that_of_the_judge_and_vanishes_with_one_that_sees_nothing() -> None:
    gain = difference(outcomes("critic > ranker > fuser", "lured", "blind"), outcomes("single", "lured", "blind"))
    assert abs(gain.mean) < gain.margin


def test_bare_fuser_that_errs_lowers_answers_on_which_a_majority_is_right() -> None:
    """The paper's MixEval: ten samples of GPT-4o at 87.5 %, fused without critic and ranker at 82.0 %."""
    loss = difference(outcomes("fuser", "good", "clumsy"), outcomes("majority", "good", "clumsy"))
    assert loss.mean < -loss.margin


def test_answers_that_their_programs_confirm_outvote_the_lure() -> None:
    """The sibling paper Prove: Llama-2-7B on GSM8K from 41.3 % by majority to 59.5 % with the filter before the vote."""
    gain = difference(outcomes("cot_pot", "lured", "translator"), outcomes("majority", "lured", "keen"))
    assert gain.mean > gain.margin


def test_programs_that_copy_the_answer_confirm_nothing() -> None:
    """All of them agree with their answers; taken at their word they would change nothing and claim much."""
    assert outcomes("cot_pot", "lured", "copier") == outcomes("majority", "lured", "keen")


def test_second_layer_adds_what_as_many_calls_in_one_layer_add() -> None:
    """Archon's stacked layers: a gain over the first layer alone, 29 calls against 20, and none over 30 in one."""
    two, majority = outcomes("two layers", "lured", "keen"), outcomes("majority", "lured", "keen")
    gain = difference(two, outcomes("critic > ranker > fuser", "lured", "keen"))
    assert gain.mean > gain.margin
    assert difference(majority, outcomes("critic > ranker > fuser", "lured", "keen")).mean < 0
    wide = difference(two, outcomes("one layer, 30 calls", "lured", "keen"))
    assert abs(wide.mean) < wide.margin


def test_answer_that_passes_most_tests_is_right_more_often_than_that_of_the_majority() -> None:
    """Archon's unit tests in words, with a judge that passes a right answer in 4 of 5 tests and a wrong one in 1 of 3."""
    tested = outcomes("tests", "lured", "careful tester")
    gain = difference(tested, outcomes("majority", "lured", "keen"))
    assert gain.mean > gain.margin


def test_tests_that_say_nothing_leave_a_single_sample() -> None:
    careless = outcomes("tests", "good", "careless tester")
    gain = difference(careless, outcomes("single", "good", "keen"))
    assert abs(gain.mean) < gain.margin
    loss = difference(careless, outcomes("majority", "good", "keen"))
    assert loss.mean < -loss.margin


@pytest.mark.parametrize("other", ["mixture of one", "majority of three"])
def test_different_proposers_beat_one_that_proposes_thrice_and_a_vote_over_their_answers(other: str) -> None:
    """Mixture-of-Agents, Wang et al., 2024: different proposers win more often than copies of one.

    7 calls, against 7 and 9. The models are equally good and err on different tasks; the proposers of the second layer
    go by the answers of the first as they judge them.
    """
    gain = difference(outcomes("mixture of three", "sure", "keen"), outcomes(other, "sure", "keen"))
    assert gain.mean > gain.margin


def test_aggregator_that_errs_loses_what_different_proposers_gain() -> None:
    loss = difference(outcomes("mixture of three", "sure", "clumsy"), outcomes("majority of three", "sure", "clumsy"))
    assert loss.mean < -loss.margin
