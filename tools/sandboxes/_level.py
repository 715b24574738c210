"""What all levels of isolation share: turns, and commands, programs and workspaces in terms of one job."""

from __future__ import annotations

import asyncio
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from archloom.tools.sandboxes._folder import Folder
from archloom.tools.sandboxes._limits import CORES, Limits
from archloom.tools.sandboxes._running import Guard, Running
from archloom.tools.sandboxes._sandbox import MAIN, NO_ENV, NO_FILES, ExecResult, Files, SandboxLevel
from archloom.tools.sandboxes._workspace import Workspace


@dataclass(frozen=True)
class Job:
    """A command and all that it is given; see :meth:`~archloom.tools.Sandbox.exec`."""

    cmd: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    files: Files
    stdin: str
    timeout_s: float
    output_limit: int


@dataclass(frozen=True)
class Place:
    """Where the files of a workspace lie."""

    folder: Folder


AnyPlace = TypeVar("AnyPlace", bound=Place)


class Level(ABC, Generic[AnyPlace]):
    """A :class:`~archloom.tools.Sandbox` in terms of how one job is run, and of where a workspace's files lie."""

    def __init__(self, *, limits: Limits | None = None, concurrency: int = CORES) -> None:
        """Args: limits of a program, and how many run at once; others wait."""
        self._limits = limits or Limits()
        self._concurrency = concurrency
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    @abstractmethod
    def level(self) -> SandboxLevel:
        """How far programs are kept apart."""

    @abstractmethod
    def probe(self) -> str | None:
        """Why it does not work on this machine; ``None`` when it does."""

    async def exec(
        self,
        cmd: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] = NO_ENV,
        files: Files = NO_FILES,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a command; see :class:`~archloom.tools.Sandbox`. Its time starts when its turn comes."""
        async with self._turn():
            return await self._run(Job(cmd, cwd, env, files, stdin, timeout_s, output_limit), None)

    async def python(
        self,
        program: str,
        *,
        files: Files = NO_FILES,
        stdin: str = "",
        timeout_s: float = 10.0,
        output_limit: int = 65536,
    ) -> ExecResult:
        """Runs a Python program; see :class:`~archloom.tools.Sandbox`. Its time starts when its turn comes."""
        job = Job(self._python(), ".", NO_ENV, {**files, MAIN: program}, stdin, timeout_s, output_limit)
        async with self._turn():
            return await self._run_python(job)

    def workspace(
        self, *, files: Files = NO_FILES, folder: Path | None = None
    ) -> AbstractAsyncContextManager[Workspace]:
        """A directory that lives on across several commands; see :class:`~archloom.tools.Sandbox`."""
        return self._workspace(files, folder)

    @asynccontextmanager
    async def _workspace(self, files: Files, folder: Path | None) -> AsyncIterator[Workspace]:
        async with self._place() as place:

            async def run(
                cmd: Sequence[str], cwd: str, env: Mapping[str, str], stdin: str, timeout_s: float, output_limit: int
            ) -> ExecResult:
                async with self._turn():
                    return await self._run(Job(cmd, cwd, env, NO_FILES, stdin, timeout_s, output_limit), place)

            if folder is not None:
                await asyncio.to_thread(place.folder.copy, folder)
            for path, content in files.items():
                place.folder.write(path, content)
            yield Workspace(place.folder, run)

    def _turn(self) -> asyncio.Semaphore:
        return self._slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._concurrency))

    def _python(self) -> Sequence[str]:
        """The command for ``main.py`` beside files that it may import."""
        return [sys.executable, "-E", "-s", MAIN]

    async def _run_python(self, job: Job) -> ExecResult:
        """Runs :data:`MAIN`, which is among the job's files."""
        return await self._run(job, None)

    @abstractmethod
    async def _run(self, job: Job, place: AnyPlace | None) -> ExecResult:
        """Runs one job: in a fresh directory, or in that of a workspace."""

    @abstractmethod
    def _place(self) -> AbstractAsyncContextManager[AnyPlace]:
        """A new place for the files of a workspace."""


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what is left to be said about it."""

    exit_code: int
    result: ExecResult


async def followed(running: Running, job: Job, guard: Guard) -> Ended:
    """Follows a process to its end, in time or not."""
    started = time.perf_counter()
    in_time = await running.end(job.timeout_s, guard)
    exit_code = running.finish()
    killed = not in_time or running.exceeded is not None
    result = ExecResult(
        exit_code=None if killed else exit_code,
        stdout=running.text(1),
        stderr=running.text(2),
        timed_out=not in_time,
        truncated=running.truncated,
        duration_s=time.perf_counter() - started,
        exceeded=running.exceeded,
    )
    return Ended(exit_code, result)
