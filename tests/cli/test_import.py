"""``archloom import archon``: where the workflow goes, where the talk goes, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

Cli: TypeAlias = Callable[..., tuple[int, str, str]]

_PART = {"model": "facebook/opt-125m", "model_type": "vLLM", "temperature": 0.7, "max_tokens": 64}
GOOD = {
    "name": "good",
    "layers": [[{"type": "generator", **_PART, "samples": 3, "top_k": 1}], [{"type": "fuser", **_PART}]],
}


@pytest.fixture
def good(folder: Path) -> Path:
    file = folder / "good.json"
    file.write_text(json.dumps(GOOD))
    return file


def test_printed_workflow_is_valid_and_remarks_are_talk(cli: Cli, good: Path, folder: Path) -> None:
    code, out, err = cli("import", "archon", "good.json")
    assert code == 0
    assert "good.json:1:" in err
    assert "layers[0][0].top_k: 1 is read by nobody in Archon" in err
    (folder / "printed.yaml").write_text(out)
    assert cli("validate", "printed.yaml")[:2] == (0, "printed.yaml: ok (workflow, 2 nodes)\n")
    assert cli("graph", "printed.yaml")[0] == 0


def test_written_workflow_is_the_printed_one_and_nothing_is_overwritten(cli: Cli, good: Path, folder: Path) -> None:
    printed = cli("import", "archon", "good.json")[1]
    code, out, err = cli("import", "archon", "good.json", "--out", "good.workflow.yaml")
    assert (code, out) == (0, "")
    assert "2 nodes, 1 remarks" in err
    assert (folder / "good.workflow.yaml").read_text() == printed
    code, _, err = cli("import", "archon", "good.json", "--out", "good.workflow.yaml")
    assert code == 2
    assert "exists and is left as it is" in err


def test_wrong_order_ends_with_2_and_names_the_rule(cli: Cli, folder: Path) -> None:
    (folder / "bad.json").write_text(json.dumps({**GOOD, "layers": GOOD["layers"][::-1]}))  # type: ignore[index]
    code, out, err = cli("import", "archon", "bad.json", "--out", "bad.yaml")
    assert (code, out) == (2, "")
    assert "layers[0]: a fuser works on answers, and no generator comes before it." in err
    assert "[archloom-E028]" in err
    assert not (folder / "bad.yaml").exists()


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [(b"\xff\xfe", 2, "not UTF-8"), (b"{", 2, "not JSON"), (None, 1, "No such file")],
    ids=["not text", "not JSON", "not there"],
)
def test_unreadable_file(cli: Cli, folder: Path, content: bytes | None, code: int, says: str) -> None:
    if content is not None:
        (folder / "x.json").write_bytes(content)
    ended, out, err = cli("import", "archon", "x.json")
    assert (ended, out) == (code, "")
    assert says in err
