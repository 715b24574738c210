"""Pruning and verifying a store."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from pathlib import Path

import pytest

from archloom.nodes import FailedSample, Sample, TokenLogprob
from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models import Address, SQLiteStore, prune_store, verify_store

DAY_S = 86400.0
QUESTIONS = {name: b'{"model":"%b"}' % name.encode() for name in ("a", "b", "c")}
KEYS = {name: hashlib.sha256(question).hexdigest() for name, question in QUESTIONS.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Samples of two models; ``b`` has one that is ten days old, ``c`` has failures alone."""
    path = tmp_path / "samples.db"
    store = SQLiteStore(path)

    async def fill() -> None:
        for name, count in (("a", 4), ("b", 3)):
            for index in range(count):
                sample = Sample("text " * 2000, "stop", 5, 6, 0.5, index=index, tokens=(TokenLogprob("t", -0.5),))
                await store.put(Address(KEYS[name], 0, index), name, sample, question=QUESTIONS[name])
        await store.fail(Address(KEYS["c"], 0, 0), "b", FailedSample("timeout", "late"), question=QUESTIONS["c"])

    asyncio.run(fill())
    store.close()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE samples SET created = ? WHERE model = 'b' AND idx = 2", (time.time() - 10 * DAY_S,))
    connection.close()
    return path


def content(path: Path) -> tuple[int, int, int]:
    connection = sqlite3.connect(path)
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
              for table in ("samples", "failures", "questions")]  # fmt: skip
    connection.close()
    return counts[0], counts[1], counts[2]


@pytest.mark.parametrize(
    ("model", "days", "removed"),
    [
        ("a", None, (4, 0, 1)),
        ("b", None, (3, 1, 2)),
        ("b", 9.0, (1, 0, 0)),
        (None, 9.0, (1, 0, 0)),
        (None, 11.0, (0, 0, 0)),
        ("a", 9.0, (0, 0, 0)),
        ("nobody", None, (0, 0, 0)),
    ],
    ids=["a model", "with its failures", "old ones of a model", "old ones", "none is so old", "none of both", "nobody"],
)
def test_what_fits_is_removed_with_questions_that_nothing_is_left_of(
    path: Path, model: str | None, days: float | None, removed: tuple[int, int, int]
) -> None:
    older = None if days is None else days * DAY_S
    before = content(path)
    assert prune_store(path, model=model, older_than_s=older, dry_run=True) == (*removed, 0)
    assert content(path) == before
    assert prune_store(path, model=model, older_than_s=older)[:3] == removed
    assert content(path) == tuple(had - gone for had, gone in zip(before, removed, strict=True))
    assert list(verify_store(path)) == []


def test_the_file_gets_smaller_by_what_it_says(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = path.stat().st_size
    freed = prune_store(path, model="a").freed_bytes
    assert freed > 30_000
    assert path.stat().st_size == before - freed


def test_who_has_the_store_open_goes_on(path: Path) -> None:
    store = SQLiteStore(path)
    assert store.get(Address(KEYS["a"], 0, 0)) is not None
    prune_store(path, model="a")
    assert store.get(Address(KEYS["a"], 0, 0)) is None
    kept = store.get(Address(KEYS["b"], 0, 0))
    assert kept is not None
    assert asyncio.run(store.put(Address(KEYS["a"], 0, 0), "a", kept, question=QUESTIONS["a"])) == kept
    assert store.question(KEYS["a"]) == QUESTIONS["a"]
    store.close()
    assert list(verify_store(path)) == []


@pytest.mark.parametrize(
    ("damage", "where", "what"),
    [
        ("UPDATE questions SET content = '{}' WHERE key = '{a}'", "{a}", "another digest"),
        ("UPDATE questions SET content = x'00ff' WHERE key = '{a}'", "{a}", "cannot be read"),
        ("UPDATE questions SET content = 7 WHERE key = '{a}'", "{a}", "cannot be read"),
        ("DELETE FROM samples WHERE model = 'a'", "{a}", "without samples"),
        ("INSERT INTO failures SELECT key, 0, 0, model, 0, 'e', 'm' FROM samples WHERE idx = 3", "{a}/0/0", "where a sam"),
        ("UPDATE samples SET finish = 'content_filter' WHERE idx = 3", "{a}/0/3", "finish is 'content_filter'"),
        ("UPDATE samples SET tokens_in = -1 WHERE idx = 3", "{a}/0/3", "tokens_in is -1"),
        ("UPDATE samples SET tokens_out = 'many' WHERE idx = 3", "{a}/0/3", "tokens_out is 'many'"),
        ("UPDATE samples SET latency_s = 9e999 WHERE idx = 3", "{a}/0/3", "latency_s is inf"),
        ("UPDATE samples SET latency_s = 'long' WHERE idx = 3", "{a}/0/3", "cannot be read"),
        ("UPDATE samples SET tokens = '[[' WHERE idx = 3", "{a}/0/3", "cannot be read"),
        ("UPDATE samples SET idx = -1 WHERE idx = 3", "{a}/0/-1", "a negative place"),
    ],
    ids=[
        "question", "packed question", "no question", "orphan", "hidden failure", "finish", "tokens", "text for tokens",
        "endless", "text for time", "log-probabilities", "place",
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_found(path: Path, damage: str, where: str, what: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(damage.replace("{a}", KEYS["a"]))
    connection.close()
    [flaw] = verify_store(path)
    assert flaw.where == where.replace("{a}", KEYS["a"])
    assert what in flaw.what


def test_damaged_pages_are_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    pages = bytearray(path.read_bytes())
    for start in range(3 * 4096, len(pages), 4096):
        pages[start : start + 64] = b"\x55" * 64
    path.write_bytes(pages)
    assert {flaw.where for flaw in verify_store(path)} >= {"file"}


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all\n" * 100)
    with pytest.raises(StoreError, match="not a database"):
        list(verify_store(tmp_path / "x.db"))
    with pytest.raises(StoreError, match="not a database"):
        prune_store(tmp_path / "x.db", model="m")
