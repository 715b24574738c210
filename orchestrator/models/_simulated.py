"""A parametric model with known truth: what claims, optimizers and examples are tested on."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import re
from collections.abc import Sequence
from statistics import NormalDist
from typing import ClassVar, NamedTuple

import orjson

from archloom.graphs import ModelBase, SimulatedModel
from archloom.nodes import Messages, Sampling, Task
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models._chat import text_of
from archloom.orchestrator.models._client import Completion
from archloom.orchestrator.models._simulated_text import Role, count_tokens, read_prompt, write
from archloom.tasks import simulated_truth, simulated_wrong

REFERENCE_TEMPERATURE = 0.7
HEAT = 1.0
"""Log-odds of a right answer that one degree above the reference temperature costs."""
_MARKER = re.compile(r"Simulated task \S+:")
_EXTREME = 1e-3


class _Asked(NamedTuple):
    """A request as the model understands it."""

    task: str  # marker of the task
    truth: str
    role: Role
    answers: tuple[str | None, ...]  # of the responses in the prompt


class SimulatedClient:
    """Behaves like a model of known quality on tasks that carry a marker of ``archloom.tasks``.

    All draws come from the spec's seed, its name, the conversation, the parameters and the sample's seed.

    * As **generator** it is right with the task's probability p, drawn once a task from Beta(``skill``).
      Above the reference temperature 0.7 log-odds fall: ``logit p(T) = logit p - (T - 0.7)``. At temperature
      0 the outcome of a task never changes. Wrong answers follow Zipf(``wrong_skew``) over ``wrong_answers``.
    * As **verifier** and **critic** of one response it accepts a right answer with probability ``hit`` and a
      wrong one with probability ``false_alarm``.
    * As **ranker** and **fuser** it sees each response's quality with noise: normal with variance 1, around
      d' for right ones and 0 for others, where ``d' = z(hit) - z(false_alarm)`` is the sensitivity of signal
      detection theory (rates are kept 0.001 away from 0 and 1). A ranker orders by it. A fuser gives the
      answer of the best response, or solves the task itself when no response has an answer.

    Lengths are log-normal with mean ``tokens``; a text that ``max_tokens`` cuts has lost its last line.
    """

    seeds_by_index: ClassVar[bool] = False

    def __init__(self, spec: SimulatedModel) -> None:
        self._spec = spec
        parameters = spec.model_dump(mode="json", exclude={"sleep", *ModelBase.model_fields})
        digest = hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()
        self._identity = f"simulated/{spec.model}@{digest[:12]}"
        normal = NormalDist()
        hit, false_alarm = (min(max(rate, _EXTREME), 1 - _EXTREME) for rate in (spec.hit, spec.false_alarm))
        self._sensitivity = normal.inv_cdf(hit) - normal.inv_cdf(false_alarm)
        self._zipf = [(rank + 1) ** -spec.wrong_skew for rank in range(spec.wrong_answers)]

    @property
    def identity(self) -> str:
        """Its name and a digest of all that decides its answers."""
        return self._identity

    @property
    def local(self) -> bool:
        """Always."""
        return True

    async def __aenter__(self) -> SimulatedClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def complete(self, messages: Messages, sampling: Sampling, *, seed: int) -> Completion:
        """One completion, with the latency that its length takes."""
        spec = self._spec
        request = hashlib.sha256(orjson.dumps(messages, default=dict)).hexdigest()
        if self._draws("fail", request, seed).random() < spec.fail:
            message = f"{spec.model}: a simulated server error."
            raise ModelCallError(message, failure="server", hint="Set 'fail' of the model to 0 to see none.")
        temperature = float(sampling.temperature)
        # max_tokens is left out, because a higher one continues the same text.
        draws = self._draws("text", request, temperature, sampling.top_p, seed if temperature else "greedy")
        line = self._last_line(draws, _asked(messages, spec.model), temperature)
        written = write(draws, spec.tokens, line, sampling)
        latency_s = spec.latency_s + written.tokens / spec.tokens_per_s
        if spec.sleep:
            await asyncio.sleep(latency_s)
        tokens_in = self.prompt_tokens_bound(messages)
        return Completion(written.text, written.finish, tokens_in, written.tokens, latency_s)

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Exactly what it counts."""
        return count_tokens(map(text_of, messages))

    def _draws(self, *key: object) -> random.Random:
        return random.Random("|".join(map(str, (self._spec.seed, self._spec.model, *key))))

    def _last_line(self, draws: random.Random, asked: _Asked, temperature: float) -> str:
        right = [answer == asked.truth for answer in asked.answers]
        match asked.role:
            case "generator":
                return f"The answer is {self._solved(draws, asked, temperature)}."
            case "verifier":
                return f"Verdict: {'correct' if self._accepts(draws, right[0]) else 'incorrect'}"
            case "critic":
                return f"Overall: likely {'right' if self._accepts(draws, right[0]) else 'wrong'}."
            case "ranker":
                order = sorted(range(len(right)), key=self._qualities(draws, right).__getitem__, reverse=True)
                return f"Ranking: {' > '.join(str(i + 1) for i in order)}"
            case "fuser":
                return f"The answer is {self._fused(draws, asked, right, temperature)}."

    def _solved(self, draws: random.Random, asked: _Asked, temperature: float) -> str:
        p = self._draws("skill", asked.task).betavariate(*self._spec.skill)
        cooled = math.exp(-HEAT * max(0.0, temperature - REFERENCE_TEMPERATURE))  # factor on the odds
        if temperature == 0:
            draws = self._draws("greedy", asked.task)
        if draws.random() < p * cooled / (1 - p + p * cooled):
            return asked.truth
        [rank] = draws.choices(range(len(self._zipf)), self._zipf)
        return simulated_wrong(asked.task, rank)

    def _accepts(self, draws: random.Random, right: bool) -> bool:
        return draws.random() < (self._spec.hit if right else self._spec.false_alarm)

    def _qualities(self, draws: random.Random, right: Sequence[bool]) -> list[float]:
        return [draws.gauss(self._sensitivity if each else 0.0, 1.0) for each in right]

    def _fused(self, draws: random.Random, asked: _Asked, right: Sequence[bool], temperature: float) -> str:
        seen = zip(self._qualities(draws, right), asked.answers, strict=True)
        answered = [(quality, answer) for quality, answer in seen if answer is not None]
        return max(answered)[1] if answered else self._solved(draws, asked, temperature)


def _asked(messages: Messages, model: str) -> _Asked:
    """The latest simulated task of the conversation, and what the latest user message wants done with it."""
    for message in reversed(messages):
        for marker in _MARKER.findall(text_of(message)):
            if (truth := simulated_truth(marker)) is not None:
                return _Asked(marker, truth, *read_prompt(Task("", messages).question))
    raise ModelCallError(
        f"{model}: the conversation holds no simulated task.",
        failure="bad_request",
        hint="Simulated models answer only 'simulated:' task sets; use another model for real tasks.",
    )
