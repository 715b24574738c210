"""The sample stores: what is in them stays, whatever happens to the processes that write."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archloom.nodes import FailedSample, Sample, TokenLogprob
from archloom.orchestrator.errors import StoreError
from archloom.orchestrator.models import Address, MemoryStore, SQLiteStore, export_samples, import_samples
from archloom.testing._stores import OpenStore, StoreConformance

WRITER = """
import asyncio, sys
from archloom.nodes import Sample
from archloom.orchestrator.models import Address, SQLiteStore

path, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = SQLiteStore(path)

async def keep(index):
    own = Sample(f"{who} {index}", "stop", 1, 2, 0.5, index=index)
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
        assert store.get(Address("a", 0, index)) == Sample(f"a {index}", "stop", 1, 2, 0.5, index=index)
    store.close()


@pytest.mark.slow
def test_processes_that_write_one_file_lose_nothing_and_agree(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    children = {who: writer(path, who, 80) for who in "abc"}
    told = {who: child.communicate()[0].splitlines() for who, child in children.items()}
    assert [child.returncode for child in children.values()] == [0, 0, 0]
    store = SQLiteStore(path)
    for who, lines in told.items():
        assert len(lines) == 80
        for index in range(80):
            assert store.get(Address(who, 0, index)) == Sample(f"{who} {index}", "stop", 1, 2, 0.5, index=index)
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


OLD = """
CREATE TABLE samples (
    key TEXT NOT NULL, stream INTEGER NOT NULL, idx INTEGER NOT NULL,
    model TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, latency_s REAL NOT NULL, logprob REAL,
    created REAL NOT NULL,
    PRIMARY KEY (key, stream, idx)
) WITHOUT ROWID;
PRAGMA journal_mode=WAL;
PRAGMA user_version=1;
"""
OLD_SAMPLES = [Sample(f"text {i}", "stop", 3, 4, 0.5, -0.25 if i % 2 else None, index=i) for i in range(500)]
MIGRATION = """
import os, signal, sqlite3, sys
from archloom.orchestrator.models import SQLiteStore

steps, deadly, connecting = 0, int(sys.argv[2]), []

def step():
    global steps
    steps += 1
    if steps == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

def watch(event, values):
    if event == "sqlite3.connect/handle":
        connecting.append(values[0])

def connected(frame, event, argument):
    if event == "c_return" and argument is sqlite3.connect:
        connecting.pop().set_progress_handler(step, 20)

sys.addaudithook(watch)
sys.setprofile(connected)
SQLiteStore(sys.argv[1]).close()
print(steps)
"""


def old_store(path: Path) -> Path:
    """A store as the first version wrote it, with one sample that was filtered."""
    connection = sqlite3.connect(path)
    connection.executescript(OLD)
    row = "INSERT INTO samples VALUES ('k', ?, ?, 'm', ?, ?, ?, ?, ?, ?, 7.0)"
    with connection:
        for old in OLD_SAMPLES:
            values = (old.text, old.finish, old.tokens_in, old.tokens_out, old.latency_s, old.logprob)
            connection.execute(row, (0, old.index, *values))
        connection.execute(row, (1, 3, "", "content_filter", 3, 0, 0.5, None))
    connection.close()
    return path


def assert_is_migrated(store: SQLiteStore) -> None:
    assert [store.get(Address("k", 0, i)) for i in range(500)] == OLD_SAMPLES
    assert store.question("k") is None
    assert store.get(Address("k", 1, 3)) is None
    failed = store.failure(Address("k", 1, 3))
    assert failed is not None
    assert (failed.error, failed.index) == ("content_filter", 3)
    store.close()


async def test_a_store_of_the_first_version_is_read_and_extended(tmp_path: Path) -> None:
    path = old_store(tmp_path / "samples.db")
    store = SQLiteStore(path)
    new = Sample("new", "stop", 1, 1, 1.0, reasoning="why", index=500)
    assert await store.put(Address("k", 0, 500), "m", new, question=b"{}") == new
    store.close()
    store = SQLiteStore(path)
    assert store.get(Address("k", 0, 500)) == new
    assert store.question("k") == b"{}"
    store.close()


def test_what_the_first_version_wrote_means_the_same(tmp_path: Path) -> None:
    assert_is_migrated(SQLiteStore(old_store(tmp_path / "samples.db")))


@pytest.mark.slow
def test_a_kill_in_the_middle_of_the_migration_leaves_one_version_or_the_other(tmp_path: Path) -> None:
    def migrate(path: Path, deadly: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MIGRATION, str(old_store(path)), str(deadly)]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)

    steps = int(migrate(tmp_path / "whole.db", -1).stdout)
    assert steps > 100
    for part in (0.3, 0.9, 0.99):
        path = tmp_path / f"{part}.db"
        assert migrate(path, round(part * steps)).returncode == -9
        connection = sqlite3.connect(path)
        [version] = connection.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        columns = len(connection.execute("PRAGMA table_info(samples)").fetchall())
        connection.close()
        assert (version, tables, columns) in [
            (1, {"samples"}, 11),
            (2, {"samples", "failures", "questions"}, 17),
        ]
        assert_is_migrated(SQLiteStore(path))


async def test_an_old_store_may_be_opened_many_times_at_once(tmp_path: Path) -> None:
    path = old_store(tmp_path / "samples.db")
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(asyncio.to_thread(lambda: SQLiteStore(path).close()))
    assert_is_migrated(SQLiteStore(path))


def test_processes_that_open_an_old_store_at_once_all_succeed(tmp_path: Path) -> None:
    path = old_store(tmp_path / "samples.db")
    children = [writer(path, who, 8) for who in "ab"]
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [0, 0]
    assert_is_migrated(SQLiteStore(path))


async def test_a_table_that_sqlite_made_itself_is_no_stranger(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    SQLiteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("ANALYZE")
    connection.close()
    SQLiteStore(path).close()


async def test_threads_may_read_at_once_and_get_what_they_ask_for(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "samples.db")
    await _fill(store, 0)

    def read() -> list[int]:
        found = (store.get(Address("k", 0, index % 20)) for index in range(4000))
        return [sample.index for sample in found if sample is not None]

    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(asyncio.to_thread(read)) for _ in range(4)]
    assert all(done.result() == [index % 20 for index in range(4000)] for done in reads)
    store.close()


async def _fill(store: SQLiteStore, stream: int) -> None:
    for index in range(20):
        await store.put(Address("k", stream, index), "m", Sample("text", "stop", 1, 1, 1.0, index=index))


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


BROKEN = "half of a pair: \ud83e"


@pytest.mark.parametrize(
    "write",
    [
        lambda store, address: store.put(address, "m", Sample(BROKEN, "stop", 1, 1, 1.0)),
        lambda store, address: store.put(address, "m", Sample("t", "stop", 1, 1, 1.0, reasoning=BROKEN), replace=True),
        lambda store, address: store.put(address, "m", Sample("t", "stop", 1, 1, 1.0, tool_calls=({"a": BROKEN},))),
        lambda store, address: store.put(address, "m", Sample("t", "stop", 1, 1, 1.0, tool_calls=({"a": {1}},))),
        lambda store, address: store.put(address, "m", Sample("t", "stop", 2**70, 1, 1.0)),
        lambda store, address: store.put(address, "m", Sample("t", "stop", 1, 1, float("nan"))),
        lambda store, address: store.put(address, "m", Sample("t", "stop", 1, 1, 1.0), question=b"\xff" * 5000),
        lambda store, address: store.fail(address, "m", FailedSample("server", BROKEN)),
    ],
    ids=["text", "reasoning", "a tool call", "no JSON", "a huge number", "no number", "question", "failure"],
)
async def test_what_cannot_be_written_is_refused_and_hurts_no_other(
    tmp_path: Path, write: Callable[[SQLiteStore, Address], Awaitable[object]]
) -> None:
    store = SQLiteStore(tmp_path / "samples.db")
    good = [Sample("good", "stop", 1, 1, 1.0, index=index) for index in range(3)]

    async def refused() -> None:
        with pytest.raises(StoreError, match=r"samples\.db: .*cannot be written"):
            await write(store, Address("bad", 0, 0))

    async with asyncio.TaskGroup() as group:
        for sample in good:
            group.create_task(refused())
            group.create_task(store.put(Address("k", 0, sample.index), "m", sample))
    assert [store.get(Address("k", 0, index)) for index in range(3)] == good
    assert store.get(Address("bad", 0, 0)) is None
    store.close()


async def test_a_closed_store_refuses_to_keep_anything(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "samples.db")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.put(Address("k", 0, 0), "m", Sample("text", "stop", 1, 1, 1.0))
    with pytest.raises(StoreError, match="closed"):
        await store.fail(Address("k", 0, 0), "m", FailedSample("timeout", "too late"))
    with pytest.raises(StoreError, match="cannot be read"):
        store.get(Address("k", 0, 0))


async def test_a_put_that_waits_wakes_no_closed_loop(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "samples.db")

    async def leave() -> None:
        asyncio.ensure_future(store.put(Address("left", 0, 0), "m", Sample("text", "stop", 1, 1, 1.0)))  # noqa: RUF006
        await asyncio.sleep(0)

    for _ in range(5):
        await asyncio.to_thread(asyncio.run, leave())
    good = Sample("good", "stop", 1, 1, 1.0)
    assert await store.put(Address("k", 0, 0), "m", good) == good
    store.close()


_BITS = st.floats(allow_nan=False)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_TOKENS = st.lists(
    st.builds(TokenLogprob, _TEXT, _BITS.filter(lambda x: x < math.inf), st.just(()) | st.just((("a", -math.inf),)))
).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Sample,
        text=_TEXT,
        finish=st.sampled_from(["stop", "length", "tool_calls", "empty"]),
        tokens_in=st.integers(0, 2**62),
        tokens_out=st.integers(0, 2**62),
        latency_s=st.floats(0, 1e9),
        logprob=st.none() | _BITS,
        estimated=st.booleans(),
        reasoning=st.none() | _TEXT,
        tool_calls=st.lists(st.dictionaries(_TEXT, _TEXT | st.integers(-(2**60), 2**60) | st.none())).map(tuple),
        tokens=_TOKENS,
        prompt_tokens=_TOKENS,
        model=st.none() | _TEXT,
    )
)
def test_any_sample_comes_back_from_the_store_and_from_an_archive(any_store: SQLiteStore, sample: Sample) -> None:
    address = Address("k", 0, 0)
    asyncio.run(any_store.put(address, "m", sample, replace=True))
    assert any_store.get(address) == sample
    archive = any_store.path.with_name("a.jsonl")
    export_samples(any_store.path, archive)
    copy = any_store.path.with_name("copy.db")
    copy.unlink(missing_ok=True)
    assert import_samples(copy, archive) == (1, 0, 0)
    store = SQLiteStore(copy)
    assert store.get(address) == sample
    store.close()


@pytest.fixture(scope="module")
def any_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path_factory.mktemp("any") / "samples.db")
    yield store
    store.close()
