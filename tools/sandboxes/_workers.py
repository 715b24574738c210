"""Python interpreters that are up before there is a program for them, each for one program."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archloom.tools.sandboxes._confinement import Wanted, confined
from archloom.tools.sandboxes._limits import CORES, Limits
from archloom.tools.sandboxes._memory import in_memory
from archloom.tools.sandboxes._running import kill, start
from archloom.tools.sandboxes._seccomp import call_filter

_CPU_S = 3600
"""Of a worker that waits; it gets its program's own limit with it."""


@dataclass(frozen=True)
class Worker:
    """A confined interpreter that waits for its program.

    Attributes:
        process: What runs it.
        status: Descriptor of bubblewrap's report on it.
        stdin: Descriptor of its standard input, still empty.
        mailbox: Descriptor of the file that it finds its program in.
        wake: Descriptor of the pipe that it waits at.
        opened: Closes these, but not the process.
        thread: What started it; bubblewrap ends with the thread, not with the process, that started it.
    """

    process: subprocess.Popen[bytes]
    status: int
    stdin: int
    mailbox: int
    wake: int
    opened: ExitStack
    thread: threading.Thread

    def give(self, name: str, files: Mapping[str, bytes], *, stdin: bytes, cpu_s: int) -> None:
        """Hands it its program, once."""
        _written(self.stdin, stdin)
        _written(self.mailbox, marshal.dumps((cpu_s, name, dict(files))))
        with suppress(BrokenPipeError):  # it has died, which is seen as it is followed
            os.write(self.wake, b"x")

    def end(self) -> None:
        """Kills it, before it has run anything."""
        kill(self.process)
        self.process.communicate()
        self.opened.close()


def start_worker(binary: Path, limits: Limits) -> Worker:
    """Starts one; it is not waited for.

    Raises:
        ToolError: it cannot be started.
    """
    with ExitStack() as opened:
        stdin, mailbox, status = (in_memory("", opened) for _ in range(3))
        waiting, wake = os.pipe()
        opened.callback(os.close, wake)
        calls = call_filter()
        with ExitStack() as given:
            given.callback(os.close, waiting)
            seccomp = None if calls is None else in_memory(calls, given)
            program = f"{_program()}\nserve({waiting}, {mailbox})"
            wanted = Wanted([sys.executable, "-E", "-s", "-c", program], _CPU_S, status=status, seccomp=seccomp)
            process = start(
                confined(binary, wanted, limits),
                stdin=stdin,
                pass_fds=[waiting, mailbox, status, *([] if seccomp is None else [seccomp])],
            )
        return Worker(process, status, stdin, mailbox, wake, opened.pop_all(), threading.current_thread())


class Workers:
    """Keeps workers ready: one for each that was ever busy at once, up to the number of cores.

    A thread gets only workers that it started itself, as another may end, and its workers with it, at any time.
    """

    def __init__(self, begin: Callable[[], Worker], *, keep: int = CORES) -> None:
        """Args: what starts a worker, and how many wait at most."""
        self._begin = begin
        self._keep = keep
        self._waiting: list[Worker] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._closed = weakref.finalize(self, _end_all, self._waiting, self._owner)

    def take(self) -> Worker:
        """A worker that nobody else has or had; a new one when none waits.

        Raises:
            ToolError: it cannot be started.
        """
        with self._lock:
            self._leave_to_parent()
            for worker in list(self._waiting):
                ours = worker.thread is threading.current_thread()
                if ours or not worker.thread.is_alive():
                    self._waiting.remove(worker)
                    if ours and worker.process.poll() is None:
                        return worker
                    worker.end()
        return self._begin()

    def replace(self) -> None:
        """Starts the next one, after :meth:`take`.

        Raises:
            ToolError: it cannot be started.
        """
        with self._lock:
            if len(self._waiting) < self._keep:
                self._waiting.append(self._begin())

    def close(self) -> None:
        """Ends those that wait. More can be taken afterwards; what is left then ends with this process."""
        with self._lock:
            self._leave_to_parent()
            _end_all(self._waiting, self._owner)

    def _leave_to_parent(self) -> None:
        """Lets go of workers in a forked process: they wait for its parent, who must not share one with it."""
        if self._owner != os.getpid():
            for worker in self._waiting:
                worker.opened.close()
                worker.process.returncode = 0  # not ours to wait for
            self._waiting.clear()
            self._owner = os.getpid()
            self._closed.detach()
            self._closed = weakref.finalize(self, _end_all, self._waiting, self._owner)


def _end_all(waiting: list[Worker], owner: int) -> None:
    if owner == os.getpid():
        while waiting:
            waiting.pop().end()


@cache
def _program() -> str:
    return Path(__file__).with_name("_worker.py").read_text(encoding="utf-8")


def _written(descriptor: int, content: bytes) -> None:
    """Writes at the beginning, without moving the position that the worker reads from."""
    done = 0
    while done < len(content):
        done += os.pwrite(descriptor, content[done:], done)
