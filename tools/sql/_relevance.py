"""Which tables and columns a question is about, by their names."""

from __future__ import annotations

import re

from archloom.tools.sql._schema import ColumnRef, Schema

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_RELEVANT = 75.0
"""Similarity of names, out of 100, from which a table counts as asked for; a plural has about 90."""


class Relevance:
    """How much of each name occurs in a question, from 0 to 100.

    Attributes:
        tables: By name of the table: its own name's, or that of its best column when it is higher.
        columns: By column.
        wanted: Tables to show first: those the question speaks of, and those that link two of them.
    """

    def __init__(self, schema: Schema, question: str) -> None:
        words = [word.lower() for word in _WORD.findall(question)]
        self.columns = {
            ColumnRef(table.name, column.name): _similarity(column.name, words) for table, column in schema.columns()
        }
        self.tables = {
            table.name: max(
                _similarity(table.name, words),
                *(
                    self.columns[ColumnRef(table.name, each.name)]
                    for each in table.columns
                    if each.name not in table.keys
                ),
                0.0,
            )
            for table in schema.tables
        }
        found = {name for name, value in self.tables.items() if value >= _RELEVANT}
        links = {
            table.name
            for table in schema.tables
            if len(found.intersection(key.table for key in table.foreign_keys) - {table.name}) > 1
        }
        self.wanted = frozenset(found | links) if words else frozenset(self.tables)


def _similarity(name: str, words: list[str]) -> float:
    from rapidfuzz import fuzz, process

    parts = [part.lower() for part in _WORD.findall(name)]
    best = [process.extractOne(part, words, scorer=fuzz.ratio) for part in parts]
    return sum(match[1] for match in best if match) / len(parts) if parts else 0.0
