"""``archloom store``: looking at the store, handing it on, making it smaller, checking it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from archloom.nodes import FailedSample, Sample, TokenLogprob
from archloom.orchestrator.models import Address, SQLiteStore

Cli: TypeAlias = Callable[..., Any]
"""Runs a command, and gives code, out and err."""

QUESTION = json.dumps(
    {
        "max_tokens": 64,
        "messages": [
            {"content": "Be brief.", "role": "system"},
            {"content": "What is 7 x 8? " + "Think. " * 100, "role": "user"},
        ],
        "model": "vendor/solver",
        "stop": [],
        "temperature": 0.5,
    }
).encode()
KEY = hashlib.sha256(QUESTION).hexdigest()
OTHER = "0" * 64
"""The key of samples whose request nobody gave."""


@pytest.fixture
def store(folder: Path) -> Path:
    """A small store in the place where commands look for one."""
    path = folder / ".archloom/samples.sqlite"
    opened = SQLiteStore(path)
    hidden = Sample("\x1b[2J56 it is,\nor so", "stop", 31, 7, 0.25, reasoning="7 times 8", index=1)
    logged = Sample("56", "length", 31, 2, 1.5, tokens=(TokenLogprob("56", -0.5),), model="backup", index=0)

    async def fill() -> None:
        await opened.put(
            Address(KEY, 0, 0), "vendor/solver", Sample("It is 56.", "stop", 31, 1234, 0.5), question=QUESTION
        )
        await opened.put(Address(KEY, 0, 1), "vendor/solver", hidden)
        await opened.put(Address(KEY, 2, 0), "vendor/solver", logged)
        await opened.fail(Address(KEY, 2, 1), "vendor/solver", FailedSample("timeout", "60 s went by"))
        await opened.put(Address(OTHER, 0, 0), "old", Sample("text", "stop", 1, 1, 1.0))

    asyncio.run(fill())
    opened.close()
    return path


def test_explain_shows_the_request_and_its_samples(cli: Cli, store: Path) -> None:
    code, out, err = cli("store", "explain", KEY[:6])
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:4] == [
        f"key {KEY}",
        "model vendor/solver",
        "with max_tokens 64, temperature 0.5",
        "system Be brief.",
    ]
    assert lines[4].startswith("user What is 7 x 8? Think. Think.")
    assert lines[4].endswith("…")
    assert len(lines[4]) < 400
    assert lines[6:] == [
        "0 0 31 1,234 0.50 stop It is 56.",
        "0 1 31 7 0.25 stop \N{REPLACEMENT CHARACTER}[2J56 it is, or so",
        "2 0 31 2 1.50 length 56",
        "2 1 failed: timeout 60 s went by",
    ]


@pytest.mark.parametrize(
    ("place", "shown", "hidden"),
    [
        ("0/1", ["reasoning 7 times 8", "latency_s 0.25", "\N{REPLACEMENT CHARACTER}[2J56 it is,\nor so"], "1234"),
        ("2/0", ["model     backup", "tokens: log-probabilities of 1 tokens", "\n56"], "reasoning"),
        ("2/1", ["error     timeout", "60 s went by"], "tokens_in"),
    ],
    ids=["reasoning", "log-probabilities", "a failure"],
)
def test_explain_shows_one_place_whole(cli: Cli, store: Path, place: str, shown: list[str], hidden: str) -> None:
    code, out, _ = cli("store", "explain", f"{KEY[:6]}/{place}")
    assert code == 0
    assert all(part in out for part in shown), out
    assert hidden not in out


def test_explain_as_json_is_complete(cli: Cli, store: Path) -> None:
    told = json.loads(cli("store", "explain", KEY, "--json").out)
    assert (told["key"], told["question"]) == (KEY, json.loads(QUESTION))
    assert [(sample["stream"], sample["index"], sample["asked"]) for sample in told["samples"]] == [
        (0, 0, "vendor/solver"), (0, 1, "vendor/solver"), (2, 0, "vendor/solver"), (2, 1, "vendor/solver"),
    ]  # fmt: skip
    assert told["samples"][1]["text"] == "\x1b[2J56 it is,\nor so"
    assert told["samples"][2]["tokens"] == [["56", -0.5, []]]
    assert told["samples"][3]["error"] == "timeout"
    [one] = json.loads(cli("store", "explain", f"{KEY}/2/1", "--json").out)["samples"]
    assert one == told["samples"][3]


def test_explain_says_when_the_request_is_not_known(cli: Cli, store: Path) -> None:
    out = cli("store", "explain", "00").out
    assert "model    old" in out
    assert "request  not known" in out


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", f"several keys begin like this: {OTHER}, {KEY}."),
        ("zz", "'zz': no key begins like this"),
        (f"{KEY[:6]}/0/9", f"{KEY[:6]}/0/9: nothing is there"),
        (f"{KEY[:6]}/0", "Write KEY or KEY/STREAM/INDEX"),
        (f"{KEY[:6]}/a/b", "Write KEY or KEY/STREAM/INDEX"),
        (f"{KEY[:6]}/0/1/2", "Write KEY or KEY/STREAM/INDEX"),
    ],
    ids=["ambiguous", "unknown", "no such place", "half a place", "letters", "too much"],
)
def test_explain_refuses_what_names_nothing(cli: Cli, store: Path, key: str, told: str) -> None:
    code, out, err = cli("store", "explain", key)
    assert (code, out) == (2, "")
    assert told in err


def test_export_and_import_hand_a_store_on(cli: Cli, store: Path) -> None:
    exported = cli("store", "export", "a.jsonl.gz")
    assert exported.code == 0
    assert "a.jsonl.gz: 4 samples, 1 failures, 1 questions." in exported.out
    assert cli("store", "import", "a.jsonl.gz", "--store", "b.sqlite").out.startswith("5 new, 0 known, 0 conflicting")
    assert cli("store", "import", "a.jsonl.gz", "--store", "b.sqlite").out.startswith("0 new, 5 known, 0 conflicting")
    assert cli("store", "export", "b.jsonl.gz", "--store", "b.sqlite").out.split()[1:] == exported.out.split()[1:]
    assert Path("a.jsonl.gz").read_bytes() == Path("b.jsonl.gz").read_bytes()
    assert cli("store", "stats", "--store", "b.sqlite").out == cli("store", "stats").out


@pytest.mark.parametrize("part", [("--model", "old"), ("--key", "000")], ids=["model", "key"])
def test_export_of_a_part(cli: Cli, store: Path, part: tuple[str, str]) -> None:
    assert "a.jsonl: 1 samples, 0 failures, 0 questions." in cli("store", "export", "a.jsonl", *part).out


def test_import_refuses_a_damaged_file_and_makes_no_store(cli: Cli, store: Path) -> None:
    cli("store", "export", "a.jsonl")
    Path("a.jsonl").write_bytes(Path("a.jsonl").read_bytes().replace(b"It is 56.", b"It is 57."))
    code, out, err = cli("store", "import", "a.jsonl", "--store", "b.sqlite")
    assert (code, out) == (2, "")
    assert "a.jsonl:3: cut short, or not as it was written. Nothing was imported" in err
    assert not Path("b.sqlite").exists()


def test_prune_says_what_it_removed(cli: Cli, store: Path) -> None:
    before = cli("store", "stats").out
    dry = cli("store", "prune", "--model", "vendor/solver", "--dry-run")
    assert (dry.code, dry.out) == (0, "would remove 3 samples, 1 failures, 1 questions.\n")
    assert cli("store", "stats").out == before
    done = cli("store", "prune", "--model", "vendor/solver")
    assert done.code == 0
    assert done.out.startswith("removed 3 samples, 1 failures, 1 questions. ")
    assert cli("store", "stats").out == "old: 1 samples, 1 prompt and 1 completion tokens, 1 s\n"


@pytest.mark.parametrize(("age", "gone"), [("60m", 1), ("2h", 1), ("1d", 1), ("3d", 0), ("1w", 0)])
def test_prune_by_age(cli: Cli, store: Path, age: str, gone: int) -> None:
    connection = sqlite3.connect(store)
    with connection:
        connection.execute("UPDATE samples SET created = created - 2 * 86400 WHERE model = 'old'")
    connection.close()
    assert cli("store", "prune", "--older-than", age).out.startswith(f"removed {gone} samples, 0 failures, 0 questions")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("prune",), "Nothing says what to remove. Give --model or --older-than"),
        (("prune", "--dry-run"), "Nothing says what to remove"),
        (("prune", "--older-than", "30"), "is no age"),
        (("prune", "--older-than", "month"), "is no age"),
        (("import", "missing.jsonl"), "does not exist"),
        (("import", "good.yaml"), "good.yaml:1: no header of an archive"),
        (("verify", "--store", "none.sqlite"), "none.sqlite: there is no sample store"),
        (("export", "a.jsonl", "--store", "none.sqlite"), "none.sqlite: there is no sample store"),
        (("prune", "--model", "m", "--store", "none.sqlite"), "none.sqlite: there is no sample store"),
        (("explain", "a", "--store", "none.sqlite"), "none.sqlite: there is no sample store"),
    ],
    ids=[
        "nothing", "nothing dry", "no unit", "a word", "no file", "no archive", "verify", "export", "prune", "explain",
    ],
)  # fmt: skip
def test_bad_usage_changes_nothing(cli: Cli, store: Path, arguments: tuple[str, ...], told: str) -> None:
    before = cli("store", "stats").out
    code, out, err = cli("store", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert cli("store", "stats").out == before
    assert not Path("none.sqlite").exists()


def test_verify_ends_with_1_when_something_is_wrong(cli: Cli, store: Path) -> None:
    assert cli("store", "verify") == (0, ".archloom/samples.sqlite: nothing wrong.\n", "")
    assert cli("store", "verify", "--json") == (0, "[]\n", "")
    connection = sqlite3.connect(store)
    with connection:
        connection.execute("UPDATE samples SET tokens_in = -5 WHERE model = 'old'")
        connection.execute("UPDATE questions SET content = '{}'")
    connection.close()
    code, out, _ = cli("store", "verify")
    assert (code, out) == (1, f"{KEY}: its question has another digest\n{OTHER}/0/0: tokens_in is -5\n")
    code, out, _ = cli("store", "verify", "--json")
    assert (code, [flaw["where"] for flaw in json.loads(out)]) == (1, [KEY, f"{OTHER}/0/0"])


def test_a_run_leaves_nothing_to_find_and_its_store_can_be_read(cli: Cli) -> None:
    assert cli("run", "sim.yaml", "Simulated task t/0/0: find its number.").code == 0
    assert cli("store", "verify").code == 0
    told = json.loads(cli("store", "explain", "", "--json").out)
    assert told["question"]["messages"][0]["content"] == "Simulated task t/0/0: find its number."
    assert [sample["index"] for sample in told["samples"]] == [0, 1, 2, 3, 4]
