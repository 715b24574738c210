"""How a simulated judge sees responses: signal detection with two normal distributions."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist

from archloom.graphs import SimulatedModel
from archloom.orchestrator.models.simulated._prompts import Response
from archloom.orchestrator.models.simulated._truth import Draws

_NORMAL = NormalDist()
_EXTREME = 1e-3
_TINY = 1e-12
_HALF_SEEN = 10
"""Words of an unfinished step after which half of its signal shows."""


class Judge:
    """Perceived quality is normal: around d' with spread 1 for right responses, around 0 for wrong ones with
    ``wrong_spread``. It accepts what lies above the criterion that gives the spec's hit and false-alarm rates."""

    def __init__(self, spec: SimulatedModel, draws: Draws) -> None:
        self._spec, self._draws = spec, draws
        hit, false_alarm = (min(max(rate, _EXTREME), 1 - _EXTREME) for rate in (spec.hit, spec.false_alarm))
        self._criterion = -spec.wrong_spread * _NORMAL.inv_cdf(false_alarm)
        self.sensitivity = self._criterion + _NORMAL.inv_cdf(hit)
        self._signal = self.sensitivity if spec.score_signal is None else spec.score_signal

    def verdict(self, draws: random.Random, task: str, response: Response, right: bool) -> tuple[bool, float]:
        """Whether it accepts, and the probability of "right" that it would put on the word."""
        doubt = self._doubt(draws, task, response)
        accepts = doubt < (self._spec.hit if right else self._spec.false_alarm)
        seen = -_NORMAL.inv_cdf(min(max(doubt, _TINY), 1 - _TINY))
        quality = self.sensitivity + seen if right else self._spec.wrong_spread * seen
        sure = _logistic(self.sensitivity * (quality - self._criterion))
        # At a rate of 0 or 1, or with no sensitivity, the quality says less than the verdict.
        return accepts, max(sure, 0.5 + _EXTREME) if accepts else min(sure, 0.5 - _EXTREME)

    def qualities(
        self, draws: random.Random, task: str, responses: Sequence[Response], rights: Sequence[bool], *, ranks: bool
    ) -> list[float]:
        """Perceived quality of each; ``ranks`` when their order is asked for, which the first one gains by."""
        spec = self._spec
        seen = []
        for place, (response, right) in enumerate(zip(responses, rights, strict=True)):
            noise = self._noise(draws, task, response)
            quality = self.sensitivity + noise if right else spec.wrong_spread * noise
            bias = spec.position_bias if ranks and place == 0 else 0.0
            seen.append(quality + bias + spec.heeds * response.praise)
        return seen

    def score(
        self,
        draws: random.Random,
        task: str,
        response: Response,
        right: bool,
        *,
        first: bool,
        step: int,
        words: int | None,
    ) -> float:
        """Probability of being right that it would give a response or prefix, if one in two were.

        Args:
            first: It stands before others that are scored with it.
            step: Number of the last step; 0 for a response with an answer or without steps.
            words: Words that can be seen of a last step that is not finished.
        """
        spec, signal = self._spec, self._signal
        if words is not None:
            signal *= words / (words + _HALF_SEEN)
        noise = self._noise(draws, task, response)
        quality = signal + noise if right else spec.wrong_spread * noise
        quality += (spec.position_bias if first else 0.0) + spec.heeds * response.praise
        confidence = 1 + (spec.early_confidence - 1) / step if step else 1.0
        return _logistic(confidence * (signal * quality - signal**2 / 2))

    def _noise(self, draws: random.Random, task: str, response: Response) -> float:
        """Standard normal, of which a share belongs to the response and is the same whenever it is seen."""
        share, fresh = self._spec.judge_consistency, draws.gauss(0.0, 1.0)
        if share == 0:
            return fresh
        own = self._draws("opinion", task, response.text).gauss(0.0, 1.0)
        return math.sqrt(share) * own + math.sqrt(1 - share) * fresh

    def _doubt(self, draws: random.Random, task: str, response: Response) -> float:
        """The noise as a uniform number, the better the lower."""
        if self._spec.judge_consistency == 0:
            return draws.random()
        return _NORMAL.cdf(-self._noise(draws, task, response))


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(log_odds, -700.0), 700.0)))
