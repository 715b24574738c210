"""The two processes of an examination: the program's, and the one that tests it. Both are inside the sandbox.

Like its neighbours this runs where there is no archloom.
"""

from __future__ import annotations

import operator
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from ._exchange import Peer, ProcessGoneError, Reference  # noqa: TID251 - in the sandbox there is no archloom

TESTS = "tests"
"""Name of the module that tests think they are."""
_PROGRAM = "program"
_HIDE = 4  # PR_SET_DUMPABLE
_OPERATIONS: dict[str, Callable[..., object]] = {
    "attribute": getattr,
    "set_attribute": setattr,
    "item": operator.getitem,
    "set_item": operator.setitem,
    "contains": operator.contains,
    "len": len,
    "bool": bool,
    "iter": iter,
    "next": next,
    "str": str,
}


def start_program() -> tuple[Peer, int]:
    """A process that waits for a program, and the connection to it."""
    tests_read, program_write = os.pipe()
    program_read, tests_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(program_read)
        os.close(program_write)
        return Peer(tests_read, tests_write, _serve_tests), pid
    os.close(tests_read)
    os.close(tests_write)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # before the tests are read from there
    os.dup2(2, 1)
    try:
        Peer(program_read, program_write, _serve_program).answer_all()
    except ProcessGoneError:
        os._exit(0)
    raise AssertionError("unreachable")  # answer_all returns only by an exception


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has ended, and been waited for
        os.kill(pid, signal.SIGKILL)


def hide() -> None:
    """Keeps other processes of the same user from this one's memory and descriptors."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_HIDE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _serve_program(operation: str, args: list[Any], kwargs: dict[str, Any]) -> object:
    try:
        if operation == "call":
            called, *rest = args
            value = called(*rest, **kwargs)
            # What a test makes of a class of the program it uses as an object, even where that is a kind of list.
            own = isinstance(called, type) and called.__module__ == _PROGRAM
            return Reference(value) if own else value
        if operation == "load":
            return _load(*args)
        return _OPERATIONS[operation](*args)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the program may have put anything in their place
                stream.flush()


def _serve_tests(operation: str, args: list[Any], kwargs: dict[str, Any]) -> object:
    """What the program may do with a function or an object that a test gave it.

    Attributes are for instances of the tests' own classes, and no special ones: those of functions and generators lead
    to the tests themselves.
    """
    given, *rest = args
    if operation == "call":
        return given(*rest, **kwargs)
    if operation in {"attribute", "set_attribute"} and (
        type(given).__module__ != TESTS or str(rest[0]).startswith("_")
    ):
        raise AttributeError(f"{rest[0]!r} of what the tests gave cannot be used")
    return _OPERATIONS[operation](given, *rest)


def _load(source: str, names: list[str]) -> dict[str, object]:
    """Runs a program as a module, and gives what it defines under these names."""
    module = ModuleType(_PROGRAM)
    sys.modules[_PROGRAM] = module  # dataclasses and typing look their module up
    exec(compile(source, "program.py", "exec"), vars(module))
    return {name: vars(module)[name] for name in names if name in vars(module)}
