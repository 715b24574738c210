"""The metrics by name."""

from __future__ import annotations

from collections.abc import Callable

from archloom.tasks.text2sql._exact_set import ExactSetMatch
from archloom.tasks.text2sql._execution import BirdEx, Databases, SoftF1, SpiderExec
from archloom.tasks.text2sql._timing import RVes
from archloom.tasks.text2sql._verdict import SqlScorer
from archloom.tools import UsageError, suggest


def _keeping_distinct(databases: Databases) -> SqlScorer:
    return SpiderExec(databases, keep_distinct=True)


_METRICS: dict[str, Callable[[Databases], SqlScorer]] = {
    "bird_ex": BirdEx,
    "exact_set_match": ExactSetMatch,
    "r_ves": RVes,
    "soft_f1": SoftF1,
    "spider_exec": SpiderExec,
    "spider_exec_keep_distinct": _keeping_distinct,
}


def sql_metric_names() -> tuple[str, ...]:
    """Names of the metrics."""
    return tuple(_METRICS)


def sql_scorer(name: str, databases: Databases) -> SqlScorer:
    """The scorer of a metric.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in _METRICS:
        raise UsageError(f"there is no metric {name!r} for SQL.", hint=suggest(name, _METRICS))
    return _METRICS[name](databases)
