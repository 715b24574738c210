"""The simulated model as one that is interrupted: what was cut and continued is as good and as long as what was not.

Tolerances are four standard errors, and all draws are fixed by seeds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import fmean, stdev

import pytest

from archloom.graphs import SimulatedModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.models.simulated._client import SimulatedClient
from archloom.tasks import simulated_truth

N = 1000
WHOLE = Sampling(max_tokens=10**6)


def model(**fields: object) -> SimulatedClient:
    return SimulatedClient(SimulatedModel.model_validate({"tokens": 100, "skill": [6, 4], **fields}))


def marker(number: int) -> str:
    return f"Simulated task continuing/0/{number}:"


def asked(number: int, begun: str | None = None) -> Messages:
    user = {"role": "user", "content": f"{marker(number)} what is its number?"}
    return (user,) if begun is None else (user, {"role": "assistant", "content": begun})


def is_right(number: int, text: str) -> bool:
    return text.endswith(f" {simulated_truth(marker(number))}.")


def near(differences: Sequence[float], rounding: float = 0.0) -> bool:
    return abs(fmean(differences)) <= 4 * stdev(differences) / math.sqrt(len(differences)) + rounding


async def in_pieces(client: SimulatedClient, number: int, limits: Sequence[int]) -> tuple[str, int]:
    """Text and tokens of a reply that is cut after so many tokens each, then written to its end."""
    text, tokens = "", 0
    for place, limit in enumerate((*limits, 10**6)):
        piece = await client.complete(asked(number, text or None), Sampling(max_tokens=limit), seed=place)
        text, tokens = text + piece.text, tokens + piece.tokens_out
        if piece.finish != "length":
            break
    return text, tokens


@pytest.mark.parametrize("limits", [[30], [100], [40, 40, 40]], ids=["early", "at the mean", "in pieces"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"steps": 4}, {"rechecks": 2, "fixes": 0.2, "breaks": 0.1}, {"tokens_wrong": 160, "length_spread": 0.2}],
    ids=["running text", "steps", "thinks again", "wrong ones are longer"],
)
async def test_what_is_cut_and_continued_is_as_good_and_as_long(fields: dict[str, object], limits: list[int]) -> None:
    client, better, longer = model(**fields), [], []
    for number in range(N):
        whole = await client.complete(asked(number), WHOLE, seed=99)
        text, tokens = await in_pieces(client, number, limits)
        better.append(float(is_right(number, text)) - is_right(number, whole.text))
        longer.append(float(tokens - whole.tokens_out))
    assert near(better)
    # A piece has whole words, a word is 1.3 tokens, and the words of a label that was cut are written again.
    rounding = 1.5 * len(limits)
    assert near(longer, rounding)


async def test_it_thinks_again_as_often_as_is_said() -> None:
    client = model(rechecks=3, steps=2)
    for number in range(20):
        text = (await client.complete(asked(number), WHOLE, seed=1)).text
        assert text.count("\n\nWait, ") == 3
        assert len(re.findall(r"The answer is \d+\.", text)) == 4
    plain = (await model(steps=2).complete(asked(1), WHOLE, seed=1)).text
    whole = (await client.complete(asked(1), WHOLE, seed=1)).text
    assert whole.startswith(plain + "\n\nWait, "), "its first thought is the same"


async def test_thinking_again_fixes_and_breaks() -> None:
    always, never = model(rechecks=1, fixes=1.0, skill=[1, 10**6]), model(rechecks=2, breaks=1.0, skill=[10**6, 1])
    for number in range(10):
        assert is_right(number, (await always.complete(asked(number), WHOLE, seed=1)).text)
        first, *others = re.findall(r"is (\d+)\.", (await never.complete(asked(number), WHOLE, seed=1)).text)
        assert first == simulated_truth(marker(number))
        assert first not in others


async def paused(client: SimulatedClient, number: int, pause: str) -> list[Completion]:
    """All pieces of a reply that pauses at a string, until nothing is left to say."""
    pieces: list[Completion] = []
    while not pieces or pieces[-1].text.endswith(pause):
        text = "".join(piece.text for piece in pieces)
        sampling = Sampling(max_tokens=10**6, pause=("no such string", pause))
        pieces.append(await client.complete(asked(number, text or None), sampling, seed=len(pieces)))
        assert pieces[-1].finish in {"stop", "empty"}
    return pieces


@pytest.mark.parametrize(("pause", "pieces"), [("Wait", 4), ("\n\n", 6), ("The", 5)])
async def test_it_pauses_wherever_the_string_is(pause: str, pieces: int) -> None:
    client = model(rechecks=3, steps=2)
    for number in range(10):
        found = await paused(client, number, pause)
        text = "".join(piece.text for piece in found)
        assert len(found) == pieces
        assert (text.count("Wait"), text.count("The answer is"), text.count("Step")) == (3, 4, 2)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
async def test_when_it_is_cold_the_rest_ends_as_the_whole_did(temperature: float) -> None:
    client = model(rechecks=2, fixes=0.5, breaks=0.5, steps=2)
    sampling = Sampling(temperature=temperature, max_tokens=10**6)
    same = 0
    for number in range(40):
        whole = (await client.complete(asked(number), sampling, seed=1)).text
        for at in re.finditer(r"\n\n(?=Wait)", whole):
            rest = await client.complete(asked(number, whole[: at.start()]), sampling, seed=2)
            same += rest.text.rpartition(" ")[2] == whole.rpartition(" ")[2]
    assert (same == 80) is (temperature == 0)


@pytest.mark.parametrize(("begun", "share"), [("add carry", 0.2), ("add\nThe answer is 123.\n\nWait", 0.9)])
async def test_a_verdict_on_being_complete_goes_by_whether_there_is_an_answer(begun: str, share: float) -> None:
    """123 is wrong."""
    client = model(hit=0.9, false_alarm=0.2, tokens=8)
    question = f"### Task\n{marker(1)}\n\n### Response\n{begun}\n\nIs it complete? Say\nVerdict: yes\nor Verdict: no"
    said = [
        (await client.complete(({"role": "user", "content": question},), WHOLE, seed=seed)).text for seed in range(N)
    ]
    yes = fmean(text.endswith("Verdict: Yes") for text in said)
    assert abs(yes - share) <= 4 * math.sqrt(share * (1 - share) / N)
