"""Patches between two states of a folder, checked by the program that applies them; and handling of the folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archloom.tools import ToolError
from archloom.tools.sandboxes import Entry, Snapshot
from archloom.tools.sandboxes._folder import Folder
from archloom.tools.sandboxes._snapshot import taken

CONTENTS = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"\n", b"d\x0ce\n", "é\n".encode(), b"end"]), max_size=8
).map(b"".join)
FILES = st.builds(Entry, st.sampled_from(["100644", "100755"]), CONTENTS)
LINKS = st.builds(Entry, st.just("120000"), st.sampled_from([b"a", b"../up", b"/etc/passwd"]))
NAMES = st.sampled_from(["a", "b", "two words", "d/x", "d/y", 'quo"te', "back\\slash", "tab\there", "é", "line\nfeed"])
STATES = st.dictionaries(NAMES, FILES | LINKS, max_size=5).map(Snapshot)


@given(before=STATES, after=STATES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_git_makes_of_one_state_the_other(
    before: Snapshot, after: Snapshot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    _laid_out(before, folder)
    patch = before.diff(after)
    if before != after:
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"],
            cwd=folder,
            input=patch.encode(),
            capture_output=True,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        )
        assert done.returncode == 0, (done.stderr.decode(), patch)
    assert _taken(folder) == after


def test_long_texts_with_little_in_common_are_compared_as_one_block() -> None:
    before = Snapshot({"x": Entry("100644", b"same\n" + b"a\n" * 3000)})
    after = Snapshot({"x": Entry("100644", b"same\n" + b"b\n" * 3000)})
    lines = before.diff(after).splitlines()
    assert lines[3] == "@@ -2,3000 +2,3000 @@"
    assert lines[4:] == ["-a"] * 3000 + ["+b"] * 3000


def test_one_block_is_a_patch_too(tmp_path: Path) -> None:
    before = Snapshot({"x": Entry("100644", b"same\n" + b"a\n" * 3000)})
    after = Snapshot({"x": Entry("100644", b"same\n" + b"b\n" * 2999 + b"c")})
    _laid_out(before, tmp_path)
    patch = before.diff(after).encode()
    subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=tmp_path, input=patch, check=True)
    assert _taken(tmp_path) == after


@pytest.mark.parametrize("content", [b"\0", b"\xff\xfe"], ids=["zero byte", "not UTF-8"])
def test_binary_files_are_only_named(content: bytes) -> None:
    before, after = Snapshot({"x": Entry("100644", b"text")}), Snapshot({"x": Entry("100755", content)})
    assert before.diff(after).splitlines() == [
        "diff --git a/x b/x",
        "old mode 100644",
        "new mode 100755",
        "Binary files a/x and b/x differ",
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder(tmp_path)
    yield opened
    opened.close()


def test_what_is_left_out_and_what_is_neither_file_nor_link(folder: Folder, tmp_path: Path) -> None:
    for name in ("a", ".git/config", "sub/__pycache__/x.pyc", "sub/b"):
        folder.write(name, "x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    snapshot = taken(folder, without=(".git", "__pycache__"), limit_bytes=10)
    assert sorted(snapshot.entries) == ["a", "sub/b"]


def test_name_that_is_not_utf_8_is_quoted(folder: Folder) -> None:
    folder.write("\udcff", "x\n")
    patch = Snapshot({}).diff(taken(folder, without=(), limit_bytes=10))
    assert '+++ "b/\\377"' in patch


def test_file_that_is_too_large_is_refused(folder: Folder) -> None:
    folder.write("x", "12345")
    assert folder.read("x", limit_bytes=5) == b"12345"
    with pytest.raises(ToolError, match="'x' in the workspace is larger than 4 bytes"):
        folder.read("x", limit_bytes=4)
    with pytest.raises(ToolError, match="larger"):
        taken(folder, without=(), limit_bytes=4)


def test_folders_without_end_are_refused(folder: Folder, tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(103):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(ToolError, match="more than 100 levels deep"):
        list(folder.walk())


def test_existing_file_is_replaced_with_its_mode(folder: Folder, tmp_path: Path) -> None:
    folder.write("x", "long text", executable=True)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o755
    folder.write("x", "y")
    assert (tmp_path / "x").read_text() == "y"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_folder_that_is_not_there_cannot_be_copied(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="none' cannot be copied in the workspace: it is not there"):
        folder.copy(tmp_path / "none")


def _laid_out(snapshot: Snapshot, folder: Path) -> None:
    for name, entry in snapshot.entries.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == "120000":
            path.symlink_to(entry.content.decode())
        else:
            path.write_bytes(entry.content)
            path.chmod(int(entry.mode[-3:], 8))


def _taken(path: Path) -> Snapshot:
    folder = Folder(path)
    try:
        return taken(folder, without=(), limit_bytes=10**6)
    finally:
        folder.close()
