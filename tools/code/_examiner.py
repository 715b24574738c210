"""The process that runs tests on a program in another process; it is started inside the sandbox.

The program's process is forked before this one has read the tests, and loads the program after this one has put them,
and itself, out of its sight. It then answers calls; what is right is decided here, on plain data.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from types import CodeType
from typing import Any

from ._exchange import Handle, Peer, ProcessGoneError, at_the_call  # noqa: TID251 - there is no archloom here
from ._processes import TESTS, hide, kill, start_program  # noqa: TID251

_SHOWN = 300
_SYNTAX = ("SyntaxError", "IndentationError", "TabError")


class _TimeUpError(BaseException):
    """The time of the program is over."""


def main() -> None:
    """Runs the job and writes its report, behind the job's nonce, to standard output."""
    peer, pid = start_program()
    hide()
    job = json.loads(_taken())
    sys.stdout = sys.stderr  # what tests print is no report
    report = _Examination(peer, pid, job).report()
    kill(pid)
    os.write(1, f"\n{job['nonce']} {json.dumps(report)}\n".encode())
    os._exit(0)


def _taken() -> bytes:
    """All of standard input, which is empty afterwards for whoever finds another way to it."""
    chunks = list(iter(lambda: os.read(0, 2**20), b""))
    with suppress(OSError):  # a pipe is empty already
        os.ftruncate(0, 0)
    return b"".join(chunks)


class _Examination:
    """Tests on a loaded program, one after the other."""

    def __init__(self, peer: Peer, pid: int, job: dict[str, Any]) -> None:
        self._peer, self._pid, self._job = peer, pid, job
        self._time_up = False
        self._results: list[tuple[str, str]] = []

    def report(self) -> dict[str, object]:
        """What became of the program as a whole, and of each test that was begun."""
        signal.signal(signal.SIGALRM, self._end)
        signal.setitimer(signal.ITIMER_REAL, self._job["timeout_s"])
        try:
            outcome, detail = self._run()
        except _TimeUpError:
            outcome, detail = "timeout", ""
        except ProcessGoneError as exc:
            outcome, detail = self._gone(exc)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return {"outcome": outcome, "detail": detail, "results": self._results}

    def _run(self) -> tuple[str, str]:
        """The outcome of loading; ``passed`` says only that the tests could begin."""
        codes = [_compiled(test) for test in self._job["tests"]]
        setup, entry_point = _compiled(self._job["setup"]), self._job["entry_point"]
        wanted = {entry_point}.union(*(_names(code) for code in (*codes, setup) if isinstance(code, CodeType)))
        wanted -= (vars(sys.modules["builtins"]).keys() | sys.stdlib_module_names) - {entry_point}
        try:
            defined = self._peer.ask("load", self._job["program"], sorted(wanted))
        except Exception as exc:  # noqa: BLE001 - whatever the program raised
            return _load_failure(exc)
        if not isinstance(defined, dict) or entry_point not in defined:
            return "missing_function", f"the program does not define {entry_point}"
        if not callable(defined[entry_point]):
            return "missing_function", f"the program's {entry_point} is no function"
        space = {**defined, "__name__": TESTS}
        if isinstance(setup, str):
            return "invalid_test", setup
        _seed(self._job)
        try:
            exec(setup, space)
        except Exception as exc:  # noqa: BLE001 - whatever the setup raised
            if at_the_call(exc) is not None:  # it used the program
                return self._failure(exc)
            return "invalid_test", f"the setup of the tests fails: {type(exc).__name__}: {exc}"[:_SHOWN]
        for code in codes:
            self._results.append(self._result(code, space))
            if self._results[-1][0] in {"timeout", "exited"}:
                break
        return "passed", ""

    def _result(self, code: CodeType | str, space: dict[str, object]) -> tuple[str, str]:
        if isinstance(code, str):
            return "invalid_test", code
        self._peer.last_call = None
        outcome, detail = "passed", ""
        try:
            exec(code, space)
        except _TimeUpError:
            outcome = "timeout"
        except ProcessGoneError as exc:
            return self._gone(exc)
        except Exception as exc:  # noqa: BLE001 - whatever the program or the test raised
            outcome, detail = self._failure(exc)
        if self._time_up:  # even where the test let no exception through
            return "timeout", ""
        if self._peer.gone:
            return self._gone(ProcessGoneError("it has ended"))
        return outcome, detail

    def _failure(self, exc: Exception) -> tuple[str, str]:
        before = at_the_call(exc)
        if isinstance(exc, MemoryError):
            return "memory", ""
        if isinstance(exc, AssertionError) and before is None:
            return "failed", "; ".join(filter(None, [str(exc)[:_SHOWN], self._last_call()]))
        shown = str(exc) if type(exc).__name__ == "RemoteError" else f"{type(exc).__name__}: {exc}"
        if isinstance(exc, TypeError) and before:
            return "wrong_signature", shown[:_SHOWN]
        return "error", shown[:_SHOWN]

    def _last_call(self) -> str:
        if self._peer.last_call is None:
            return ""
        called, args, result = self._peer.last_call
        name = object.__getattribute__(called, "_kind") if isinstance(called, Handle) else "it"
        return f"{name}({', '.join(map(_short, args))}) returned {_short(result)}"

    def _gone(self, exc: ProcessGoneError) -> tuple[str, str]:
        for _ in range(50):  # its pipe closes a moment before it has ended
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
                return "exited", f"the program ended {how} before the tests did"
            time.sleep(0.001)
        return "exited", f"the program's process does not answer: {exc}"

    def _end(self, number: int, frame: object) -> None:
        self._time_up = True
        raise _TimeUpError


def _load_failure(exc: Exception) -> tuple[str, str]:
    name = type(exc).__name__
    if name in _SYNTAX:
        return "syntax_error", str(exc)[:_SHOWN]
    if isinstance(exc, MemoryError):
        return "memory", ""
    shown = str(exc) if name == "RemoteError" else f"{name}: {exc}"
    return "error", f"the program cannot be loaded: {shown}"[:_SHOWN]


def _compiled(source: str) -> CodeType | str:
    """The code of a test, or why there is none."""
    try:
        return compile(source, "tests.py", "exec")
    except (SyntaxError, ValueError) as exc:
        return f"the test is no Python: {exc}"


def _names(code: CodeType) -> set[str]:
    """All names that a piece of code looks up."""
    inner = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*inner)


def _seed(job: dict[str, Any]) -> None:
    """Tests that draw random numbers draw the same ones each time."""
    if any("random" in text for text in (job["setup"], *job["tests"])):
        import random

        random.seed(0)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
