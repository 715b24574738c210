"""Programs that run as what they are: processes of this user, on this machine."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from archloom.tools.sandboxes._level import Job, Level, followed
from archloom.tools.sandboxes._limits import CORES, Limits, limited, usage_guard
from archloom.tools.sandboxes._memory import in_memory
from archloom.tools.sandboxes._paths import inside
from archloom.tools.sandboxes._running import Exceeded, Running, start
from archloom.tools.sandboxes._sandbox import ExecResult, SandboxLevel
from archloom.tools.sandboxes._temporary import TemporaryPlace, temporary_place

_log = logging.getLogger(__name__)


class Unconfined(Level[TemporaryPlace]):
    """No sandbox: a program can read and write what you can, and reach the network.

    It gets a temporary folder, an environment without yours, limits of memory, time, output and files, and its
    process group is killed at the end. A program that wants to outlive that, does. For programs that you trust, and
    machines that are thrown away after use; each choice is logged as a warning.
    """

    def __init__(self, *, limits: Limits | None = None, concurrency: int = CORES) -> None:
        """Args: limits of a program, and how many run at once."""
        super().__init__(limits=limits, concurrency=concurrency)
        self._usage = usage_guard(self._limits)
        _log.warning(
            "Programs that models write run WITHOUT a sandbox (level 'none'): with your files, your network and "
            "your rights. Use it only for programs you trust, or on a machine that is thrown away."
        )

    @property
    def level(self) -> SandboxLevel:
        """Not kept apart."""
        return "none"

    def probe(self) -> str | None:
        """Why it does not work on this machine; ``None`` when it does."""
        return None if shutil.which("prlimit") else "there is no prlimit (package util-linux)"

    async def _run(self, job: Job, place: TemporaryPlace | None) -> ExecResult:
        with ExitStack() as opened:
            work = place or opened.enter_context(temporary_place(self._limits.file_bytes))
            home = opened.enter_context(temporary_place(self._limits.file_bytes))
            for path, content in job.files.items():
                work.folder.write(path, content)

            def guard(pid: int) -> Exceeded | None:
                return self._usage(pid) or ("disk" if work.is_full() or home.is_full() else None)

            process = start(
                [*limited(self._limits, job.timeout_s, processes=False), *job.cmd],
                stdin=in_memory(job.stdin, opened),
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "HOME": str(home.path),
                    "TMPDIR": str(home.path),
                    "LANG": "C.UTF-8",
                    **job.env,
                },
                cwd=work.path / inside(job.cwd),
            )
            running = opened.enter_context(Running(process, output_limit=job.output_limit))
            ended = await followed(running, job, guard)
            return work.judged(ended.result)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[TemporaryPlace]:
        with temporary_place(self._limits.file_bytes) as place:
            yield place
