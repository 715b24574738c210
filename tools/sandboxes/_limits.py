"""What a program may use, and how much of it processes use now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from archloom.tools.sandboxes._running import Exceeded, Guard

CORES = os.cpu_count() or 1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_OURS = 8
"""Processes that may stand around a program: bubblewrap's own."""


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
        memory_bytes: Address space of each process.
        total_memory_bytes: Memory of all its processes together, looked at five times a second. Files in the
            sandbox's folders in memory do not count; each folder has its own limit.
        processes: Processes and threads at once.
        file_bytes: Size of a file, and of each of the writable directories.
        open_files: Files open at once, in each process.
    """

    memory_bytes: int = 512 * 2**20
    total_memory_bytes: int = 2**30
    processes: int = 32
    file_bytes: int = 64 * 2**20
    open_files: int = 128


def limited(limits: Limits, cpu_s: float, *, processes: bool) -> Sequence[str]:
    """The command that sets the kernel's limits for the one that follows.

    Args:
        limits: Of each process.
        cpu_s: Seconds on all cores after which the kernel ends it, for when nobody is left to do so.
        processes: Whether the user is this program's alone, so that its processes can be counted.
    """
    return [
        *("prlimit", f"--as={limits.memory_bytes}", f"--nofile={limits.open_files}", f"--fsize={limits.file_bytes}"),
        *([f"--nproc={limits.processes}"] if processes else []),
        *(f"--cpu={int(cpu_s + 1) * CORES}", "--core=0", "--"),
    ]


def usage_guard(limits: Limits) -> Guard:
    """Notices processes that together use more memory than they may, or are too many where no kernel counts them."""

    def exceeded(pid: int) -> Exceeded | None:
        family = [pid, *_descendants(pid)]
        if len(family) > limits.processes + _OURS:
            return "processes"
        return "memory" if _used_bytes(family, limits.total_memory_bytes) > limits.total_memory_bytes else None

    return exceeded


def _used_bytes(family: Sequence[int], enough: int) -> int:
    """Memory of some processes. Pages that they share are told apart only above ``enough``."""
    resident = sum(_resident_bytes(each) for each in family)
    return resident if resident <= enough else sum(_share_bytes(each) for each in family)


def _descendants(pid: int) -> Iterator[int]:
    """All below a process. In a process namespace orphans come under its first process, so none is missed."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                # The name of a program, in brackets, may hold anything.
                parent = (process / "stat").read_bytes().rpartition(b")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(process.name))
    rest = [pid]
    while rest:
        below = children.get(rest.pop(), [])
        yield from below
        rest += below


def _resident_bytes(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path("/proc", str(pid), "statm").read_bytes().split()[1]) * _PAGE
    return 0


def _share_bytes(pid: int) -> int:
    """Its memory, with each page that several share divided among them."""
    with suppress(OSError):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident_bytes(pid)
