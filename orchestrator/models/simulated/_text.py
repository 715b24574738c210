"""How a simulated model writes: running text or steps, a last line with the value, and where it is cut."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import NamedTuple

from archloom.graphs import SimulatedModel
from archloom.nodes import FinishReason, Sampling
from archloom.orchestrator.models.simulated._lengths import WAIT, drawn_length, mean_of, pace, words_of_thought
from archloom.orchestrator.models.simulated._prompts import stated_answer, thinks_on, waits_for_value
from archloom.orchestrator.models.simulated._steps import Step, last_step, step_head

_TENTHS_PER_WORD = 13
SOLUTION = "The answer is"
_WORDS = ["add", "both", "carry", "case", "check", "count", "each", "first", "half", "here", "join", "keep"]
_WORDS += ["next", "note", "order", "part", "rest", "side", "since", "split", "step", "sum", "take", "term"]
_WORDS += ["then", "thus", "total", "value", "whole"]


class Reply(NamedTuple):
    """What is said, before it is put into words.

    Attributes:
        value: What was asked for, such as ``417.`` or ``correct``.
        right: Whether that is true.
        label: What stands before it on the last line.
        steps: Steps before the last line.
        chances: Words that could have been the value, with their probabilities.
        again: What it comes to each time that it thinks again, after the last line.
    """

    value: str
    right: bool
    label: str = SOLUTION
    steps: tuple[Step, ...] = ()
    chances: tuple[tuple[str, float], ...] = ()
    again: tuple[Reply, ...] = ()

    @property
    def line(self) -> str:
        """The last line."""
        return f"{self.label} {self.value}".strip()


class Written(NamedTuple):
    """A reply as far as it got."""

    text: str
    finish: FinishReason
    tokens: int


def words(draws: random.Random, count: int) -> str:
    """Running text."""
    return " ".join(draws.choices(_WORDS, k=count))


def write(draws: random.Random, spec: SimulatedModel, task: str, reply: Reply, partial: str | None) -> str:
    """The whole reply, or the rest of it after ``partial``; empty where nothing is left to say."""
    if reply.steps or (spec.steps and _all_steps_done(task, reply, partial)):
        parts = _steps(draws, spec, task, reply, partial or "")
    else:
        parts = [_thought(draws, spec, reply, written=words_of_thought(partial or ""))]
    text = _rest(draws, task, reply, parts, partial) if partial else "\n\n".join(parts)
    again = "".join(f"\n\n{WAIT}, {_thought(draws, spec, thought)}" for thought in reply.again)
    if partial and not text:  # a blank line may be there already
        again = again[min(2, len(partial) - len(partial.rstrip("\n"))) :]
    return text + again


def cut(text: str, sampling: Sampling) -> Written:
    """The text up to ``max_tokens``, a stop string, or the end of one to pause at. The first word is never cut off."""
    tokens = count_tokens([text])
    too_long = tokens > sampling.max_tokens
    if too_long:
        text = _first_words(text, max(1, sampling.max_tokens * 10 // _TENTHS_PER_WORD))
    stops = [at for stop in sampling.stop if (at := text.find(stop)) >= 0]
    stops += [at + len(pause) for pause in sampling.pause if (at := text.find(pause)) >= 0]
    if stops:
        text = text[: min(stops)]
        too_long, tokens = False, count_tokens([text])
    if not text.strip():
        # Its one token is the end of the text.
        return Written("", "empty", 1)
    return Written(text, "length" if too_long else "stop", sampling.max_tokens if too_long else tokens)


def count_tokens(texts: Iterable[str]) -> int:
    """1.3 tokens a word, rounded up."""
    words = sum(len(text.split()) for text in texts)
    return -(-words * _TENTHS_PER_WORD // 10)


def _first_words(text: str, count: int) -> str:
    """So many words with the white space between them."""
    words = list(re.finditer(r"\S+", text))
    return text[: words[count - 1].end()] if count <= len(words) else text


def _steps(draws: random.Random, spec: SimulatedModel, task: str, reply: Reply, partial: str) -> list[str]:
    """The steps and the last line as paragraphs; a step's length goes by whether all is right so far."""
    factor = pace(draws, spec, task, partial, len(reply.line.split())) / spec.steps
    parts = []
    for step in reply.steps:
        head = step_head(task, step)
        words_of_step = factor * mean_of(spec, step) * 10 / _TENTHS_PER_WORD - len(reply.line.split()) / spec.steps
        room = round(words_of_step) - len(head.split())
        parts.append(f"{head} {' '.join(draws.choices(_WORDS, k=max(1, room)))}.")
    return [*parts, reply.line]


def _thought(draws: random.Random, spec: SimulatedModel, reply: Reply, *, written: int = 0) -> str:
    """Running text and the last line, after so many words of the text were written."""
    mean = spec.tokens
    if reply.label == SOLUTION and not reply.right:
        mean = spec.tokens_wrong or mean
    length = drawn_length(draws, mean, spec.length_spread, longer_than=written * _TENTHS_PER_WORD / 10)
    room = round(length * 10 / _TENTHS_PER_WORD) - len(reply.line.split()) - written
    return f"{words(draws, max(1, room))}\n{reply.line}"


def _rest(draws: random.Random, task: str, reply: Reply, parts: list[str], partial: str) -> str:
    """What follows a reply that was begun."""
    tail = partial.rpartition("\n")[2]
    if _finished(reply, partial):
        return ""
    begun = last_step(task, tail)
    if begun is not None and not begun.ended:
        missing = max(1, len(parts[0].split()) - begun.words)
        parts = [f"{' '.join(draws.choices(_WORDS, k=missing))}.", *parts]
    elif begun is not None:
        return "\n\n" + "\n\n".join(parts)
    elif tail.strip():
        for begins in (parts[0], reply.line):  # cut inside the head of a step, or inside the last line
            if begins.startswith(tail):
                return "\n\n".join(parts if begins is parts[0] else [reply.line])[len(tail) :]
        if waits_for_value(tail):
            parts = [reply.value]
    return ("" if partial[-1].isspace() else " ") + "\n\n".join(parts)


def _all_steps_done(task: str, reply: Reply, partial: str | None) -> bool:
    """Only the last line is left to write."""
    if not partial or reply.label != SOLUTION or stated_answer(partial):
        return False
    return last_step(task, partial) is not None


def _finished(reply: Reply, partial: str) -> bool:
    if reply.label == SOLUTION:
        return stated_answer(partial) is not None and not thinks_on(partial)
    tail = partial.rstrip().rpartition("\n")[2]
    value = r"(?:likely )?[\w.]+(?:\s*[>,]\s*[\d.]+)*"
    return re.fullmatch(rf"{re.escape(reply.label)}\s*{value}\W*", tail) is not None
