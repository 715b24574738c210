"""Two configurations on common tasks: the difference, its tests, and what it would take to tell them apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from archloom.search._statistics import Interval, McNemar, mcnemar, paired_difference, tasks_needed


class Paired(NamedTuple):
    """The first configuration against the second.

    Attributes:
        tasks: Tasks that both were run on.
        difference: Mean score of the first minus that of the second, with its 95 % paired bootstrap interval.
        mcnemar: The exact test; ``None`` where some score is neither 0 nor 1.
        needed: Tasks that would tell them apart at 5 % with a power of 0.8, were the difference seen the true one;
            ``None`` where no difference was seen, or a single task.
    """

    tasks: int
    difference: Interval
    mcnemar: McNemar | None
    needed: int | None

    @property
    def apart(self) -> bool:
        """Whether the interval excludes 0."""
        return not self.difference.low <= 0 <= self.difference.high

    @property
    def more(self) -> int | None:
        """Tasks still missing to tell them apart; 0 where there are enough."""
        return None if self.needed is None else max(0, self.needed - self.tasks)


def paired(first: ArrayLike, second: ArrayLike) -> Paired:
    """Everything about two configurations on at least one common task, in the same order."""
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    right_or_wrong = bool(np.isin([one, two], (0.0, 1.0)).all())
    return Paired(
        len(one),
        paired_difference(one, two),
        mcnemar(one, two) if right_or_wrong else None,
        tasks_needed(one, two) if len(one) > 1 else None,
    )
