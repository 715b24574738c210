"""The sandbox made by Docker: one container for each program, by way of the command line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from math import ceil
from pathlib import Path
from uuid import uuid4

from archloom.tools.errors import ToolError
from archloom.tools.sandboxes._confinement import NOBODY, WORK
from archloom.tools.sandboxes._level import Job, Level, followed
from archloom.tools.sandboxes._limits import CORES, Limits
from archloom.tools.sandboxes._memory import in_memory
from archloom.tools.sandboxes._paths import file_inside, inside
from archloom.tools.sandboxes._running import Exceeded, Running, start
from archloom.tools.sandboxes._sandbox import MAIN, ExecResult, SandboxLevel
from archloom.tools.sandboxes._temporary import TemporaryPlace, temporary_place

_GIVEN = "/given"
_FROM_GIVEN = f'cp -R {_GIVEN}/. . && cd "$0" && exec "$@"'
_OF_DOCKER = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
_OF_USER = ("HOME", "PATH", "XDG_RUNTIME_DIR")
_FAILED = 125
"""What ``docker run`` exits with when it is not the program that failed."""


class DockerSandbox(Level[TemporaryPlace]):
    """Runs each program in a container of its own, without network, capabilities, and rights to write.

    The container's working directory is in memory; that of a workspace is a temporary folder of this machine, so
    the engine must run here. The image must be there already: nothing is pulled. It needs ``sh`` and, for Python
    programs, ``python3``.
    """

    def __init__(
        self,
        image: str,
        *,
        binary: Path = Path("docker"),
        limits: Limits | None = None,
        concurrency: int = CORES,
    ) -> None:
        """Args: the image, the ``docker`` to use, limits of a program, and how many run at once; others wait."""
        super().__init__(limits=limits, concurrency=concurrency)
        self._image = image
        self._binary = binary
        self._user = NOBODY if os.geteuid() == 0 else os.geteuid()

    @property
    def level(self) -> SandboxLevel:
        """A container of its own."""
        return "docker"

    def probe(self) -> str | None:
        """Why it does not work on this machine; ``None`` when it does."""
        for words in (["version", "--format", "{{.Server.Version}}"], ["image", "inspect", self._image]):
            try:
                done = self._docker(words)
            except FileNotFoundError:
                return f"there is no {str(self._binary)!r} to be run"
            except (OSError, subprocess.TimeoutExpired) as exc:
                return str(exc)
            if done.returncode != 0:
                return done.stderr.strip() or f"docker {words[0]}: exit code {done.returncode}"
        return None

    def command(self, job: Job, name: str, given: Path, *, workspace: bool) -> list[str]:
        """The command line of one run.

        Args:
            job: What is to be run.
            name: Of the container.
            given: The folder of this machine with its files; it is copied, or as a workspace worked in.
            workspace: Which of the two.
        """
        space = f"size={self._limits.file_bytes},mode=1777,uid={self._user}"
        cmd = ["python3" if word == sys.executable else word for word in job.cmd[:1]] + list(job.cmd[1:])
        cwd = inside(job.cwd)
        if workspace:
            work = ["--mount", f"type=bind,source={given},target={WORK}", "--workdir", f"{WORK}/{cwd}"]
            inner = ["--entrypoint", cmd[0], self._image, *cmd[1:]]
        else:
            work = [
                *("--mount", f"type=bind,source={given},target={_GIVEN},readonly"),
                *("--tmpfs", f"{WORK}:rw,exec,{space}", "--workdir", WORK),
            ]
            inner = ["--entrypoint", "sh", self._image, "-c", _FROM_GIVEN, str(cwd), *cmd]
        return [
            *(str(self._binary), "run", "--rm", "--interactive", "--init", "--pull", "never", "--name", name),
            *("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *self._limiting(job.timeout_s),
            *("--read-only", "--tmpfs", f"/tmp:rw,exec,{space}", *work),
            *("--user", f"{self._user}:{self._user}"),
            *(word for key, value in {"HOME": "/tmp", **job.env}.items() for word in ("--env", f"{key}={value}")),
            *inner,
        ]

    def _limiting(self, timeout_s: float) -> Iterator[str]:
        limits = self._limits
        yield from ("--pids-limit", str(limits.processes))
        yield from ("--memory", str(limits.total_memory_bytes), "--memory-swap", str(limits.total_memory_bytes))
        for name, value in {
            "nofile": limits.open_files,
            "fsize": limits.file_bytes,
            "cpu": ceil(timeout_s + 1) * CORES,
            "core": 0,
        }.items():
            yield from ("--ulimit", f"{name}={value}:{value}")

    def _python(self) -> Sequence[str]:
        return ["python3", "-E", "-s", MAIN]

    async def _run(self, job: Job, place: TemporaryPlace | None) -> ExecResult:
        name = f"archloom-{uuid4().hex}"
        with ExitStack() as opened:
            work = place or opened.enter_context(self._folder())
            for path, content in job.files.items():
                work.folder.write(str(file_inside(path)), content)

            def guard(_pid: int) -> Exceeded | None:
                return "disk" if place is not None and place.is_full() else None

            process = start(
                self.command(job, name, work.path, workspace=place is not None),
                stdin=in_memory(job.stdin, opened),
                env=_environment(),
            )
            running = opened.enter_context(Running(process, output_limit=job.output_limit))
            is_over = False
            try:
                ended = await followed(running, job, guard)
                is_over = ended.result.exit_code is not None and process.returncode >= 0
            finally:
                if not is_over:  # what was killed is the command line; its container goes on
                    await asyncio.to_thread(self._remove, name)
        if ended.result.exit_code == _FAILED and ended.result.stderr.startswith("docker:"):
            raise ToolError(f"docker could not start {job.cmd[0]!r}: {ended.result.stderr.strip()}")
        return ended.result if place is None else place.judged(ended.result)

    def _remove(self, name: str) -> None:
        """Kills a container, and removes it if it was made but not started yet."""
        self._docker(["kill", name])
        self._docker(["rm", "--force", name])

    def _docker(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._binary), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            env=_environment(),
            check=False,
        )

    def _folder(self) -> AbstractContextManager[TemporaryPlace]:
        return temporary_place(self._limits.file_bytes, owner=None if self._user == os.geteuid() else self._user)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[TemporaryPlace]:
        with self._folder() as place:
            yield place


def _environment() -> Mapping[str, str]:
    """What docker's command line needs to find its engine; none of it reaches the container."""
    return {name: os.environ[name] for name in (*_OF_DOCKER, *_OF_USER) if name in os.environ}
