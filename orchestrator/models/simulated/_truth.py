"""How hard a task is to a simulated model, and which wrong answers it gives."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from statistics import NormalDist
from typing import Protocol

from archloom.graphs import SimulatedModel

REFERENCE_TEMPERATURE = 0.7
HEAT = 1.0
"""Log-odds of a right answer that one degree above the reference temperature costs."""
_CACHED_TASKS = 1 << 14


class Draws(Protocol):
    """Random numbers by what they are for: the same key always gives the same."""

    def __call__(self, *key: object) -> random.Random:
        """A generator at its beginning."""


class Difficulty:
    """Solve probabilities and wrong answers of one model."""

    def __init__(self, spec: SimulatedModel, draws: Draws) -> None:
        self._spec, self._draws = spec, draws
        match spec.skill:
            case (float(a), float(b)):
                self._clusters = [(1.0, a, b)]
            case clusters:
                self._clusters = [(each.weight, each.a, each.b) for each in clusters if not isinstance(each, float)]
        self._zipf = [(rank + 1) ** -spec.wrong_skew for rank in range(spec.wrong_answers)]
        self.reference = lru_cache(_CACHED_TASKS)(self._reference)

    def solves(self, task: str, temperature: float, ideas: str = "") -> float:
        """Probability that one sample at this temperature is right when it goes by these ideas."""
        p = self.reference(task)
        if ideas and self._spec.idea_spread and 0 < p < 1:
            shift = self._draws("ideas", task, ideas).gauss(0, self._spec.idea_spread)
            p = 1 / (1 + (1 - p) / p * math.exp(-shift))
        cooled = math.exp(-HEAT * max(0.0, temperature - REFERENCE_TEMPERATURE))  # factor on the odds
        return p * cooled / (1 - p + p * cooled)

    def wrong(self, draws: random.Random, task: str) -> int:
        """Rank of a wrong answer."""
        spec = self._spec
        if spec.lure and random.Random(f"lure|{task}").random() < spec.lure:
            # The task has it, not the model: no name and no seed. It is the first wrong answer of all models.
            if spec.wrong_answers == 1 or draws.random() < spec.lure_share:
                return 0
            [rank] = draws.choices(range(1, len(self._zipf)), self._zipf[1:])
            return rank
        [rank] = draws.choices(range(len(self._zipf)), self._zipf)
        return rank

    def _reference(self, task: str) -> float:
        """Solve probability at the reference temperature."""
        own = self._draws("skill", task)
        if self._spec.shared_difficulty == 0:
            _, a, b = self._clusters[0]
            if len(self._clusters) > 1:
                [(_, a, b)] = own.choices(self._clusters, [weight for weight, _, _ in self._clusters])
            return own.betavariate(a, b)
        loading = self._spec.shared_difficulty
        shared = random.Random(f"difficulty|{task}").gauss(0, 1)
        return self._quantile(NormalDist().cdf(loading * shared + math.sqrt(1 - loading**2) * own.gauss(0, 1)))

    def _quantile(self, share: float) -> float:
        """The solve probability below which this share of the tasks lies."""
        from scipy import optimize, special  # only models that share difficulty pay for the import

        if len(self._clusters) == 1:
            [(_, a, b)] = self._clusters
            return float(special.betaincinv(a, b, share))
        total = sum(weight for weight, _, _ in self._clusters)

        def excess(p: float) -> float:
            return float(sum(weight * special.betainc(a, b, p) for weight, a, b in self._clusters) / total - share)

        return float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-12))
