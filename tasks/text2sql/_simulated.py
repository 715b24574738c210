"""Text2SQL for simulated models: questions with a mark, and queries for the answers that such a model gives.

A simulated model answers a marked task with a number, of which :mod:`archloom.tasks` says whether it is right. Here
each number of a Text2SQL task stands for a query: the right one for the gold, the wrong ones for golds of other
questions, for queries that fail, and for some that find nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from archloom.tasks._simulated import simulated_truth, simulated_wrong
from archloom.tasks.text2sql._questions import Question
from archloom.tasks.text2sql._verdict import Gold
from archloom.tools.sql import canonical_sql

_OTHER = re.compile(r"[^\w.-]+")
_RANKS = 32
"""Wrong answers that are told apart when a query is read back."""


@dataclass(frozen=True)
class _Known:
    """The gold of a marked question, and those of the others on its database.

    An unanswerable one has only others that are answered: what reads no table would be right there.
    """

    gold: Gold
    others: tuple[str, ...]


_known: dict[str, _Known] = {}
"""By mark, which has a digest of all golds of the file: what is known of it never changes."""


def simulated_marks(name: str, questions: Sequence[Question]) -> Mapping[str, str]:
    """Marks by question id, such as ``Simulated task sql-shop-1f0c3a9d/0/7:``; their queries are known from now on.

    Args:
        name: What the marks are called.
        questions: The questions of one file.
    """
    golds = [[each.gold.db_id, each.gold.queries[0]] for each in questions]
    digest = sha256(json.dumps(golds).encode()).hexdigest()[:8]
    marks = {}
    for place, question in enumerate(questions):
        mark = f"Simulated task sql-{_OTHER.sub('-', name)}-{digest}/0/{place}:"
        gold = question.gold
        later = [each.gold for each in (*questions[place + 1 :], *questions[:place]) if each.gold.db_id == gold.db_id]
        others = tuple(each.queries[0] for each in later if not (gold.unanswerable and each.unanswerable))
        _known[mark] = _Known(gold, others)
        marks[question.id] = mark
    return marks


@lru_cache(maxsize=1 << 14)
def simulated_query(mark: str, number: str) -> str | None:
    """The query that a number stands for in a marked task; ``None`` for other tasks and other numbers."""
    if mark not in _known:
        return None
    known = _known[mark]
    if number == simulated_truth(mark):
        return known.gold.queries[0]
    rank = next((rank for rank in range(_RANKS) if simulated_wrong(mark, rank) == number), None)
    return None if rank is None else _wrong(known, rank)


@lru_cache(maxsize=1 << 14)
def simulated_number(mark: str, sql: str) -> str | None:
    """The number that stands for a query in a marked task; the inverse of :func:`simulated_query`."""
    numbers = [simulated_truth(mark), *(simulated_wrong(mark, rank) for rank in range(_RANKS))]
    wanted = canonical_sql(sql)
    known = {number: simulated_query(mark, number) for number in numbers if number is not None}
    return next((number for number, query in known.items() if query and canonical_sql(query) == wanted), None)


def _wrong(known: _Known, rank: int) -> str:
    """Another question's gold, then a query that fails, another gold, one that finds nothing, and so on."""
    place, kind = divmod(rank, 4)
    inner = known.gold.queries[0].strip().rstrip(";")
    if known.gold.unanswerable and known.others:
        return known.others[rank % len(known.others)]
    if kind == 1:
        return f"SELECT no_such_column_{place} FROM ({inner}) AS answer"
    if kind == 3 or not known.others:
        return f"SELECT * FROM ({inner}) AS answer WHERE {place} = -1"
    return known.others[(2 * place + kind // 2) % len(known.others)]
