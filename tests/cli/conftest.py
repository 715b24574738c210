"""The command line in an empty folder of its own, and documents to give to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

import archloom
from archloom.cli import main

DOCUMENTS = {
    "good.yaml": """\
archloom: 1
answer: number
models:
  m: {provider: scripted, replies: ["It is 56.", "It is 54.", "It is 56."]}
nodes:
  draft: {type: generator, model: m, samples: 3}
  answer: {type: vote, after: draft}
output: answer
""",
    "sim.yaml": """\
archloom: 1
answer: number
models:
  m: {provider: simulated, tokens: 20, skill: [3, 3], price: {input: 1, output: 2}}
nodes:
  draft: {type: generator, model: m, samples: 5, temperature: 0.5, max_tokens: 64}
  answer: {type: vote, after: draft}
output: answer
search: {tasks: "simulated:t?size=24"}
""",
    "space.yaml": """\
archloom: 1
answer: number
models:
  m: {provider: simulated, tokens: 20, skill: [3, 3]}
nodes:
  draft: {type: generator, model: m, samples: {choose: [1, 3]}, temperature: 0.5, max_tokens: 64}
  answer: {type: vote, after: draft}
output: answer
search: {tasks: "simulated:t?size=24", search_tasks: 8, report_tasks: 10}
""",
}


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Cli: TypeAlias = Callable[..., Ended]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with the documents in it, and a home without weights beside it."""
    here = tmp_path / "here"
    here.mkdir()
    for name, text in DOCUMENTS.items():
        (here / name).write_text(text)
    monkeypatch.chdir(here)
    monkeypatch.setenv("ARCHLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("PYTHONPATH", str(Path(archloom.__file__).parent.parent))
    monkeypatch.delenv("ARCHLOOM_STORE", raising=False)
    return here


@pytest.fixture
def cli(folder: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command as the console script does, and gives back how it ended."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        shown = capsys.readouterr()
        return Ended(end.value.code if isinstance(end.value.code, int) else 0, shown.out, shown.err)

    return run
