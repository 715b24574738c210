"""What scorers say of a predicted query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from archloom.tasks._scorers import Target
from archloom.tasks.errors import TaskError
from archloom.tools.sql import FailureKind, find_sql

Outcome: TypeAlias = Literal["match", "mismatch", "partial", "no_sql", "gold_failed"] | FailureKind
"""``match``, ``mismatch`` or ``partial`` of results; why the prediction has none; or that the gold has none."""


@dataclass(frozen=True)
class Verdict:
    """The score of a prediction and its reason.

    Attributes:
        score: As the metric counts it; 0 for a prediction that fails. It means nothing after ``gold_failed``.
        outcome: Why.
        detail: What the database said of a query that failed.
    """

    score: float
    outcome: Outcome
    detail: str = ""

    @classmethod
    def of(cls, score: float) -> Verdict:
        """That of two results which could be compared."""
        return cls(score, "match" if score >= 1 else "partial" if score > 0 else "mismatch")


@dataclass(frozen=True)
class Gold:
    """What a prediction is compared with.

    Attributes:
        db_id: The database.
        queries: Accepted queries, one or more.
        unanswerable: The database does not hold the answer: a query that says so, and reads no table, is right.
    """

    db_id: str
    queries: tuple[str, ...]
    unanswerable: bool = False

    @classmethod
    def from_target(cls, target: Target) -> Gold:
        """The gold that :meth:`target` wrote down."""
        queries = target.data["golds"]
        assert isinstance(queries, list)
        return cls(str(target.data["db_id"]), tuple(queries), bool(target.data["unanswerable"]))

    def target(self, **data: object) -> Target:
        """As a task set keeps it."""
        values: Mapping[str, object] = {
            "db_id": self.db_id,
            "golds": list(self.queries),
            "unanswerable": self.unanswerable,
            **data,
        }
        return Target(self.queries[0], values)


class SqlScorer(ABC):
    """Scores the SQL in a text; a subclass says how in :meth:`verdict`."""

    blocking: ClassVar[bool] = True
    """It runs queries."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The metric's."""

    @abstractmethod
    def verdict(self, sql: str, gold: Gold) -> Verdict:
        """The score of a query and its reason. Whatever the query is, it does not raise."""

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Judges the SQL that the text holds.

        Raises:
            TaskError: the gold fails, which is no fault of the answer.
        """
        del candidate_answer  # its canonical form has no case, which SQL has
        sql = find_sql(candidate_text)
        if sql is None:
            return 0.0
        verdict = self.verdict(sql, Gold.from_target(target))
        if verdict.outcome == "gold_failed":
            raise TaskError(
                f"the gold query of a task on database {target.data['db_id']!r} fails: {verdict.detail}",
                hint="Load the task set with check=true to leave such tasks out.",
            )
        return verdict.score
