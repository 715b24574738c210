"""A small shop database, made anew for each test."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from archloom.tools.sql import QueryPool, SQLiteDatabase

SHOP = """
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "zip code" TEXT);
CREATE TABLE shop (id INTEGER PRIMARY KEY, city_id INTEGER REFERENCES city, title TEXT, opened DATE, turnover REAL);
CREATE TABLE sale (shop_id INTEGER, day INTEGER, amount REAL, PRIMARY KEY (shop_id, day),
                   FOREIGN KEY (shop_id) REFERENCES shop (id));
CREATE VIEW big AS SELECT title FROM shop WHERE turnover > 10;
INSERT INTO city VALUES (1, 'Paris', '75000'), (2, 'Rome', '00100'), (3, 'Saint-Denis', NULL);
INSERT INTO shop VALUES (1, 1, 'Au Bon Pain', '2001-01-01', 20.0), (2, 2, 'Forno', '2011-05-01', 7.5);
INSERT INTO sale VALUES (1, 1, 2.5), (1, 2, 3.5), (2, 1, 4);
"""


@pytest.fixture(scope="session")
def pool() -> Iterator[QueryPool]:
    workers = QueryPool(2)
    yield workers
    workers.close()


@pytest.fixture
def make(tmp_path: Path, pool: QueryPool) -> Callable[..., SQLiteDatabase]:
    def make_database(script: str, name: str = "made.sqlite") -> SQLiteDatabase:
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(script)
        return SQLiteDatabase(tmp_path / name, pool=pool)

    return make_database


@pytest.fixture
def shop(make: Callable[..., SQLiteDatabase]) -> SQLiteDatabase:
    return make(SHOP, "shop.sqlite")
