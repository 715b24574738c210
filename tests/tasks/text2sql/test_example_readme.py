"""The walk-through of the example: its commands work as written, and print what it shows."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archloom.cli import main

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "text2sql"
BLOCKS = re.findall(r"^```\n(.*?)^```$", (EXAMPLE / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("archloom ")]
SCRIPTED = [line for line in COMMANDS if "llamacpp" not in line and "models pull" not in line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, seeded as its first commands say."""
    copy = tmp_path_factory.mktemp("root")
    shutil.copytree(EXAMPLE, copy / "examples" / "text2sql")
    [seed, _] = next(block for block in BLOCKS if "seed.py" in block).splitlines()
    subprocess.run([sys.executable, *shlex.split(seed)[1:]], cwd=copy, check=True, capture_output=True)
    return copy / "examples" / "text2sql"


@pytest.mark.parametrize(
    "command",
    [pytest.param(line, marks=pytest.mark.slow if " search " in line else ()) for line in SCRIPTED],
)
def test_command_works_as_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ARCHLOOM_STORE", raising=False)
    with pytest.raises(SystemExit) as end:
        main(shlex.split(command)[1:])
    out = capsys.readouterr().out
    assert end.value.code == 0
    if command == COMMANDS[0]:
        assert out == BLOCKS[BLOCKS.index(f"{command}\n") + 1]
    if " search " in command:
        best = (folder / "runs" / "text2sql" / "best.yaml").read_text()
        assert "model: large" in best
        assert "model: small" not in best  # else the command after it would leave a simulated model in


def test_commands_are_found() -> None:
    assert [line.split()[1] for line in SCRIPTED] == ["run", "eval", "eval", "search"]
    assert [line.split()[1] for line in COMMANDS if line not in SCRIPTED] == ["models", "run", "run"]
