"""Numbered steps: each states a value that shows whether all is right so far, and if not, where it leads."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

_STEP = re.compile(r"^Step (\d+): (\d+)\b(.*)$", re.MULTILINE)
_SMALLEST, _COUNT = 100, 900


class Step(NamedTuple):
    """A step of a solution.

    Attributes:
        number: From 1.
        rank: ``None`` while all is right; else the wrong answer that it leads to.
        ended: It ends with a full stop.
        words: Words after its value.
    """

    number: int
    rank: int | None
    ended: bool = True
    words: int = 0


@lru_cache(maxsize=1 << 14)
def step_value(task: str, number: int) -> int:
    """What this step of this task gives when it is right."""
    return _SMALLEST + int.from_bytes(sha256(f"{task} step {number}".encode()).digest()[:8]) % _COUNT


def step_head(task: str, step: Step) -> str:
    """How the step begins: a wrong value is off by one more than the rank of its wrong answer."""
    off = 0 if step.rank is None else step.rank + 1
    return f"Step {step.number}: {step_value(task, step.number) + off}"


def last_step(task: str, text: str) -> Step | None:
    """The last step in a text that states its value."""
    return next(reversed(list(steps_in(task, text))), None)


def steps_in(task: str, text: str) -> Iterator[Step]:
    """The steps of a text that state their values, in order."""
    for found in _STEP.finditer(text):
        off = int(found[2]) - step_value(task, int(found[1]))
        said = found[3].rstrip()
        rank = None if off == 0 else max(off, 1) - 1
        yield Step(int(found[1]), rank, said.endswith("."), len(said.split()))


def end_of_steps(text: str) -> int:
    """Where the last step of a text ends; 0 without steps."""
    found = _last_in(text)
    return found.end() if found else 0


def _last_in(text: str) -> re.Match[str] | None:
    return max(_STEP.finditer(text), key=re.Match.start, default=None)


def walk(
    draws: random.Random, steps: int, p: float, correction: float, start: Step | None, wrong: Callable[[], int]
) -> tuple[Step, ...]:
    """The steps after ``start``. Without correction all are right with probability p from the beginning.

    An error happens at each step with probability ``1 - p ** (1 / steps)`` and stays until a step corrects it.
    All chances are drawn whatever the start, so that a fixed ``draws`` goes on as the whole would have gone.
    """
    error = 1 - p ** (1 / steps)
    chances = [draws.random() for _ in range(steps)]
    done, rank = (start.number, start.rank) if start else (0, None)
    taken = []
    for number, chance in enumerate(chances[done:], done + 1):
        if rank is None:
            rank = wrong() if chance < error else None
        elif chance < correction:
            rank = None
        taken.append(Step(number, rank))
    return tuple(taken)
