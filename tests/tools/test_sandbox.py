"""What a program in the sandbox cannot do, and how it ends when it tries.

Nothing here may depend on how the program is confined, only on what it sees and on what is left afterwards.
"""

from __future__ import annotations

import ast
import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

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
from archloom.tools._bwrap import binaries

Run = Callable[..., Coroutine[Any, Any, ExecResult]]


@pytest.fixture(scope="module")
def box() -> Sandbox:
    try:
        return sandbox()
    except SandboxUnavailableError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def run(box: Sandbox) -> Run:
    def program(source: str, **options: Any) -> Coroutine[Any, Any, ExecResult]:
        return box.exec([*python_command(), "-c", source], **options)

    return program


def test_level_is_named(box: Sandbox) -> None:
    assert box.level == "bwrap"


async def test_output_errors_and_exit_code_come_back(run: Run) -> None:
    result = await run("import sys; print(input()); sys.stderr.write('oh'); sys.exit(3)", stdin="hé")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "hé\n", "oh")
    assert not result.timed_out
    assert not result.truncated
    assert result.duration_s > 0


async def test_files_are_in_a_fresh_writable_directory(run: Run) -> None:
    source = "import os; print(sorted(os.listdir())); open('new', 'w').write(open('a/b.txt').read())"
    for _ in range(2):
        result = await run(source, files={"a/b.txt": "text"})
        assert (result.exit_code, result.stdout) == (0, "['a']\n")


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", ""])
async def test_files_stay_inside(run: Run, path: str) -> None:
    with pytest.raises(ToolError, match="inside the working directory"):
        await run("", files={path: "x"})


async def test_environment_is_empty(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "sk-123")
    result = await run("import os; print(dict(os.environ))")
    assert "sk-123" not in (await run("print(open('/proc/1/environ').read())")).stdout
    environment = ast.literal_eval(result.stdout)
    assert environment.keys() <= {"PATH", "HOME", "LANG", "PWD"}
    assert environment["HOME"] == "/tmp"


async def test_files_of_the_host_cannot_be_read(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sk-123")
    for path in (secret, Path.home() / ".bashrc", Path("/etc/shadow"), Path(__file__)):
        result = await run(f"print(open({str(path)!r}).read())")
        assert result.exit_code == 1, path
        assert "sk-123" not in result.stdout


async def test_only_temporary_folders_can_be_written(run: Run) -> None:
    source = """
import os
for folder in ("/", "/dev", "/etc", "/usr", os.path.dirname(os.__file__)):
    try:
        open(folder + "/x", "w")
    except OSError:
        continue
    print(folder)
for path in ("/tmp/x", "/dev/shm/x", "x", "/dev/null"):
    open(path, "w").write("x")
"""
    result = await run(source)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr


async def test_there_is_no_network(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = await run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        assert result.exit_code == 1
        assert "OSError" in result.stderr or "ConnectionRefusedError" in result.stderr
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_there_are_no_other_processes_and_no_privileges(run: Run) -> None:
    source = """
import os
print(os.getuid() == 0 and open("/proc/self/uid_map").read().split()[1] == "0")
print(sum(name.isdigit() for name in os.listdir("/proc")) < 10)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["CapEff"], 16) == 0 and int(status["NoNewPrivs"]) == 1)
"""
    assert (await run(source)).stdout == "False\nTrue\nTrue\n"


async def test_no_new_user_namespace_can_be_entered(run: Run) -> None:
    source = "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))"
    assert (await run(source)).stdout == "-1\n"


async def test_endless_loop_ends_in_time(run: Run) -> None:
    result = await run("print('begun', flush=True)\nwhile True: pass", timeout_s=0.5)
    assert result.timed_out
    assert result.exit_code is None
    assert result.stdout == "begun\n"
    assert result.duration_s < 5


async def test_endless_output_ends_before_its_time(run: Run) -> None:
    result = await run("while True: print('x' * 1000)", timeout_s=60, output_limit=10)
    assert result.exit_code is None
    assert not result.timed_out
    assert result.truncated
    assert result.stdout == "x" * 10


async def test_output_beyond_the_limit_does_not_stop_a_program(run: Run) -> None:
    result = await run("print('x' * 10**6); import sys; sys.exit(4)", output_limit=10)
    assert (result.exit_code, result.stdout, result.truncated) == (4, "x" * 10, True)


async def test_memory_hog_ends_at_the_limit(run: Run) -> None:
    result = await run("x = bytearray(10**9)")
    assert result.exit_code == 1
    assert "MemoryError" in result.stderr


async def test_disk_hog_ends_at_the_limit(run: Run) -> None:
    source = "for i in range(8): open(f'/tmp/{i}', 'wb').write(bytes(2**24))"
    result = await run(source)
    assert result.exit_code == 1
    assert "No space left" in result.stderr


async def test_fork_bomb_is_held_by_the_process_limit(run: Run) -> None:
    source = """
import os, sys, time
for number in range(1000):
    try:
        child = os.fork()
    except OSError:
        print(number)
        sys.exit()
    if child == 0:
        time.sleep(60)
"""
    result = await run(source)
    assert result.exit_code == 0
    assert 1 < int(result.stdout) < Limits().processes


@pytest.mark.parametrize("whom", [0, -1], ids=["its group", "everybody"])
async def test_a_program_that_kills_all_around_it_harms_only_itself(run: Run, whom: int) -> None:
    result = await run(f"import os, time; os.kill({whom}, 9); time.sleep(60)", timeout_s=2)
    assert result.timed_out or result.exit_code == 137 or "ProcessLookupError" in result.stderr


async def test_children_end_with_the_program(run: Run, box: Sandbox) -> None:
    marker = "31.4159"
    await run(f"import subprocess; subprocess.Popen(['sleep', '{marker}'])")
    assert await _until(lambda: not _processes(marker))


@pytest.mark.parametrize("stage", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_cancellation_kills_at_whatever_stage_of_the_start(box: Sandbox, stage: int) -> None:
    marker = f"27.1828{stage}"
    task = asyncio.create_task(box.exec(["sleep", marker]))
    assert await _until(lambda: bool(_processes(marker)))
    for _ in range(stage):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _until(lambda: not _processes(marker))


async def test_a_program_that_does_not_exist_is_its_own_failure(box: Sandbox) -> None:
    result = await box.exec(["no-such-program"])
    assert result.exit_code == 127
    assert "no-such-program" in result.stderr


async def test_a_sandbox_that_fails_is_no_failure_of_the_program(box: Sandbox, tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'no namespaces' >&2\nexit 1\n")
    broken.chmod(0o755)
    other = BwrapSandbox(broken)
    assert other.probe() == "no namespaces"
    with pytest.raises(ToolError, match="no namespaces"):
        await other.exec(["true"])
    with pytest.raises(ToolError, match="cannot be started"):
        await BwrapSandbox(tmp_path / "bin" / "none").exec(["true"])


async def test_programs_beyond_the_concurrency_wait_without_losing_time(box: Sandbox) -> None:
    one = BwrapSandbox(next(binaries()), concurrency=1)
    source = "import time; print(time.monotonic()); time.sleep(0.3); print(time.monotonic())"
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(one.exec([*python_command(), "-c", source], timeout_s=0.8)) for _ in range(3)]
    spans = sorted([float(line) for line in run.result().stdout.split()] for run in runs)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


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
