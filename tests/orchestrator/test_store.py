"""The sample stores: what is in them stays, whatever happens to the processes that write."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from archloom.nodes import Sample
from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models import Address, MemoryStore, SQLiteStore
from archloom.testing._stores import OpenStore, StoreConformance

WRITER = """
import asyncio, sys
from archloom.nodes import Sample
from archloom.orchestrator.models import Address, SQLiteStore

path, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = SQLiteStore(path)

async def keep(index):
    own = Sample(f"{who} {index}", "stop", 1, 2, 0.5, index)
    await store.put(Address(who, 0, index), "m", own)
    shared = await store.put(Address("shared", 0, index), "m", own)
    print(index, shared.text, flush=True)

async def main():
    for start in range(0, count, 8):
        async with asyncio.TaskGroup() as group:
            for index in range(start, start + 8):
                group.create_task(keep(index))

asyncio.run(main())
store.close()
"""


def writer(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), who, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class TestMemoryStore(StoreConformance):
    persistent = False

    @pytest.fixture
    def open_store(self) -> OpenStore:
        return MemoryStore


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: SQLiteStore(tmp_path / "new folder" / "samples.db")


@pytest.mark.parametrize("lines", [1, 13, 90])
def test_a_kill_loses_no_sample_whose_put_returned(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "samples.db"
    child = writer(path, "a", 1_000_000)
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(lines)]
    child.kill()
    told += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    finished = [int(line.split()[0]) for line in told if line.endswith("\n")]
    assert len(finished) >= lines
    store = SQLiteStore(path)
    for index in finished:
        assert store.get(Address("a", 0, index)) == Sample(f"a {index}", "stop", 1, 2, 0.5, index)
    store.close()


def test_processes_that_write_one_file_lose_nothing_and_agree(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    children = {who: writer(path, who, 80) for who in "abc"}
    told = {who: child.communicate()[0].splitlines() for who, child in children.items()}
    assert [child.returncode for child in children.values()] == [0, 0, 0]
    store = SQLiteStore(path)
    for who, lines in told.items():
        assert len(lines) == 80
        for index in range(80):
            assert store.get(Address(who, 0, index)) == Sample(f"{who} {index}", "stop", 1, 2, 0.5, index)
    for index in range(80):
        kept = store.get(Address("shared", 0, index))
        assert kept is not None
        assert {line for lines in told.values() for line in lines if line.startswith(f"{index} ")} == {
            f"{index} {kept.text}"
        }
    store.close()


async def test_threads_that_open_one_new_file_at_once_all_may_write(tmp_path: Path) -> None:
    def work(stream: int) -> None:
        store = SQLiteStore(tmp_path / "samples.db")
        asyncio.run(_fill(store, stream))
        store.close()

    async with asyncio.TaskGroup() as group:
        for stream in range(8):
            group.create_task(asyncio.to_thread(work, stream))
    store = SQLiteStore(tmp_path / "samples.db")
    assert store.stats() == [("m", 160, 160, 160, 160.0)]
    store.close()


async def _fill(store: SQLiteStore, stream: int) -> None:
    for index in range(20):
        await store.put(Address("k", stream, index), "m", Sample("text", "stop", 1, 1, 1.0, index))


def _newer(path: Path) -> None:
    SQLiteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def _somebody_elses(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE accounts (id INTEGER)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_newer, "format 99"),
        (_somebody_elses, "something else"),
        (lambda path: path.write_bytes(b"no database at all\n" * 100), "not a database"),
        (lambda path: path.mkdir(), "unable to open"),
        (lambda path: path.parent.joinpath("samples.db").symlink_to("/dev/null/x"), "Not a directory|unable to open"),
    ],
    ids=["newer version", "another database", "no database", "a folder", "nowhere"],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, make, told: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "samples.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match=told) as caught:
        SQLiteStore(path)
    assert str(path) in caught.value.message
    assert "--store" in str(caught.value.hint)
    assert before == (path.read_bytes() if path.is_file() else None)


async def test_a_file_that_is_damaged_later_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    store = SQLiteStore(path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE samples")
    connection.close()
    with pytest.raises(StoreError, match="cannot be read"):
        store.get(Address("k", 0, 0))
    with pytest.raises(StoreError, match="cannot be written"):
        await store.put(Address("k", 0, 0), "m", Sample("text", "stop", 1, 1, 1.0))
    store.close()


async def test_a_text_that_is_not_unicode_is_refused_and_hurts_no_other(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "samples.db")
    good = Sample("good", "stop", 1, 1, 1.0, index=1)
    broken = Sample("half of a pair: \ud83e", "stop", 1, 1, 1.0)
    with pytest.raises(StoreError, match="cannot be written"):
        await store.put(Address("k", 0, 0), "m", broken)
    assert await store.put(Address("k", 0, 1), "m", good) == good
    store.close()


async def test_a_closed_store_refuses_to_keep_anything(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "samples.db")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.put(Address("k", 0, 0), "m", Sample("text", "stop", 1, 1, 1.0))
