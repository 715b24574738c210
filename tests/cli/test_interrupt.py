"""What a process sees from outside: Ctrl-C, and a reader that has gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from archloom.cli import main; main()"]


def test_ctrl_c_keeps_everything_and_the_same_command_goes_on(folder: Path) -> None:
    text = (
        (folder / "space.yaml")
        .read_text()
        .replace("tokens: 20", "tokens: 20, sleep: true, latency_s: 0.01, tokens_per_s: 5000")
    )
    (folder / "w.yaml").write_text(text)
    search = [*COMMAND, "search", "w.yaml", "--concurrency", "2", "--store"]
    process = subprocess.Popen(
        [*search, "a.sqlite", "--out", "a"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    _wait_for_lines(process, folder / "a/events.jsonl", 5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "archloom: interrupted; what is finished is kept, and the same command goes on." in err
    assert "Traceback" not in err
    assert '"event":"stopped"' in (folder / "a/events.jsonl").read_text().splitlines()[-1]
    assert not (folder / "a/best.yaml").exists()
    subprocess.run([*search, "a.sqlite", "--out", "a"], check=True, capture_output=True)
    subprocess.run([*search, "b.sqlite", "--out", "b"], check=True, capture_output=True)
    for name in ("best.yaml", "cells.jsonl"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


def test_reader_that_has_gone_is_no_crash(folder: Path) -> None:
    process = subprocess.Popen([*COMMAND, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 1
    assert err == ""


def _wait_for_lines(process: subprocess.Popen[str], log: Path, count: int) -> None:
    """Until the log has this many lines; the process must still be running then."""
    while not (log.exists() and log.read_bytes().count(b"\n") >= count):
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended first: {process.communicate()}")
