"""Exact set match, clause by clause, as Spider's own evaluation decides; and where it decides otherwise on purpose."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from archloom.tasks.text2sql import Gold, SqlScorer, sql_scorer

SCHEMA = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, value REAL);
CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer (id), title TEXT);
"""
NAMES = "SELECT name FROM singer"
JOINED = "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id"

AS_OFFICIALLY = {
    # gold, prediction, the verdict of Spider's evaluation.py with its process_sql.py on this database
    "select: other order": ("SELECT name, age FROM singer", "SELECT age, name FROM singer", 1),
    "select: column missing": ("SELECT name, age FROM singer", NAMES, 0),
    "select: other aggregate": ("SELECT max(age) FROM singer", "SELECT min(age) FROM singer", 0),
    "select: count of what": ("SELECT count(*) FROM singer", "SELECT count(id) FROM singer", 0),
    "select: distinct": (NAMES, "SELECT DISTINCT name FROM singer", 1),
    "select: column repeated": (NAMES, "SELECT name, name FROM singer", 0),
    "select: star": ("SELECT * FROM singer", "SELECT id, name, age, value FROM singer", 0),
    "from: other table": (NAMES, "SELECT name FROM song", 0),
    "from: other join condition": (JOINED, "SELECT T1.name FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.id", 1),
    "from: no join condition": (JOINED, "SELECT T1.name FROM singer AS T1 JOIN song AS T2", 1),
    "from: other order": (JOINED, "SELECT T2.name FROM song AS T1 JOIN singer AS T2 ON T2.id = T1.singer_id", 1),
    "from: table too many": (NAMES, JOINED, 0),
    "from: outer join": (JOINED, "SELECT T1.name FROM singer AS T1 LEFT JOIN song AS T2 ON T1.id = T2.singer_id", 0),
    "where: other value": (NAMES + " WHERE age > 25", NAMES + " WHERE age > 15", 1),
    "where: other operator": (NAMES + " WHERE age > 25", NAMES + " WHERE age >= 25", 0),
    "where: other column": (NAMES + " WHERE age > 25", NAMES + " WHERE id > 25", 0),
    "where: other order": (NAMES + " WHERE age = 1 AND id = 2", NAMES + " WHERE id = 2 AND age = 1", 1),
    "where: or for and": (NAMES + " WHERE age = 1 AND id = 2", NAMES + " WHERE age = 1 OR id = 2", 0),
    "where: condition missing": (NAMES + " WHERE age = 1 AND id = 2", NAMES + " WHERE age = 1", 0),
    "where: not": (NAMES + " WHERE name LIKE 'A%'", NAMES + " WHERE name NOT LIKE 'A%'", 0),
    "where: between": (NAMES + " WHERE age BETWEEN 1 AND 2", NAMES + " WHERE age BETWEEN 5 AND 6", 1),
    "where: between for two": (NAMES + " WHERE age BETWEEN 1 AND 2", NAMES + " WHERE age >= 1 AND age <= 2", 0),
    "where: value or column": (NAMES + " WHERE age = 3", NAMES + " WHERE age = id", 1),
    "where: value or subquery": (NAMES + " WHERE age = 3", NAMES + " WHERE age = (SELECT max(age) FROM singer)", 0),
    "where: spaced operator": (NAMES + " WHERE age >= 25", NAMES + " WHERE age > = 25", 1),
    "subquery: other value": (NAMES + " WHERE id IN (SELECT singer_id FROM song WHERE title = 'a')", NAMES + " WHERE id IN (SELECT singer_id FROM song WHERE title = 'b')", 1),
    "subquery: other column": (NAMES + " WHERE id IN (SELECT singer_id FROM song)", NAMES + " WHERE id IN (SELECT title FROM song)", 0),
    "group: column missing": ("SELECT age FROM singer GROUP BY age", "SELECT age FROM singer", 0),
    "group: other column": ("SELECT count(*) FROM singer GROUP BY age", "SELECT count(*) FROM singer GROUP BY name", 0),
    "group: other order": ("SELECT count(*) FROM singer GROUP BY age, name", "SELECT count(*) FROM singer GROUP BY name, age", 0),
    "group: column that a key joins": ("SELECT count(*) FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id GROUP BY T1.id", "SELECT count(*) FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id GROUP BY T2.singer_id", 1),
    "having: other value": ("SELECT age FROM singer GROUP BY age HAVING count(*) > 1", "SELECT age FROM singer GROUP BY age HAVING count(*) > 2", 1),
    "having: missing": ("SELECT age FROM singer GROUP BY age HAVING count(*) > 1", "SELECT age FROM singer GROUP BY age", 0),
    "having: other order": ("SELECT age FROM singer GROUP BY age HAVING count(*) > 1 AND max(id) > 1", "SELECT age FROM singer GROUP BY age HAVING max(id) > 1 AND count(*) > 1", 0),
    "order: missing": (NAMES + " ORDER BY age", NAMES, 0),
    "order: too many": (NAMES, NAMES + " ORDER BY age", 0),
    "order: asc is the default": (NAMES + " ORDER BY age", NAMES + " ORDER BY age ASC", 1),
    "order: direction": (NAMES + " ORDER BY age", NAMES + " ORDER BY age DESC", 0),
    "order: items in another order": (NAMES + " ORDER BY age, id", NAMES + " ORDER BY id, age", 0),
    "order: the last direction counts": (NAMES + " ORDER BY age ASC, id DESC", NAMES + " ORDER BY age DESC, id DESC", 1),
    "limit: other number": (NAMES + " ORDER BY age LIMIT 1", NAMES + " ORDER BY age LIMIT 3", 1),
    "limit: missing": (NAMES + " ORDER BY age LIMIT 1", NAMES + " ORDER BY age", 0),
    "limit: without order": (NAMES + " LIMIT 1", NAMES, 0),
    "set: other operator": (f"{NAMES} UNION {NAMES} WHERE age = 1", f"{NAMES} INTERSECT {NAMES} WHERE age = 1", 0),
    "set: union all": (f"{NAMES} UNION {NAMES} WHERE age = 1", f"{NAMES} UNION ALL {NAMES} WHERE age = 1", 0),
    "set: sides swapped": (f"{NAMES} EXCEPT {NAMES} WHERE age = 1", f"{NAMES} WHERE age = 1 EXCEPT {NAMES}", 0),
    "set: other value": (f"{NAMES} EXCEPT {NAMES} WHERE age = 1", f"{NAMES} EXCEPT {NAMES} WHERE age = 2", 1),
    "set: three": (f"{NAMES} UNION {NAMES} WHERE age = 1 UNION SELECT title FROM song", f"{NAMES} UNION {NAMES} WHERE age = 1", 0),
    "words: case": (NAMES + " WHERE name = 'a'", "select NAME from SINGER where NAME = 'a'", 1),
    "words: semicolon": (NAMES, NAMES + ";", 1),
    "words: column of no table": (NAMES, "SELECT nom FROM singer", 0),
    "words: no such table": (NAMES, NAMES + "s", 0),
}  # fmt: skip
OTHERWISE = {
    # gold, prediction, our verdict; the official one is the opposite, for a reason that docs/text2sql.md gives
    "select: alias": (NAMES, "SELECT name AS n FROM singer", 1),
    "from: comma": (JOINED + " WHERE T1.age = 3", "SELECT T1.name FROM singer AS T1, song AS T2 WHERE T1.age = 3", 1),
    "from: inner join": (JOINED, "SELECT T1.name FROM singer AS T1 INNER JOIN song AS T2 ON T1.id = T2.singer_id", 1),
    "from: alias without as": (JOINED, "SELECT T1.name FROM singer T1 JOIN song T2 ON T1.id = T2.singer_id", 1),
    "from: derived, other value": (f"SELECT count(*) FROM ({NAMES} WHERE age = 1)", f"SELECT count(*) FROM ({NAMES} WHERE age = 2)", 1),
    "where: not before": (NAMES + " WHERE name NOT LIKE 'A%'", NAMES + " WHERE NOT name LIKE 'A%'", 1),
    "where: not equal written otherwise": (NAMES + " WHERE age != 1", NAMES + " WHERE age <> 1", 1),
    "subquery: column that a key joins": (NAMES + " WHERE id IN (SELECT T2.singer_id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id)", NAMES + " WHERE id IN (SELECT T1.id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id)", 1),
    "subquery: distinct": (NAMES + " WHERE id IN (SELECT singer_id FROM song)", NAMES + " WHERE id IN (SELECT DISTINCT singer_id FROM song)", 1),
    "subquery: conditions in another order": (NAMES + " WHERE id IN (SELECT singer_id FROM song WHERE id = 1 AND title = 'a')", NAMES + " WHERE id IN (SELECT singer_id FROM song WHERE title = 'a' AND id = 1)", 1),
    "words: comment": (NAMES, NAMES + " -- all", 1),
    "words: two statements": (NAMES, NAMES + "; SELECT 1", 0),
    "words: cut off after limit": (NAMES + " LIMIT 1", NAMES + " LIMIT (", 0),
    "words: brackets": (NAMES + " WHERE age = 1 AND id = 2", NAMES + " WHERE (age = 1 AND id = 2)", 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> SqlScorer:
    """Of one database without rows: nothing is run on it."""
    path = tmp_path_factory.mktemp("concert") / "concert.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return sql_scorer("exact_set_match", {"concert": (str(path),)})


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [pytest.param(*case, id=name) for cases in (AS_OFFICIALLY, OTHERWISE) for name, case in cases.items()],
)
def test_exact_set_match(scorer: SqlScorer, gold: str, given: str, score: int) -> None:
    assert scorer.verdict(given, Gold("concert", (gold,))).score == score
