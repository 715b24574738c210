"""Pools of warm worker processes, for work that may take for ever, or all memory, or may try anything."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from archloom.tools.errors import ToolError

_CHUNK = 1 << 20
_GRACE_S = 1.0
"""What a worker gets beyond a request's own limit, to write its reply down, before it is killed."""


class Worker:
    """A process that answers one request at a time; requests and replies are a length in eight bytes, and JSON."""

    def __init__(self, program: Path, flags: Sequence[str]) -> None:
        """Starts it, in a session of its own and without our environment.

        Raises:
            ToolError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                [sys.executable, *flags, str(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={},
                cwd="/",
            )
        except OSError as exc:
            raise ToolError(f"the worker {program.name} cannot be started: {exc}") from exc
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Nobody has killed it while it was idle."""
        return self._process.poll() is None

    def ask(self, request: bytes, *, timeout_s: float, longest: int) -> bytes:
        """Its reply to a request. After an exception the worker is of no use and must be stopped.

        Raises:
            TimeoutError: there is none in time.
            ConnectionError: it died, or its reply is longer than ``longest`` bytes.
        """
        deadline = time.monotonic() + timeout_s + _GRACE_S
        message = memoryview(len(request).to_bytes(8) + request)
        while message:
            message = message[os.write(self._in, message) :]
        size = int.from_bytes(self._read(8, deadline))
        if size > longest:
            raise ConnectionError(f"its reply of {size} bytes is longer than {longest}")
        return self._read(size, deadline)

    def stop(self) -> None:
        """Kills it, with all of its group, and waits for its end."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self, size: int, deadline: float) -> bytes:
        chunks, missing = [], size
        while missing:
            left_ms = (deadline - time.monotonic()) * 1000
            if left_ms <= 0 or not self._poll.poll(left_ms):
                raise TimeoutError
            chunk = os.read(self._out, min(missing, _CHUNK))
            if not chunk:
                raise ConnectionError(f"it ended with {self._process.wait()}")
            chunks.append(chunk)
            missing -= len(chunk)
        return b"".join(chunks)


class WorkerPool:
    """Workers, started when they are first needed and used again; safe for threads.

    Args:
        program: What each of them runs: a Python file.
        size: How many work at once; further requests wait.
        flags: For the interpreter; by default it sees neither environment nor installed packages.
    """

    def __init__(self, program: Path, size: int, *, flags: Sequence[str] = ("-I", "-S")) -> None:
        self._program, self._flags = program, tuple(flags)
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[Worker] = []
        self._lock = threading.Lock()

    def ask(self, request: bytes, *, timeout_s: float, longest: int) -> bytes:
        """A worker's reply; time spent waiting for one does not count.

        Raises:
            TimeoutError: there was none in time; the worker is gone.
            ConnectionError: the worker died.
            ToolError: none can be started.
        """
        with self._slots:
            worker = self._take()
            try:
                reply = worker.ask(request, timeout_s=timeout_s, longest=longest)
            except BaseException:  # the state of a worker in mid-request is unknown, whatever interrupted us
                worker.stop()
                raise
            with self._lock:
                self._idle.append(worker)
            return reply

    def close(self) -> None:
        """Stops the idle workers; a later request starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.stop()

    def _take(self) -> Worker:
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return Worker(self._program, self._flags)
            if worker.alive:
                return worker
            worker.stop()
