"""How long simulated replies are, and how long is what is left of one that was begun.

What was cut and continued must not be longer or shorter than what was not: techniques that stop early would be credited
with tokens that they do not save.
"""

from __future__ import annotations

import math
import random
from statistics import NormalDist

from archloom.graphs import SimulatedModel
from archloom.orchestrator.models.simulated._prompts import stated_answer, thinks_on
from archloom.orchestrator.models.simulated._steps import Step, step_head, steps_in

TOKENS_PER_WORD = 1.3
WAIT = "Wait"


def drawn_length(draws: random.Random, mean: float, spread: float, *, longer_than: float = 0.0) -> float:
    """Log-normal. One that is known to be ``longer_than`` so much has the distribution of all that are."""
    middle = math.log(mean) - spread**2 / 2
    if not longer_than or not spread:
        return draws.lognormvariate(middle, spread)
    normal = NormalDist(middle, spread)
    below = normal.cdf(math.log(longer_than))
    share = below + (1 - below) * draws.random()
    return math.exp(normal.inv_cdf(share)) if 0 < share < 1 else longer_than


def pace(draws: random.Random, spec: SimulatedModel, task: str, partial: str, in_line: int) -> float:
    """How long a solution's steps are, relative to the mean. The steps of a solution that was begun tell it.

    Args:
        draws: For a solution that does not tell.
        spec: The model.
        task: Marker of the task.
        partial: The beginning.
        in_line: Words of the last line, which the steps share among them.
    """
    longer_than = 0.0
    for step in steps_in(task, partial):
        words = step.words + len(step_head(task, step).split()) + in_line / spec.steps
        told = words * TOKENS_PER_WORD * spec.steps / mean_of(spec, step)
        if step.ended:
            return told
        longer_than = told
    return drawn_length(draws, 1.0, spec.length_spread, longer_than=longer_than)


def mean_of(spec: SimulatedModel, step: Step) -> float:
    """Mean tokens of a solution whose steps are all like this one, right or wrong."""
    return spec.tokens if step.rank is None else spec.tokens_wrong or spec.tokens


def doubts(text: str) -> int:
    """How often a text says that it thinks again."""
    return text.count(f"\n\n{WAIT}")


def words_of_thought(partial: str) -> int:
    """Words since the last answer, where more follows it; else all."""
    stated = stated_answer(partial) if thinks_on(partial) else None
    rest = partial[stated.end() :].partition(WAIT) if stated else ("", "", partial)
    return len((rest[2] or rest[0]).split())


def solves_still(spec: SimulatedModel, p: float, partial: str) -> float:
    """Probability that running text so long without an answer ends in the right one.

    Where wrong texts are longer, one that is still not at its end is the more likely wrong.
    """
    at_least = len(partial.split()) * TOKENS_PER_WORD
    means = (spec.tokens, spec.tokens_wrong or spec.tokens)
    right, wrong = (_longer(mean, spec.length_spread, at_least) for mean in means)
    both = p * right + (1 - p) * wrong
    return p * right / both if both else p


def _longer(mean: float, spread: float, than: float) -> float:
    """Share of all lengths that are longer."""
    if not spread or not than:
        return float(mean > than)
    return 1 - NormalDist(math.log(mean) - spread**2 / 2, spread).cdf(math.log(than))
