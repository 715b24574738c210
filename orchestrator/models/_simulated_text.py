"""How a simulated model reads its prompt and writes its reply."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

from archloom.nodes import FinishReason, Sampling

Role: TypeAlias = Literal["generator", "verifier", "ranker", "critic", "fuser"]

SPREAD = 0.4
"""Standard deviation of the logarithm of a reply's length."""

_HEADING = re.compile(r"^### Response(?: \d+)?[ \t]*$", re.MULTILINE)
_CRITIQUE = re.compile(r"^Critique:", re.MULTILINE)
_STATED = re.compile(r"answer is:?\s*(-?\d[\d,]*(?:\.\d+)?)", re.IGNORECASE)
_INSTRUCTION_LINES = 3
_TENTHS_PER_WORD = 13
_WORDS = ["add", "both", "carry", "case", "check", "count", "each", "first", "half", "here", "join", "keep"]
_WORDS += ["next", "note", "order", "part", "rest", "side", "since", "split", "step", "sum", "take", "term"]
_WORDS += ["then", "thus", "total", "value", "whole"]


class Reading(NamedTuple):
    """A prompt as it was understood.

    Attributes:
        role: What is asked for.
        answers: What each response in the prompt gives as its answer; ``None`` where it gives none.
    """

    role: Role
    answers: tuple[str | None, ...]


class Written(NamedTuple):
    """A reply as far as it got."""

    text: str
    finish: FinishReason
    tokens: int


def read_prompt(prompt: str) -> Reading:
    """Tells the role by the headings ``### Response`` and the instruction in the last lines, nothing else."""
    responses = _HEADING.split(prompt)[1:]
    answers = tuple(map(_stated, responses))
    asked = "\n".join(prompt.rstrip().splitlines()[-_INSTRUCTION_LINES:])
    return Reading(_role(len(answers), asked), answers)


def write(rng: random.Random, mean_tokens: float, last_line: str, sampling: Sampling) -> Written:
    """Some reasoning of random length, then the last line; ``max_tokens`` or a stop string may cut it."""
    length = rng.lognormvariate(math.log(mean_tokens) - SPREAD**2 / 2, SPREAD)
    room = round(length * 10 / _TENTHS_PER_WORD) - len(last_line.split())
    text = "\n".join((" ".join(rng.choices(_WORDS, k=max(1, room))), last_line))
    cut = count_tokens([text]) > sampling.max_tokens
    if cut:
        text = " ".join(text.split()[: sampling.max_tokens * 10 // _TENTHS_PER_WORD])
    stops = [at for stop in sampling.stop if (at := text.find(stop)) >= 0]
    if stops:
        text, cut = text[: min(stops)], False
    return Written(text, "length" if cut else "stop", sampling.max_tokens if cut else count_tokens([text]))


def count_tokens(texts: Iterable[str]) -> int:
    """1.3 tokens a word, rounded up."""
    words = sum(len(text.split()) for text in texts)
    return -(-words * _TENTHS_PER_WORD // 10)


def _role(responses: int, asked: str) -> Role:
    if responses == 0:
        return "generator"
    if "Ranking:" in asked:
        return "ranker"
    if responses == 1 and "Verdict:" in asked:
        return "verifier"
    if responses == 1 and "strengths" in asked and "weaknesses" in asked:
        return "critic"
    return "fuser"


def _stated(response: str) -> str | None:
    """The last answer that a response states, before any critique of it."""
    found = _STATED.findall(_CRITIQUE.split(response, maxsplit=1)[0])
    return found[-1].replace(",", "") if found else None
