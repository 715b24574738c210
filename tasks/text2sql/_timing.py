"""R-VES: BIRD's reward for the time a right query takes beside its gold. A timing, noisy on a busy machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import fmean, pstdev

from archloom.tasks.text2sql._execution import BirdEx
from archloom.tasks.text2sql._verdict import Gold, Verdict
from archloom.tools.sql import Database, Rows, open_database

_STEPS = ((2.0, 1.25), (1.0, 1.0), (0.5, 0.75), (0.25, 0.5))
_SLOW = 0.25


@dataclass(frozen=True)
class RVes(BirdEx):
    """R-VES: 0 for a wrong result; else the root of a reward from 0.25 to 1.25, so the highest score is 1.118.

    Times are those inside the database, after a warm connection; the official ones include opening the file. Two
    runs differ: report it beside an execution metric, never alone. It is for files of predictions; the score of a
    task is 0 to 1 and the same in every run, so a task set with this metric is refused.

    Attributes:
        repeats: Times that each of the two queries is run; 100 officially.
    """

    repeats: int = 100

    @property
    def name(self) -> str:
        """The metric's, with a warning."""
        return "r_ves (timing)"

    def verdict(self, sql: str, gold: Gold) -> Verdict:
        """Compares results first, and times only a query that is right."""
        verdict = super().verdict(sql, gold)
        if verdict.outcome != "match":
            return verdict
        database = open_database(self.databases[gold.db_id][0])
        ratios = []
        for _ in range(self.repeats):
            mine, own = self._seconds(database, sql), self._seconds(database, gold.queries[0])
            if mine is None or own is None:
                return Verdict(0.0, "timeout", "one of its repetitions failed")
            ratios.append(own / mine)
        return Verdict(reward(ratios), "match")

    def _seconds(self, database: Database, sql: str) -> float | None:
        result = database.execute(sql, limits=self.limits)
        return max(result.duration_s, 1e-9) if isinstance(result, Rows) else None


def reward(ratios: list[float]) -> float:
    """The score for the gold's time over the query's own, each measured several times; outliers are left out."""
    mean, spread = fmean(ratios), pstdev(ratios)
    kept = [ratio for ratio in ratios if abs(ratio - mean) < 3 * spread] or ratios
    ratio = fmean(kept)
    return sqrt(next((value for least, value in _STEPS if ratio >= least), _SLOW))
