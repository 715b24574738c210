"""Scorers that run both queries and compare their results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from archloom.tasks.text2sql._compare import same_bag, same_set, soft_f1
from archloom.tasks.text2sql._verdict import Gold, SqlScorer, Verdict
from archloom.tasks.text2sql._wording import asks_for_order, spider_wording
from archloom.tools.sql import Database, Rows, SqlFailure, SqlLimits, open_database, read_statement

Databases = Mapping[str, tuple[str, ...]]
"""Locations of each database by its id; Spider's test suites have several files of one, which must all agree."""

LIMITS = SqlLimits(timeout_s=30.0, rows=500_000, result_bytes=256 * 2**20)
"""For golds and predictions alike: BIRD's 30 seconds, and more rows than their databases give sensible questions."""
_NOBODYS_FAULT = frozenset({"unavailable", "locked"})


@dataclass(frozen=True)
class ExecutionScorer(SqlScorer):
    """Compares results. Of several accepted golds, and of those alone that run, the best counts.

    Attributes:
        databases: Where they are.
        limits: What each query may take. A result over them is never compared.
    """

    databases: Databases
    limits: SqlLimits = LIMITS

    def verdict(self, sql: str, gold: Gold) -> Verdict:
        """Runs the golds and the prediction on every database of that id."""
        found = [open_database(location) for location in self.databases.get(gold.db_id, ())]
        if not found:
            return Verdict(0.0, "gold_failed", f"there is no database {gold.db_id!r}")
        best: Verdict | None = None
        failed = ""
        for query in gold.queries:
            verdict = self._against(query, sql, found)
            if verdict.outcome == "gold_failed":
                failed = verdict.detail
            elif best is None or verdict.score > best.score:
                best = verdict
        if best is None:
            return Verdict(0.0, "gold_failed", failed)
        if gold.unanswerable and best.score < 1 and abstains(sql):
            return Verdict(1.0, "match")
        return best

    def _against(self, gold: str, sql: str, databases: list[Database]) -> Verdict:
        score = 1.0
        for database in databases:
            wanted = database.execute(self.wording(gold), limits=self.limits)
            if isinstance(wanted, SqlFailure):
                return Verdict(0.0, "gold_failed", f"{wanted.outcome}: {wanted.message}")
            given = database.execute(self.wording(sql), limits=self.limits)
            if isinstance(given, SqlFailure):
                outcome = "gold_failed" if given.outcome in _NOBODYS_FAULT else given.outcome
                return Verdict(0.0, outcome, given.message)
            score = min(score, self.compare(wanted, given, gold))
        return Verdict.of(score)

    def wording(self, sql: str) -> str:
        """The text that is run for a query."""
        return sql

    @abstractmethod
    def compare(self, wanted: Rows, given: Rows, gold: str) -> float:
        """The score of a result."""


@dataclass(frozen=True)
class SpiderExec(ExecutionScorer):
    """Spider's execution match.

    Attributes:
        keep_distinct: Leave DISTINCT in both queries.
    """

    keep_distinct: bool = False

    @property
    def name(self) -> str:
        """The metric's."""
        return "spider_exec_keep_distinct" if self.keep_distinct else "spider_exec"

    def wording(self, sql: str) -> str:
        """Without DISTINCT, unless it is kept."""
        return sql if len(sql) > self.limits.sql_bytes else spider_wording(sql, keep_distinct=self.keep_distinct)

    def compare(self, wanted: Rows, given: Rows, gold: str) -> float:
        """Bags of rows, in any order of columns."""
        return float(same_bag(wanted.rows, given.rows, ordered=asks_for_order(gold)))


@dataclass(frozen=True)
class BirdEx(ExecutionScorer):
    """BIRD's execution accuracy."""

    @property
    def name(self) -> str:
        """The metric's."""
        return "bird_ex"

    def compare(self, wanted: Rows, given: Rows, gold: str) -> float:
        """Sets of rows."""
        return float(same_set(wanted.rows, given.rows))


@dataclass(frozen=True)
class SoftF1(ExecutionScorer):
    """BIRD's Soft-F1."""

    @property
    def name(self) -> str:
        """The metric's."""
        return "soft_f1"

    def compare(self, wanted: Rows, given: Rows, gold: str) -> float:
        """Values of rows that are paired by their place."""
        return soft_f1(wanted.rows, given.rows)


def abstains(sql: str) -> bool:
    """Whether a query only says something: it reads no table."""
    statement = read_statement(sql, "sqlite")
    return not isinstance(statement, SqlFailure) and not statement.tables
