"""The process that keeps a vLLM server for :mod:`archloom.orchestrator.models.vllm._server`, and ends it.

It is started by file name and imports nothing of archloom. Nobody has to tell it anything afterwards: each user of the
server holds a shared lock on the file ``users`` of its folder, which the kernel takes away from users that are killed;
once the keeper gets that lock for itself, nobody is left. The lock on the file ``alive`` is its own and the server's:
whoever gets that one knows that both are gone. It reads one JSON object from its standard input:

* ``folder``: where these files are; ``lock``: descriptor of ``alive``, locked by the starter;
* ``command``: program and flags, to which host and port are added; ``env``: the server's environment; ``key``: its key;

and writes ``state.json`` there: ``port``, ``key``, ``pid`` of the server, and in the end ``ended``: how.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

STOP_TIMEOUT_S = 20.0
"""Longest wait for a server that was asked to end."""
_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1


class Order(TypedDict):
    """What it is told."""

    key: str
    folder: str
    lock: int
    command: list[str]
    env: dict[str, str]


def main() -> None:
    """Returns at once in the process that was started; its child keeps the server until nobody uses it."""
    order: Order = json.load(sys.stdin)
    if os.fork():
        return  # nobody has to reap the other one
    os.setsid()  # a Ctrl-C is for the users
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit())
    state: dict[str, object] = {"key": order["key"]}
    # vLLM's socket has this option, too: both can be bound, nobody else can, and only vLLM listens.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        state["port"] = reserved.getsockname()[1]
        state["ended"] = _served(order, state)
    _write(order, state)
    os.close(order["lock"])  # before the users' lock: who gets that one finds no half-ended server


def _served(order: Order, state: dict[str, object]) -> str:
    """Runs the server to its end; how it ended."""
    command = [*order["command"], "--host", "127.0.0.1", "--port", str(state["port"])]
    try:
        server = subprocess.Popen(
            command,
            env=order["env"],
            stdin=subprocess.DEVNULL,
            process_group=0,
            pass_fds=(order["lock"],),
            preexec_fn=_dies_with_parent(),
        )
    except OSError as exc:
        return f"could not be started: {exc}"
    try:
        _write(order, state | {"pid": server.pid})
        users = os.open(Path(order["folder"]) / "users", os.O_RDWR)
        while server.poll() is None:
            if _is_free(users):
                return "was stopped, because nobody used it"
            time.sleep(_POLL_S)
        return f"ended with status {server.returncode}"
    finally:
        _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and all that it started."""
    if server.poll() is None:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _is_free(users: int) -> bool:
    """Whether no user is left; if so, new ones have to wait until this process has ended."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(order: Order, state: dict[str, object]) -> None:
    draft = Path(order["folder"]) / "state.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(state, file)
    draft.replace(draft.with_name("state.json"))


def _dies_with_parent() -> Callable[[], None] | None:
    """What the kernel is asked in the server, so that it does not outlive a keeper that is killed."""
    if sys.platform != "linux":
        return None
    libc, keeper = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != keeper:
            os._exit(1)  # it died before the kernel was asked

    return ask


if __name__ == "__main__":
    main()
