"""The level ``docker`` without an engine: the command line, and the life of a run with a program in its place.

The stand-in runs the command in the folder that it is given, and notes how it was called.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archloom.tools import ExecResult, Limits, SandboxUnavailableError, ToolError, sandbox
from archloom.tools.sandboxes import DockerSandbox
from archloom.tools.sandboxes._level import Job

STAND_IN = """\
#!{python} -I
import os, subprocess, sys
log, words = {log!r}, sys.argv[1:]
with open(log, "a") as file: print(*words, sep="\\x1f", file=file)
if words[0] == "run":
    name = words[words.index("--name") + 1]
    mounts = [word.split("source=")[1].split(",")[0] for word in words if word.startswith("type=bind")]
    image = words.index("image:1")
    if "missing" in words: sys.stderr.write("docker: Error response from daemon: no such image.\\n"); sys.exit(125)
    fresh = any(word.startswith("/job:") for word in words)
    command = words[image + 4:] if fresh else [words[words.index("--entrypoint") + 1], *words[image + 1:]]
    # The engine's process, which does not end with the command line.
    engine = subprocess.Popen(command, cwd=mounts[0], start_new_session=True)
    open(log + "." + name, "w").write(str(engine.pid))
    code = engine.wait()
    sys.exit(128 - code if code < 0 else code)
elif words[0] == "kill":
    try: os.kill(int(open(log + "." + words[1]).read()), 9)
    except (OSError, ValueError): sys.exit("no such container")
elif words[0] == "image" and words[2] == "absent:1": sys.exit("Error: No such image: absent:1")
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def binary(tmp_path: Path, log: Path) -> Path:
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(STAND_IN.format(python=sys.executable, log=str(log)))
    path.chmod(0o755)
    return path


@pytest.fixture
def box(binary: Path) -> DockerSandbox:
    return DockerSandbox("image:1", binary=binary, limits=Limits(total_memory_bytes=2**30, file_bytes=2**20))


def _calls(log: Path) -> list[list[str]]:
    return [line.split("\x1f") for line in log.read_text().splitlines()] if log.exists() else []


def test_command_line_of_a_command(box: DockerSandbox) -> None:
    job = Job([sys.executable, "-c", "x"], "sub", {"A": "b c"}, {}, "", 3.5, 100)
    user = "65534" if os.geteuid() == 0 else str(os.geteuid())
    cpus = 5 * (os.cpu_count() or 1)
    assert box.command(job, "archloom-1", Path("/given-here"), workspace=False) == [
        *(str(box._binary), "run", "--rm", "--interactive", "--init", "--pull", "never", "--name", "archloom-1"),
        *("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--pids-limit", "32", "--memory", "1073741824", "--memory-swap", "1073741824"),
        *("--ulimit", "nofile=128:128", "--ulimit", "fsize=1048576:1048576"),
        *("--ulimit", f"cpu={cpus}:{cpus}", "--ulimit", "core=0:0"),
        *("--read-only", "--tmpfs", f"/tmp:rw,exec,size=1048576,mode=1777,uid={user}"),
        *("--mount", "type=bind,source=/given-here,target=/given,readonly"),
        *("--tmpfs", f"/job:rw,exec,size=1048576,mode=1777,uid={user}", "--workdir", "/job"),
        *("--user", f"{user}:{user}", "--env", "HOME=/tmp", "--env", "A=b c"),
        *("--entrypoint", "sh", "image:1", "-c", 'cp -R /given/. . && cd "$0" && exec "$@"', "sub"),
        *("python3", "-c", "x"),
    ]


def test_command_line_in_a_workspace(box: DockerSandbox) -> None:
    job = Job(["make", "-j2"], "sub", {}, {}, "", 3.5, 100)
    words = box.command(job, "archloom-1", Path("/here"), workspace=True)
    mount = words.index("--mount")
    assert words[mount : mount + 4] == ["--mount", "type=bind,source=/here,target=/job", "--workdir", "/job/sub"]
    assert words[words.index("--entrypoint") :] == ["--entrypoint", "make", "image:1", "-j2"]


async def test_run_gives_files_and_input_and_takes_output_and_exit_code(box: DockerSandbox, log: Path) -> None:
    result = await box.exec(["sh", "-c", "cat a/b -; echo oh >&2; exit 3"], files={"a/b": "text "}, stdin="input")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "text input", "oh\n")
    assert [call[0] for call in _calls(log)] == ["run"]


async def test_python_is_that_of_the_image(box: DockerSandbox, log: Path) -> None:
    result = await box.python("import helper; print(helper.x)", files={"helper.py": "x = 1"})
    assert result.stdout == "1\n"
    assert _calls(log)[0][-4:] == ["python3", "-E", "-s", "main.py"]


async def test_run_out_of_time_kills_the_container(box: DockerSandbox, log: Path) -> None:
    result = await box.exec(["sleep", "60"], timeout_s=1.0)
    assert (result.timed_out, result.exit_code) == (True, None)
    await _assert_removed(log)


async def test_endless_output_kills_the_container(box: DockerSandbox, log: Path) -> None:
    result = await box.exec(["yes"], timeout_s=30)
    assert (result.exceeded, result.exit_code) == ("output", None)
    await _assert_removed(log)


async def test_cancellation_kills_the_container(box: DockerSandbox, log: Path) -> None:
    running = asyncio.create_task(box.exec(["sleep", "60"]))
    assert await _until(lambda: bool(list(log.parent.glob("log.*"))))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _assert_removed(log)


async def _assert_removed(log: Path) -> None:
    run, *rest = _calls(log)
    name = run[run.index("--name") + 1]
    assert rest == [["kill", name], ["rm", "--force", name]]
    (note,) = log.parent.glob(f"log.{name}")
    pid = int(note.read_text())
    assert await _until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


async def test_every_run_has_a_name_and_a_folder_of_its_own(box: DockerSandbox, log: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(box.exec(["true"], files={"x": "1"}))
    calls = _calls(log)
    assert len({call[call.index("--name") + 1] for call in calls}) == 3
    folders = {word for call in calls for word in call if word.startswith("type=bind")}
    assert len(folders) == 3
    assert not any(os.path.exists(word.split("source=")[1].split(",")[0]) for word in folders)  # noqa: PTH110, ASYNC240


async def test_failure_of_docker_is_no_failure_of_the_program(box: DockerSandbox) -> None:
    with pytest.raises(ToolError, match="docker could not start 'missing': docker: Error response"):
        await box.exec(["missing"])
    assert (await box.exec(["sh", "-c", "exit 125"])).exit_code == 125


async def test_files_of_a_workspace_live_on(box: DockerSandbox) -> None:
    async with box.workspace(files={"a": "1\n"}) as space:
        before = space.snapshot()
        assert (await space.exec(["sh", "-c", "cat a; echo 2 > b; chmod +x b"])).stdout == "1\n"
        assert space.read("b") == b"2\n"
        assert "new file mode 100755" in space.diff(before)
        full: ExecResult = await space.exec(["sh", "-c", "for i in 1 2 3; do head -c 500000 /dev/zero > $i; done"])
        assert full.exceeded == "disk"


def test_level_works_when_engine_and_image_are_there(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{binary.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ARCHLOOM_SANDBOX", "docker")
    monkeypatch.setenv("ARCHLOOM_SANDBOX_IMAGE", f"here:{binary.stat().st_ino}")
    assert sandbox().level == "docker"
    monkeypatch.setenv("ARCHLOOM_SANDBOX_IMAGE", "absent:1")
    with pytest.raises(SandboxUnavailableError, match=r"No such image: absent:1.*docker pull absent:1"):
        sandbox("docker")


def test_folder_that_is_given_belongs_to_the_user_of_the_container(box: DockerSandbox) -> None:
    with box._folder() as place:
        place.folder.write("x", "1")
        status = place.path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert status.st_uid == (place.path / "x").stat().st_uid == (65534 if os.geteuid() == 0 else os.geteuid())


async def _until(happens: Callable[[], bool]) -> bool:
    for _ in range(500):
        if happens():
            return True
        await asyncio.sleep(0.01)
    return False
