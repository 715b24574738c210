"""The program of a warm worker: waits for one Python program and becomes it.

It runs inside the sandbox, without archloom, so it imports the standard library only. What the program sees is
what ``python main.py`` would show it: its name, its arguments, its folder first in the import path, and tracebacks
that begin with its own file.
"""

from __future__ import annotations

import marshal
import os
import resource
import sys
from types import ModuleType, TracebackType


def serve(wake: int, mailbox: int) -> None:
    """Runs the program that lies in a mailbox as ``__main__``.

    Args:
        wake: A pipe that says when the program is there; it ends without a word when there will be none.
        mailbox: A file with seconds of CPU, the name of the program's file, and files by path.
    """
    if not os.read(wake, 1):
        return
    os.close(wake)
    with open(mailbox, "rb") as letter:
        cpu_s, name, files = marshal.loads(letter.read())
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    for path, content in files.items():
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)  # noqa: PTH103, PTH120 - pathlib takes time to import
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)
    main = ModuleType("__main__")
    main.__file__ = os.path.join(os.getcwd(), name)  # noqa: PTH109, PTH118
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    sys.argv[:] = [name]
    sys.path[0] = os.getcwd()  # noqa: PTH109
    sys.excepthook = _shown
    exec(compile(files[name], main.__file__, "exec", dont_inherit=True), main.__dict__)


def _shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints a traceback without the frames of this file, which was given as ``-c``."""
    while trace is not None and trace.tb_frame.f_code.co_filename == "<string>":
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)
