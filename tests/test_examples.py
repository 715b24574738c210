"""Every example is sound, and those that need nothing run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archloom.cli import main
from archloom.graphs import Document
from archloom.search import prepare
from archloom.tasks import load_tasks

ROOT = Path(__file__).resolve().parent.parent / "examples"
WORKFLOWS = sorted(path for path in ROOT.rglob("*.yaml") if "archloom: 1" in path.read_text())
OFFLINE = [
    path for path in WORKFLOWS if {*re.findall(r"provider: (\w+)", path.read_text())} <= {"scripted", "simulated"}
]


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Where an example lies with all it needs: a folder with a seed script is copied, and the script is run there."""
    copied: dict[Path, Path] = {}

    def find(path: Path) -> Path:
        if not (path.parent / "seed.py").exists():
            return path
        if path.parent not in copied:
            copied[path.parent] = tmp_path_factory.mktemp("example") / path.parent.name
            shutil.copytree(path.parent, copied[path.parent])
            command = [sys.executable, "seed.py"]
            subprocess.run(command, cwd=copied[path.parent], check=True, capture_output=True)
        return copied[path.parent] / path.name

    return find


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder than that of the repository: examples do not depend on where they are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHLOOM_STORE", raising=False)
    return tmp_path


def _archloom(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


@pytest.mark.parametrize("path", WORKFLOWS, ids=_id)
def test_example_is_valid_and_can_be_drawn(path: Path, elsewhere: Path) -> None:
    assert _archloom("validate", str(path)) == 0
    assert _archloom("graph", str(path), "--format", "svg") == 0
    document = Document.load(path)
    assert document.data["doc"], "it says what it is for"


@pytest.mark.parametrize("path", OFFLINE, ids=_id)
def test_example_that_needs_nothing_runs(
    path: Path, there: Callable[[Path], Path], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = there(path)
    if Document.load(path).holes:
        command = ["search", str(path), "--search-tasks", "6", "--report-tasks", "6", "--out", "r", "--json"]
    else:
        command = ["eval", str(path), "--limit", "6", "--out", "r", "--json"]
    assert _archloom(*command) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["tasks"] == 6
    assert not [row["name"] for row in rows if row["missing"]]


@pytest.mark.parametrize("path", [path for path in WORKFLOWS if Document.load(path).search.tasks], ids=_id)
def test_tasks_of_an_example_are_there(path: Path, there: Callable[[Path], Path]) -> None:
    document = Document.load(there(path))
    if document.holes:
        setting = prepare(document, document.search)
        assert (len(setting.search), len(setting.report)) == (
            document.search.search_tasks,
            document.search.report_tasks,
        )
    else:
        assert len(load_tasks(str(document.search.tasks), base=document.folder)) > 0


def test_some_examples_need_nothing() -> None:
    assert len(OFFLINE) >= 3


def test_readme_lists_exactly_the_examples() -> None:
    listed = re.findall(r"^\| \[([^\]]+)\]\(\1\)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(map(_id, WORKFLOWS))
