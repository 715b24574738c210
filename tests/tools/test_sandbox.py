"""What the levels are: their conformance, and what is particular to bubblewrap and to none."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import archloom
from archloom.testing import SandboxConformance
from archloom.tools import (
    BwrapSandbox,
    ExecResult,
    Limits,
    Sandbox,
    SandboxUnavailableError,
    ToolError,
    python_command,
    sandbox,
)
from archloom.tools.sandboxes import Unconfined
from archloom.tools.sandboxes._bwrap import binaries

Run = Callable[..., Coroutine[Any, Any, ExecResult]]


def _bwrap(**options: Any) -> BwrapSandbox:
    for binary in binaries():
        if BwrapSandbox(binary).probe() is None:
            return BwrapSandbox(binary, **options)
    pytest.skip("bubblewrap does not work here")


@pytest.fixture(scope="module")
def bwrap() -> Iterator[BwrapSandbox]:
    box = _bwrap()
    yield box
    box.close()


@pytest.fixture
def run(bwrap: BwrapSandbox) -> Run:
    def program(source: str, **options: Any) -> Coroutine[Any, Any, ExecResult]:
        return bwrap.exec([*python_command(), "-c", source], **options)

    return program


class TestBwrap(SandboxConformance):
    @pytest.fixture
    def box(self, bwrap: BwrapSandbox) -> Sandbox:
        return bwrap


class TestNone(SandboxConformance):
    @pytest.fixture
    def box(self) -> Sandbox:
        return Unconfined()


async def test_temporary_folders_can_be_written(run: Run) -> None:
    result = await run("for path in ('/tmp/x', '/dev/shm/x', 'x', '/dev/null'): open(path, 'w').write('x')")
    assert (result.exit_code, result.stderr) == (0, "")


async def test_there_are_no_privileges(run: Run) -> None:
    source = """
import os
print(os.getuid() == 0 and open("/proc/self/uid_map").read().split()[1] == "0")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["CapEff"], 16) == 0 and int(status["NoNewPrivs"]) == 1 and int(status["Seccomp"]) == 2)
"""
    assert (await run(source)).stdout == "False\nTrue\n"


async def test_ordinary_calls_pass_the_filter(run: Run) -> None:
    source = """
import asyncio, multiprocessing, socket, sqlite3, subprocess, tempfile, threading
threading.Thread(target=print, args=("thread",)).start()
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout.strip())
asyncio.run(asyncio.sleep(0))
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()): print("loopback")
print(sqlite3.connect("db").execute("select 1").fetchone())
with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, 2]))
"""
    result = await run(source)
    assert result.stdout.split("\n") == ["thread", "child", "loopback", "(1,)", "[1, 2]", ""], result.stderr


@pytest.mark.parametrize("name", ["bwrap", "none"])
async def test_processes_that_take_too_much_memory_together_are_ended(name: str) -> None:
    limits = Limits(total_memory_bytes=150 * 2**20)
    box: BwrapSandbox | Unconfined = _bwrap(limits=limits) if name == "bwrap" else Unconfined(limits=limits)
    source = "import os, time\nfor _ in range(5):\n    if os.fork() == 0: break\nx = bytearray(b'x') * (60 * 2**20)\ntime.sleep(60)"
    result = await box.exec([*python_command(), "-c", source], timeout_s=30)
    assert (result.exceeded, result.exit_code, result.timed_out) == ("memory", None, False)


async def test_processes_without_end_are_ended_where_the_kernel_does_not_count_them() -> None:
    source = "import os, time\nfor _ in range(40):\n    if os.fork() == 0: break\ntime.sleep(60)"
    box = Unconfined(limits=Limits(processes=10))
    result = await box.exec([*python_command(), "-c", source], timeout_s=30)
    assert (result.exceeded, result.exit_code, result.timed_out) == ("processes", None, False)


# Its subject exists for root alone; another user's processes are counted, which the tests above show.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root under another number")
def test_user_whose_processes_the_kernel_does_not_count_gets_no_sandbox() -> None:
    probe = "from archloom.tools.sandboxes import sandbox_levels; print(sandbox_levels()['bwrap'])"
    command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-c", probe]
    source = str(Path(archloom.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source})
    if done.returncode != 0:
        pytest.skip(f"no user namespace here: {done.stderr}")
    assert "does not limit the number of processes" in done.stdout


async def test_memory_that_processes_share_counts_once() -> None:
    box = _bwrap(limits=Limits(total_memory_bytes=150 * 2**20))
    source = "import os, time\nx = bytearray(b'x') * (60 * 2**20)\nfor _ in range(5):\n    if os.fork() == 0: break\ntime.sleep(0.7)"
    assert (await box.exec([*python_command(), "-c", source])).exit_code == 0


async def test_full_disk_is_an_error_of_the_program(run: Run) -> None:
    result = await run("for i in range(8): open(f'/tmp/{i}', 'wb').write(bytes(2**24))")
    assert result.exit_code == 1
    assert "No space left" in result.stderr


async def test_full_workspace_without_a_file_system_of_its_own_is_noticed() -> None:
    box = Unconfined(limits=Limits(file_bytes=2**20))
    async with box.workspace() as space:
        quick = await space.exec(["sh", "-c", "for i in 1 2 3; do head -c 500000 /dev/zero > $i; done"])
        assert (quick.exceeded, quick.exit_code) == ("disk", None)
        slow = await space.exec(["sleep", "60"], timeout_s=30)
        assert (slow.exceeded, slow.exit_code) == ("disk", None)
        assert slow.duration_s < 20


@pytest.mark.parametrize("stage", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_cancellation_kills_at_whatever_stage_of_the_start(bwrap: BwrapSandbox, stage: int) -> None:
    marker = f"27.1828{stage}"
    task = asyncio.create_task(bwrap.exec(["sleep", marker]))
    assert await _until(lambda: bool(_processes(marker)))
    for _ in range(stage):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _until(lambda: not _processes(marker))


async def test_a_sandbox_that_fails_is_no_failure_of_the_program(tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no namespaces' >&2\nexit 1\n")
    broken.chmod(0o755)
    other = BwrapSandbox(broken)
    assert other.probe() == "no namespaces"
    with pytest.raises(ToolError, match="no namespaces"):
        await other.exec(["true"])
    with pytest.raises(ToolError, match="no namespaces"):
        await other.python("")
    with pytest.raises(ToolError, match="no namespaces"):
        async with other.workspace():
            pass
    other.close()
    with pytest.raises(ToolError, match="cannot be started"):
        await BwrapSandbox(tmp_path / "bin" / "none").exec(["true"])


async def test_programs_beyond_the_concurrency_wait_without_losing_time() -> None:
    one = _bwrap(concurrency=1)
    source = "import time; print(time.monotonic()); time.sleep(0.3); print(time.monotonic())"
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(one.exec([*python_command(), "-c", source], timeout_s=1.5)) for _ in range(3)]
    spans = sorted([float(line) for line in run.result().stdout.split()] for run in runs)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


LEVELS = {"argument": ("none", None), "variable": (None, "none"), "argument over variable": ("none", "bwrap")}


@pytest.mark.parametrize(("argument", "variable"), LEVELS.values(), ids=LEVELS)
def test_level_is_chosen(argument: str | None, variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable is not None:
        monkeypatch.setenv("ARCHLOOM_SANDBOX", variable)
    assert sandbox(argument).level == "none"


def test_bwrap_is_what_is_used_unless_something_else_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHLOOM_SANDBOX", raising=False)
    _bwrap()
    assert sandbox().level == "bwrap"
    assert sandbox() is sandbox("bwrap")


def test_none_warns_each_time_it_is_chosen(caplog: pytest.LogCaptureFixture) -> None:
    for count in (1, 2):
        sandbox("none")
        warnings = [record for record in caplog.records if "WITHOUT a sandbox" in record.message]
        assert len(warnings) == count
        assert warnings[-1].levelno == logging.WARNING


def test_level_that_does_not_exist_is_refused_with_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from archloom.tools import UsageError

    with pytest.raises(UsageError, match=r"unknown level 'bwarp'\. Known are bwrap, docker, none"):
        sandbox("bwarp")
    monkeypatch.setenv("ARCHLOOM_SANDBOX", "off")
    with pytest.raises(UsageError, match="ARCHLOOM_SANDBOX: unknown level 'off'"):
        sandbox()


def test_level_that_does_not_work_is_refused_and_nothing_less_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'no engine' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ARCHLOOM_SANDBOX_IMAGE", "mine:1")
    with pytest.raises(SandboxUnavailableError, match=r"no engine.*docker pull mine:1"):
        sandbox("docker")


def _processes(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "cmdline").read_text().split("\0"):
                found.append(entry.name)
        except OSError:
            continue
    return [pid for pid in found if pid != str(os.getpid())]


async def _until(happens: Callable[[], bool]) -> bool:
    """Whether it happens soon; the kernel takes its time to start and to end processes."""
    for _ in range(500):
        if happens():
            return True
        await asyncio.sleep(0.01)
    return False
