"""A folder in Spider's layout with one small database, and one in which everything is wrong."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

SCHEMA = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, value REAL);
CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer (id), title TEXT);
"""
ROWS = """
INSERT INTO singer VALUES (1, 'Ada', 30, 1.5), (2, 'Bo', 20, NULL), (3, 'Cy', 20, 2.5);
INSERT INTO song VALUES (1, 1, 'Hey'), (2, 1, 'Oh'), (3, 2, 'Hey');
"""
MakeDatabase = Callable[..., Path]


@pytest.fixture
def database(tmp_path: Path) -> MakeDatabase:
    """Makes ``database/ID/NAME.sqlite`` from a script."""

    def make(place: str, script: str = SCHEMA + ROWS) -> Path:
        path = tmp_path / "database" / f"{place}.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        return path

    return make


@pytest.fixture
def spider(tmp_path: Path, database: MakeDatabase) -> Callable[..., Path]:
    """Makes a Spider folder with these (database, question, query) and the database ``concert``."""

    def make(*questions: tuple[str, str, str]) -> Path:
        database("concert/concert", SCHEMA + ROWS)
        entries = [dict(zip(("db_id", "question", "query"), each, strict=True)) for each in questions]
        (tmp_path / "dev.json").write_text(json.dumps(entries))
        return tmp_path

    return make
