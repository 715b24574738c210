"""Archives of stores: the same bytes for the same content, all or nothing, and nothing that was tampered with."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.models import Address, Entry, SQLiteStore, export_samples, import_samples
from archloom.tools.errors import UsageError

QUESTIONS = [b'{"model":"m%d","content":"%b"}' % (i, b"word " * i * 400) for i in range(3)]
KEYS = [hashlib.sha256(question).hexdigest() for question in QUESTIONS]
ENTRIES = sorted(
    [
        *(Entry(Address(k, s, i), "m" if k != KEYS[2] else "n", Sample(f"{k[:3]} {s} {i}", "stop", 5, 6, 0.5, index=i))
          for k in KEYS for s in range(2) for i in range(3)),
        Entry(Address(KEYS[0], 1, 7), "m", FailedSample("timeout", "too late", index=7)),
        Entry(Address(KEYS[1], 0, 1 << 33), "m", Sample("2" * 3000, "length", 5, 6, 0.5, index=1 << 33, model="other")),
    ]
)  # fmt: skip
ASKED = dict(zip(KEYS, QUESTIONS, strict=True))


def store_of(path: Path, entries: Iterable[Entry]) -> Path:
    """A store that was filled in this order."""
    store = SQLiteStore(path)

    async def fill() -> None:
        for address, model, result, _ in entries:
            if isinstance(result, Sample):
                await store.put(address, model, result, question=ASKED[address.key])
            else:
                await store.fail(address, model, result, question=ASKED[address.key])

    asyncio.run(fill())
    store.close()
    return path


def entries_of(path: Path) -> list[Entry]:
    store = SQLiteStore(path)
    try:
        return list(store.entries())
    finally:
        store.close()


@pytest.fixture
def full(tmp_path: Path) -> Path:
    return store_of(tmp_path / "full.db", ENTRIES)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "new folder/a.gz"])
def test_what_is_exported_and_imported_is_the_same(tmp_path: Path, full: Path, name: str) -> None:
    done = export_samples(full, tmp_path / name)
    assert done[:3] == (19, 1, 3)
    assert import_samples(tmp_path / "copy.db", tmp_path / name) == (20, 0, 0)
    assert entries_of(tmp_path / "copy.db") == entries_of(full)
    assert [entry[:3] for entry in entries_of(full)] == [entry[:3] for entry in ENTRIES]
    assert {entry.address.key: entry.question for entry in entries_of(full) if entry.question} == ASKED
    assert import_samples(tmp_path / "copy.db", tmp_path / name) == (0, 20, 0), "the second time adds nothing"


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_the_bytes_depend_on_nothing_but_the_content(tmp_path: Path, full: Path, name: str) -> None:
    other = store_of(tmp_path / "other.db", reversed(ENTRIES))
    done, again = export_samples(full, tmp_path / "1" / name), export_samples(other, tmp_path / "2" / name)
    assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert done == again
    if name.endswith(".gz"):
        assert (tmp_path / "1" / name).read_bytes()[3:8] == bytes(5), "neither a name nor a time"
    assert [path.name for path in (tmp_path / "1").iterdir()] == [name], "nothing else is left behind"


def test_each_question_is_written_once(tmp_path: Path, full: Path) -> None:
    export_samples(full, tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()[1:]]
    assert [line["question"].encode() for line in lines if "question" in line] == [ASKED[key] for key in sorted(KEYS)]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"model": "n"}, lambda entry: entry.model == "n"),
        ({"key": KEYS[0][:9]}, lambda entry: entry.address.key == KEYS[0]),
        ({"key": KEYS[0], "model": "n"}, lambda entry: False),
        ({"model": "'"}, lambda entry: False),
        ({"key": "%"}, lambda entry: False),
    ],
    ids=["model", "key", "both", "a quote", "a pattern"],
)
def test_an_export_may_be_a_part(
    tmp_path: Path, full: Path, options: dict[str, str], kept: Callable[[Entry], bool]
) -> None:
    export_samples(full, tmp_path / "a.jsonl", **options)
    import_samples(tmp_path / "part.db", tmp_path / "a.jsonl")
    assert [entry[:3] for entry in entries_of(tmp_path / "part.db")] == [e[:3] for e in ENTRIES if kept(e)]


def test_the_first_written_wins(tmp_path: Path, full: Path) -> None:
    place = Address(KEYS[0], 0, 0)
    own, failed = Sample("own", "stop", 1, 1, 1.0), FailedSample("server", "own", index=7)
    sampled = Sample("came later", "stop", 1, 1, 1.0, index=7)
    export_samples(full, tmp_path / "a.jsonl")

    store_of(tmp_path / "b.db", [Entry(place, "m", own), Entry(Address(KEYS[0], 1, 7), "m", failed)])
    assert import_samples(tmp_path / "b.db", tmp_path / "a.jsonl") == (18, 0, 2)
    held = {entry.address: entry.result for entry in entries_of(tmp_path / "b.db")}
    assert (held[place], held[Address(KEYS[0], 1, 7)]) == (own, failed)

    store_of(tmp_path / "c.db", [Entry(Address(KEYS[0], 1, 7), "m", sampled)])
    assert import_samples(tmp_path / "c.db", tmp_path / "a.jsonl") == (19, 1, 0), "a failure adds nothing to a sample"
    assert {entry.address: entry.result for entry in entries_of(tmp_path / "c.db")}[Address(KEYS[0], 1, 7)] == sampled


def test_an_imported_sample_ends_a_failure(tmp_path: Path, full: Path) -> None:
    place = ENTRIES[0].address
    export_samples(full, tmp_path / "a.jsonl")
    store_of(tmp_path / "b.db", [Entry(place, "m", FailedSample("server", "own"))])
    assert import_samples(tmp_path / "b.db", tmp_path / "a.jsonl") == (20, 0, 0)
    assert entries_of(tmp_path / "b.db") == entries_of(full)


def _resealed(line: bytes) -> bytes:
    """A line that was changed by somebody who knows how lines are sealed."""
    content = line[:-26].replace(b'"tokens_in":5', b'"tokens_in":4') + b"}"
    return content[:-1] + b',"sum":"%b"}' % hashlib.sha256(content).hexdigest()[:16].encode()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: [*lines[:6], lines[6][:40]], r":7: cut short"),
        (lambda lines: lines[:6], r":6: ends here, after 5 entries; line 1 promises 20"),
        (lambda lines: lines[:-1], r":20: ends here, after 19"),
        (lambda lines: lines[1:], r":1: no header"),
        (lambda lines: [], r":1: no header"),
        (lambda lines: [*lines, lines[-1]], r":22: ends here, after 21"),
        (lambda lines: [*lines[:4], *lines[3:-1]], r":1: its digest is not that of lines 2 to 21"),
        (lambda lines: [*lines[:4], lines[4].replace(b'"tokens_in":5', b'"tokens_in":4'), *lines[5:]], r":5: cut"),
        (lambda lines: [*lines[:4], _resealed(lines[4]), *lines[5:]], r":1: its digest"),
        (lambda lines: [*lines[:4], b"", *lines[4:]], r":5: cut short"),
        (lambda lines: [lines[0].replace(b'"archloom_samples":1', b'"archloom_samples":9'), *lines[1:]], r":1: no head"),
        (lambda lines: [b"\xff\xfe", *lines], r":1: no header"),
    ],
    ids=[
        "half a line", "half a file", "last line", "no header", "nothing", "a line twice", "a line for another",
        "a changed number", "a changed and sealed number", "an empty line", "a newer format", "bytes",
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_damaged_archive_is_refused_and_nothing_is_imported(
    tmp_path: Path, full: Path, damage: Callable[[list[bytes]], list[bytes]], told: str, packed: bool
) -> None:
    path = tmp_path / "a.jsonl"
    export_samples(full, path)
    damaged = b"".join(line + b"\n" for line in damage(path.read_bytes().splitlines()))
    path.write_bytes(gzip.compress(damaged) if packed else damaged)
    store = store_of(tmp_path / "b.db", ENTRIES[:2])
    before = entries_of(store)
    with pytest.raises(UsageError, match=told) as caught:
        import_samples(store, path)
    assert "Nothing was imported" in str(caught.value.hint)
    assert entries_of(store) == before
    with pytest.raises(UsageError):
        import_samples(tmp_path / "new.db", path)
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_compressed_archive_that_is_cut_is_refused(tmp_path: Path, full: Path, share: float) -> None:
    path = tmp_path / "a.jsonl.gz"
    export_samples(full, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UsageError, match=r"a\.jsonl\.gz:\d+: "):
        import_samples(tmp_path / "new.db", path)


def test_a_failed_export_leaves_the_file_that_was_there(tmp_path: Path, full: Path) -> None:
    export_samples(full, tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    full.write_bytes(b"no database at all\n" * 100)
    with pytest.raises(Exception, match="not a database"):
        export_samples(full, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_what_is_added_in_bulk_is_all_or_nothing(tmp_path: Path) -> None:
    def broken() -> Iterable[Entry]:
        yield from ENTRIES[:5]
        raise KeyboardInterrupt

    store = SQLiteStore(tmp_path / "b.db")
    with pytest.raises(KeyboardInterrupt):
        store.add(broken())
    assert list(store.entries()) == []
    assert store.add([*ENTRIES, *ENTRIES[:2]]) == (20, 2, 0)
    assert store.get(ENTRIES[0].address) == ENTRIES[0].result
    store.close()
