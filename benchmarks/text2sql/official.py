"""What the official evaluations of Spider and BIRD say of a pair of queries: their rules, told a second time.

Nothing here is taken from the scorers that are measured with it. Queries run on plain sqlite3; the rules are those of
``exec_eval.py`` (Spider; Zhong, Yu and Klein 2020) and ``evaluation.py`` (BIRD; Li et al. 2023), without what no
evaluation should copy: a time limit that does not work, and the word ``value`` turned into ``1`` in predictions. What
the rules leave open, or what cannot be found out in time, has no verdict and a reason.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import NamedTuple, TypeAlias

Row: TypeAlias = tuple[object, ...]
METRICS = ("spider_exec", "spider_exec_keep_distinct", "bird_ex")
_QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/)""", re.DOTALL)
_SECONDS, _ROWS, _ORDERS = 30.0, 500_000, 5_000


class Ruling(NamedTuple):
    """An official verdict.

    Attributes:
        right: Whether the prediction is; ``None`` where the rules do not decide.
        why: Why there is no verdict.
    """

    right: bool | None
    why: str = ""


class OpenCase(Exception):  # noqa: N818  # it is no error
    """The rules do not say what is right."""


class Official:
    """The official verdicts on one database.

    Args:
        path: The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._plain = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._golds: dict[str, list[Row]] = {}

    def close(self) -> None:
        """Closes the file."""
        self._plain.close()

    def ruling(self, metric: str, gold: str, sql: str) -> Ruling:
        """What a metric says of a prediction."""
        spider, strip = metric.startswith("spider"), metric == "spider_exec"
        try:
            _one_statement(sql)
            wanted = self._gold(_without_distinct(gold) if strip else gold)
            try:
                found = self._rows(_without_distinct(sql) if strip else _joined(sql) if spider else sql)
            except sqlite3.Error:
                return Ruling(False)
            if not spider:
                return Ruling(set(wanted) == set(found))
            return Ruling(_same_bag(wanted, found, ordered="order by" in gold.lower()))
        except OpenCase as exc:
            return Ruling(None, str(exc))

    def _gold(self, sql: str) -> list[Row]:
        if sql not in self._golds:
            self._golds[sql] = self._rows(_joined(sql))
        return self._golds[sql]

    def _rows(self, sql: str) -> list[Row]:
        end = time.monotonic() + _SECONDS
        self._plain.set_progress_handler(lambda: time.monotonic() > end, 10_000)
        try:
            rows = list(islice(self._plain.execute(sql), _ROWS + 1))
        except sqlite3.OperationalError as exc:
            if str(exc) == "interrupted":
                raise OpenCase("it runs too long to be tried") from exc
            raise
        if len(rows) > _ROWS:
            raise OpenCase("it has too many rows to be compared")
        return rows


def _one_statement(sql: str) -> None:
    """The rules are for one query; the scripts do this and that with anything else."""
    words = "".join(part for part in _QUOTED.split(sql) if not part.startswith(("--", "/*")))
    statements = [each for each in words.split(";") if each.strip()]
    if not statements:
        raise OpenCase("there is no statement")
    if len(statements) > 1:
        raise OpenCase("there are two statements")
    if not re.match(r"\s*\(*\s*(select|with|values)\b", statements[0], re.IGNORECASE):
        raise OpenCase("it is no query")


def _joined(sql: str) -> str:
    return sql.replace("> =", ">=").replace("< =", "<=").replace("! =", "!=")


def _without_distinct(sql: str) -> str:
    parts = _QUOTED.split(_joined(sql))
    return "".join(
        part if place % 2 else re.sub(r"\bdistinct\b", "", part, flags=re.IGNORECASE)
        for place, part in enumerate(parts)
    )


def _same_bag(wanted: list[Row], found: list[Row], *, ordered: bool) -> bool:
    """Whether some order of the columns makes them the same rows, in the same order where that counts."""
    if not wanted and not found:
        return True
    if len(wanted) != len(found) or len(wanted[0]) != len(found[0]):
        return False
    columns, others = list(zip(*wanted, strict=True)), list(zip(*found, strict=True))
    like = [
        [
            place
            for place, other in enumerate(others)
            if (column == other if ordered else Counter(column) == Counter(other))
        ]
        for column in columns
    ]
    if prod(map(len, like)) > _ORDERS:
        raise OpenCase("its columns have too many orders to be tried")
    bag = Counter(wanted)
    return any(
        len(set(order)) == len(order)
        and (ordered or bag == Counter(zip(*(others[place] for place in order), strict=True)))
        for order in product(*like)
    )
