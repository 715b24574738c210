"""A process under way: its output as it comes, and a kill that leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from archloom.tools.errors import ToolError

_CHUNK = 2**16
_FLOOD = 64 * 2**20
"""Bytes of output after which a program is killed: it prints in a loop, and reading on costs our time."""
_LOOK_S = 0.2
"""Seconds between two looks at what a process uses. Most are over before the first."""

Exceeded: TypeAlias = Literal["disk", "memory", "output", "processes"]
Guard: TypeAlias = Callable[[int], Exceeded | None]
"""Says of a process and those it started what they use too much of, if anything."""


def start(
    command: Sequence[str],
    *,
    stdin: int,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a command in a session of its own, with pipes for its output and, unless one is given, no environment.

    Raises:
        ToolError: it cannot be started.
    """
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=True,
            env=env or {},
            cwd=cwd,
        )
    except OSError as exc:
        raise ToolError(f"{command[0]} cannot be started: {exc}") from exc


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of a process and its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Running:
    """A started process whose output is read; killed, with its group, on leaving.

    Not an asyncio subprocess: the start of one can be cancelled half-way, which kills the process but not what
    it has forked meanwhile. Here nothing is awaited between the start and the promise to kill.

    Attributes:
        exceeded: What it was killed for using.
    """

    def __init__(self, process: subprocess.Popen[bytes], *, output_limit: int) -> None:
        """Takes a process from :func:`start` over into the running event loop."""
        assert process.stdout is not None
        assert process.stderr is not None
        self.exceeded: Exceeded | None = None
        self._process = process
        self._limit = output_limit
        self._ended = asyncio.Event()
        self._pipes = {1: process.stdout, 2: process.stderr}
        self._kept = {1: bytearray(), 2: bytearray()}
        self._written = {1: 0, 2: 0}
        self._loop = asyncio.get_running_loop()
        for number, pipe in self._pipes.items():
            os.set_blocking(pipe.fileno(), False)
            self._loop.add_reader(pipe.fileno(), self._read, number)
        self._exit = os.pidfd_open(process.pid)
        self._loop.add_reader(self._exit, self._ended.set)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.returncode is None:
            self.finish()

    @property
    def truncated(self) -> bool:
        """It wrote more than is kept."""
        return any(written > self._limit for written in self._written.values())

    def text(self, number: int) -> str:
        """What it wrote to its output (1) or its errors (2), up to the limit."""
        return self._kept[number].decode(errors="replace")

    async def end(self, timeout_s: float, guard: Guard) -> bool:
        """Waits until it has ended, by itself or because it used too much.

        Returns:
            Whether that was in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._ends_soon():
                    self._stop(guard(self._process.pid))
        except TimeoutError:
            return False
        return True

    def finish(self) -> int:
        """Kills what is left of its group and reads what is left of its output.

        Returns:
            Its exit code; 128 + signal when a signal ended it.
        """
        kill(self._process)
        exit_code = self._process.wait()
        self._loop.remove_reader(self._exit)
        os.close(self._exit)
        for number, pipe in self._pipes.items():
            while self._read(number):
                pass
            self._loop.remove_reader(pipe.fileno())
            pipe.close()
        return exit_code if exit_code >= 0 else 128 - exit_code

    async def _ends_soon(self) -> bool:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _stop(self, exceeded: Exceeded | None) -> None:
        if exceeded is not None and self.exceeded is None:
            self.exceeded = exceeded
            kill(self._process)

    def _read(self, number: int) -> bool:
        """Reads a chunk, if there is one, and keeps of it what the limit allows."""
        pipe = self._pipes[number].fileno()
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(pipe)
            return False
        self._written[number] += len(data)
        self._kept[number] += data[: self._limit - len(self._kept[number])]
        if self._written[number] > _FLOOD:
            self._stop("output")
        return True
