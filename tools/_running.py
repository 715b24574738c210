"""A process under way: its output as it comes, and a kill that leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from archloom.tools.errors import ToolError

_CHUNK = 2**16
_FLOOD = 64 * 2**20
"""Bytes of output after which a program is killed: it prints in a loop, and reading on costs our time."""


class Running:
    """A process in a session of its own, started on creation and killed, with its group, on leaving.

    Not an asyncio subprocess: the start of one can be cancelled half-way, which kills the process but not what
    it has forked meanwhile. Here nothing is awaited between the start and the promise to kill.

    Attributes:
        ended: Set when the process has exited.
        flooded: It was killed for the amount of its output.
    """

    def __init__(self, command: Sequence[str], *, stdin: int, pass_fds: Sequence[int], output_limit: int) -> None:
        """Starts it with an empty environment.

        Raises:
            ToolError: it cannot be started.
        """
        self.ended = asyncio.Event()
        self.flooded = False
        self._limit = output_limit
        try:
            self._process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=pass_fds,
                start_new_session=True,
                env={},
            )
        except OSError as exc:
            raise ToolError(f"{command[0]} cannot be started: {exc}") from exc
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = {1: self._process.stdout, 2: self._process.stderr}
        self._kept = {1: bytearray(), 2: bytearray()}
        self._written = {1: 0, 2: 0}
        self._loop = asyncio.get_running_loop()
        for number, pipe in self._pipes.items():
            os.set_blocking(pipe.fileno(), False)
            self._loop.add_reader(pipe.fileno(), self._read, number)
        self._exit = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._exit, self.ended.set)

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

    def finish(self) -> int:
        """Kills what is left of its group and reads what is left of its output.

        Returns:
            Its exit code; 128 + signal when a signal ended it.
        """
        self._kill()
        exit_code = self._process.wait()
        self._loop.remove_reader(self._exit)
        os.close(self._exit)
        for number, pipe in self._pipes.items():
            while self._read(number):
                pass
            self._loop.remove_reader(pipe.fileno())
            pipe.close()
        return exit_code if exit_code >= 0 else 128 - exit_code

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

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
        if self._written[number] > _FLOOD and not self.flooded:
            self.flooded = True
            self._kill()
        return True
