"""A llama.cpp server in a child process: started once for all its users, gone with the last of them."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE
from typing import IO, TypeAlias

from archloom.orchestrator.errors import ModelUnavailableError

Command: TypeAlias = tuple[str, ...]
"""Program and arguments of the child process."""

CHILD: Command = (sys.executable, "-P", str(Path(__file__).with_name("_child.py")))
START_TIMEOUT_S = 600.0
"""Longest wait for the weights to be read."""
_STOP_TIMEOUT_S = 5.0
_LOG_LINES = 5


@dataclass(frozen=True)
class Settings:
    """What makes two engines the same one.

    Attributes:
        path: The weights.
        context: Tokens of context of each sequence.
        slots: Sequences decoded at once.
        threads: Threads that compute.
    """

    path: str
    context: int
    slots: int
    threads: int


class Engine:
    """One child process. Its methods block and may be called from any thread; :func:`acquire` makes it."""

    def __init__(self, settings: Settings, command: Command) -> None:
        self.settings, self.command = settings, command
        self.users = 0
        self.key = secrets.token_hex(16)
        self._process: Future[subprocess.Popen[bytes]] = Future()
        self._address: Future[str | None] = Future()
        self._end, self._hint = "", "Check that the weights are whole and that there is memory for them."
        # This thread lives as long as the child: the kernel's parent-death signal follows the thread that
        # started a process, and would fire when a short-lived worker thread ends.
        self._owner = threading.Thread(target=self._own, name="llamacpp", daemon=True)
        self._owner.start()

    def address(self) -> str:
        """Waits until it answers; its base address.

        Raises:
            ModelUnavailableError: it ended instead, or takes too long.
        """
        try:
            address = self._address.result(START_TIMEOUT_S)
        except TimeoutError as exc:
            raise ModelUnavailableError(
                f"llama.cpp with {self.settings.path} was not ready after {START_TIMEOUT_S:g} s.",
                hint="Use smaller weights, or a faster disk.",
            ) from exc
        if address is None:
            self._owner.join()
            raise ModelUnavailableError(self._end, hint=self._hint)
        return address

    def ended(self, wait_s: float) -> str | None:
        """How it ended, with the last lines of its log; ``None`` when it still lives after this time."""
        self._owner.join(wait_s)
        return None if self._owner.is_alive() else self._end

    def stop(self) -> None:
        """Ends the process and reaps it."""
        if self._process.exception() is None:
            self._process.result().terminate()
            self._owner.join(_STOP_TIMEOUT_S)
            self._process.result().kill()
        self._owner.join()

    def _own(self) -> None:
        with tempfile.TemporaryFile() as log:
            try:
                # In a session of its own it does not get the Ctrl-C that its parent handles.
                process = subprocess.Popen(
                    self.command, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=log, start_new_session=True
                )
            except OSError as exc:
                self._end = f"llama.cpp could not be started: {exc}."
                self._process.set_exception(exc)
            else:
                with process:
                    self._process.set_result(process)
                    self._talk(process)
                self._end = self._end or _obituary(self.settings, process.returncode, log)
        if not self._address.done():
            self._address.set_result(None)

    def _talk(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout
        with suppress(BrokenPipeError):  # it ended at once, which its missing answer tells too
            process.stdin.write(json.dumps({**asdict(self.settings), "key": self.key}).encode() + b"\n")
        line = process.stdout.readline()
        answer = json.loads(line) if line.endswith(b"\n") else {}  # it may die while it writes
        if "address" in answer:
            self._address.set_result(answer["address"])
        elif "missing" in answer:
            self._end = f"The engine of provider 'llamacpp' cannot be imported: {answer['missing']}."
            self._hint = 'Install it: pip install "archloom[local]"'
        process.wait()


_engines: dict[tuple[Settings, Command], Engine] = {}
_lock = threading.Lock()


def acquire(settings: Settings, command: Command = CHILD) -> Engine:
    """The engine of these settings, one for all users in this process; :func:`release` gives it back."""
    with _lock:
        engine = _engines.get((settings, command))
        if engine is None or engine.ended(0) is not None:
            engine = _engines[settings, command] = Engine(settings, command)
        engine.users += 1
        return engine


def release(engine: Engine) -> None:
    """Gives the engine back; the last user stops it."""
    with _lock:
        engine.users -= 1
        last = engine.users == 0
        if last and _engines.get((engine.settings, engine.command)) is engine:
            del _engines[engine.settings, engine.command]
    if last:
        engine.stop()


def _obituary(settings: Settings, code: int, log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, 2) - 4096))
    lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
    said = " It said: " + " | ".join(lines) if lines else " It said nothing."
    return f"llama.cpp with {settings.path} ended with status {code}.{said}"
