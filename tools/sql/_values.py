"""Values of a database that a question speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archloom.tools.sql._database import Database, Rows, SqlLimits
from archloom.tools.sql._render import quoted
from archloom.tools.sql._schema import ColumnRef, Schema

_TEXT = re.compile(r"char|text|clob|string|^$|^name$", re.IGNORECASE)
_LONGEST, _SHORT = 100, 4
_QUICK = SqlLimits(timeout_s=10.0)


@dataclass(frozen=True)
class ValueMatch:
    """A value like something in a question.

    Attributes:
        column: Where it stands.
        value: As it is stored.
        score: Similarity, out of 100.
    """

    column: ColumnRef
    value: str
    score: float


@dataclass(frozen=True)
class ValueIndex:
    """Distinct texts of a database, to be searched for what a question names.

    Attributes:
        places: Each value with its column.
        skipped: Columns that could not be read in time.
    """

    places: tuple[tuple[ColumnRef, str], ...]
    skipped: tuple[ColumnRef, ...]

    @classmethod
    def build(cls, database: Database, schema: Schema, *, per_column: int = 10_000) -> ValueIndex:
        """Reads the first ``per_column`` distinct texts of up to 100 characters of each text column."""
        places: list[tuple[ColumnRef, str]] = []
        skipped = []
        for table, column in schema.columns():
            if table.is_view or not _TEXT.search(column.type):
                continue
            ref = ColumnRef(table.name, column.name)
            result = database.execute(_query(ref, per_column), limits=_QUICK)
            if isinstance(result, Rows):
                places += [(ref, value) for (value,) in result.rows if isinstance(value, str) and value.strip()]
            else:
                skipped.append(ref)
        return cls(tuple(places), tuple(skipped))

    def search(self, question: str, *, limit: int = 5, cutoff: float = 85.0) -> tuple[ValueMatch, ...]:
        """The values most like a part of the question, best first, longer before shorter.

        Case does not count. A value of fewer than four characters must be there as a word of its own.
        """
        from rapidfuzz import fuzz, process

        asked = question.lower()
        found = process.extract(
            asked,
            [value.lower()[: len(asked)] for _, value in self.places],
            scorer=fuzz.partial_ratio,
            score_cutoff=cutoff,
            limit=None,
        )
        matches = [
            ValueMatch(*self.places[place], score)
            for value, score, place in found
            if len(value.strip()) >= _SHORT or re.search(rf"(?<!\w){re.escape(value.strip())}(?!\w)", asked)
        ]
        return tuple(sorted(matches, key=lambda each: (-each.score, -len(each.value), each.column, each.value))[:limit])


def _query(ref: ColumnRef, most: int) -> str:
    column = quoted(ref.column)
    return (
        f"SELECT DISTINCT {column} FROM {quoted(ref.table)} "
        f"WHERE {column} IS NOT NULL AND length({column}) BETWEEN 1 AND {_LONGEST} LIMIT {most}"
    )
