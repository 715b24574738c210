"""A parametric model with known truth: what claims, optimizers and examples are tested on."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from dataclasses import replace
from statistics import fmean
from typing import ClassVar

import orjson

from archloom.graphs import ModelBase, SimulatedModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models._client import InProcessClient, Progress
from archloom.orchestrator.models.openai._chat import text_of
from archloom.orchestrator.models.simulated._faults import DRIP, FaultyLine
from archloom.orchestrator.models.simulated._logprobs import Choice, shown_tokens, token_logprobs
from archloom.orchestrator.models.simulated._prompts import read
from archloom.orchestrator.models.simulated._roles import Asked, Roles
from archloom.orchestrator.models.simulated._sql import query_of, with_numbers
from archloom.orchestrator.models.simulated._steps import last_step
from archloom.orchestrator.models.simulated._text import Reply, count_tokens, cut, write
from archloom.tasks import simulated_truth

_MARKER = re.compile(r"Simulated task \S+:")
_ALWAYS_NAMED = {
    "provider", "skill", "wrong_answers", "wrong_skew", "hit", "false_alarm", "tokens", "tokens_per_s", "latency_s",
    "fail", "seed",
}  # fmt: skip
"""Fields that the identity always holds; the others only where they are not at their default, so that addresses
outlive new parameters."""


class SimulatedClient(InProcessClient):
    """Behaves like a model of known quality on tasks that carry a marker of ``archloom.tasks``.

    All draws come from the spec's seed, its name, the conversation, the parameters and the sample's seed, so they
    depend neither on time nor on the order of calls. ``docs/simulated.md`` says what is drawn how.
    """

    seeds_by_index: ClassVar[bool] = False

    def __init__(self, spec: SimulatedModel) -> None:
        self._spec = spec
        parameters = {
            name: value
            for name, value in spec.model_dump(mode="json", exclude={"sleep", *ModelBase.model_fields}).items()
            if name in _ALWAYS_NAMED
            or getattr(spec, name) != type(spec).model_fields[name].get_default(call_default_factory=True)
        }
        digest = hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()
        super().__init__(f"simulated/{spec.model}@{digest[:12]}")
        self._roles = Roles(spec, self._draws)
        self._line = FaultyLine(spec, self._draws) if any(spec.faults.model_dump().values()) else None

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """One completion, with the latency that its length takes."""
        spec = self._spec
        request = hashlib.sha256(orjson.dumps(messages, default=dict)).hexdigest()
        if spec.fail and self._draws("fail", request, seed).random() < spec.fail:
            message = f"{spec.model}: a simulated server error."
            raise ModelCallError(message, failure="server", hint="Set 'fail' of the model to 0 to see none.")
        # max_tokens and logprobs are left out, because with others it is the same text.
        temperature = float(sampling.temperature)
        key = (request, temperature, sampling.top_p, seed if temperature else "greedy")
        written = self._written(messages, sampling, key)
        return await self._sent(written, (*key, seed), progress)

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """Exactly what it counts."""
        return count_tokens(map(text_of, messages))

    def _draws(self, *key: object) -> random.Random:
        return random.Random("|".join(map(str, (self._spec.seed, self._spec.model, *key))))

    def _written(self, messages: Messages, sampling: Sampling, key: tuple[object, ...]) -> Completion:
        """The reply, as it is without a fault."""
        spec, draws, asked = self._spec, self._draws("text", *key), _asked(messages, self._spec.model)
        reply = self._roles.reply(draws, asked, float(sampling.temperature))
        whole = write(draws, spec, asked.task, reply, asked.reading.partial)
        if (sql := query_of(asked.task, reply)) and not asked.reading.partial:
            whole = f"{whole}\n```sql\n{sql}\n```"
        written = cut(whole, sampling)
        latency_s = spec.latency_s + written.tokens / spec.tokens_per_s
        tokens_in = self.prompt_tokens_bound(messages)
        completion = Completion(written.text, written.finish, tokens_in, written.tokens, latency_s)
        if sampling.logprobs is None:
            return completion
        return self._with_logprobs(completion, self._draws("logprobs", *key), asked, reply, whole, sampling.logprobs)

    def _with_logprobs(
        self, completion: Completion, draws: random.Random, asked: Asked, reply: Reply, whole: str, top: int
    ) -> Completion:
        """Log-probabilities as for the whole reply, as far as the completion goes."""
        text, right = completion.text, (reply, *reply.again)[-1].right
        if reply.steps and text != whole:
            # What was cut off must not show: only what happened up to the last step that is there.
            step = last_step(asked.task, (asked.reading.partial or "") + text)
            right = step is None or step.rank is None
        choice = Choice(reply.value, reply.chances) if reply.chances else None
        count = max(count_tokens([whole]), completion.tokens_out)
        tokens = token_logprobs(draws, whole, count, right, self._spec.calibration, choice, top)
        tokens = shown_tokens(tokens, text, completion.tokens_out)
        return replace(completion, tokens=tokens, logprob=fmean(token.logprob for token in tokens))

    async def _sent(self, completion: Completion, key: tuple[object, ...], progress: Progress | None) -> Completion:
        """What reaches the caller, and when."""
        spec, line, latency_s = self._spec, self._line, completion.latency_s
        fault = line.next(key) if line else None
        if fault == "drip":
            latency_s += (DRIP - 1) * completion.tokens_out / spec.tokens_per_s
        if spec.latency_spread:
            spread = spec.latency_spread
            latency_s *= self._draws("latency", *key).lognormvariate(-(spread**2) / 2, spread)
        if latency_s != completion.latency_s:
            completion = replace(completion, latency_s=latency_s)
        if spec.sleep:
            wait_s = completion.latency_s if line is None or fault is None else line.wait_s(fault, completion)
            await self._wait(wait_s, completion, progress)
        if line is None or fault is None or fault == "drip":
            return completion
        raise line.error(fault, key, completion)

    async def _wait(self, wait_s: float, completion: Completion, progress: Progress | None) -> None:
        """Takes the time; a call that is cancelled meanwhile has used what was written by then."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            if progress is not None:
                decoding_s = max(0.0, loop.time() - started - self._spec.latency_s)
                progress.tokens_in = completion.tokens_in
                progress.tokens_out = min(completion.tokens_out, int(decoding_s * self._spec.tokens_per_s))
            raise


def _asked(messages: Messages, model: str) -> Asked:
    """The latest simulated task of the conversation, and what is wanted."""
    for message in reversed(messages):
        for marker in _MARKER.findall(text_of(message)):
            if (truth := simulated_truth(marker)) is not None:
                return Asked(marker, truth, with_numbers(marker, read(messages)))
    raise ModelCallError(
        f"{model}: the conversation holds no simulated task.",
        failure="bad_request",
        hint="Simulated models answer only 'simulated:' task sets, and Text2SQL with simulated=true; use another model "
        "for real tasks.",
    )
