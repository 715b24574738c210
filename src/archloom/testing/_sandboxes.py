"""What every sandbox must keep, whatever keeps programs apart in it."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from pathlib import Path

import pytest

from archloom.tools import ExecResult, Sandbox, SandboxLevel, ToolError, python_command

_PROGRAMS = {
    "output": "print('x'); import sys; sys.stderr.write('y')",
    "its names": "import os, sys; print(__name__, sys.argv, os.path.relpath(__file__), sys.path[0] == os.getcwd())",
    "input": "print(input()); print(input())",
    "end of input": "import sys; print(sys.stdin.read()); input()",
    "exit code": "raise SystemExit(3)",
    "exit message": "raise SystemExit('no')",
    "error": "def f():\n    return 1 / 0\n\nf()",
    "error in a module beside it": "import helper\nhelper.fail()",
    "not Python": "def f(:",
    "main guard and a class": "class A:\n    pass\nif __name__ == '__main__':\n    print(A.__module__, A)",
    "at exit": "import atexit; atexit.register(print, 'end'); print('begin')",
    "future": "from __future__ import annotations\ndef f(x: nothing): pass\nprint(f.__annotations__)",
    "no names of ours": "print(sorted(name for name in globals() if not name.startswith('__')))",
    "source of its own": "import inspect\ndef f(): pass\nprint(inspect.getsource(f))",
    "recursion": "import sys\ndef f(n): return f(n + 1)\ntry: f(0)\nexcept RecursionError: print('deep')",
    "kills itself": "import os; os.kill(os.getpid(), 9)",
    "wide text": "print('héllo, 東京')",
}


@pytest.mark.asyncio
class SandboxConformance:
    """Inherit, and give the fixture ``box``::

        class TestMySandbox(SandboxConformance):
            @pytest.fixture
            def box(self):
                return MySandbox(...)

    Whether programs can get out of it is another matter, which this suite does not look at.
    """

    @pytest.fixture
    def box(self) -> Sandbox:
        """A sandbox with limits that a test can reach: at most 512 MiB for a process."""
        raise LookupError(f"{type(self).__name__} must override the fixture 'box'")

    async def test_it_names_its_level(self, box: Sandbox) -> None:
        levels: tuple[SandboxLevel, ...] = ("bwrap", "docker", "none")
        assert box.level in levels

    async def test_output_errors_and_exit_code_come_back(self, box: Sandbox) -> None:
        result = await _run(box, "import sys; print(input()); sys.stderr.write('oh'); sys.exit(3)", stdin="hé")
        assert (result.exit_code, result.stdout, result.stderr) == (3, "hé\n", "oh")
        assert (result.timed_out, result.truncated, result.exceeded) == (False, False, None)
        assert result.duration_s > 0

    async def test_files_are_in_a_fresh_writable_directory(self, box: Sandbox) -> None:
        source = "import os; print(sorted(os.listdir())); open('new', 'wb').write(open('a/b', 'rb').read())"
        for content in ("text", b"\xff\0"):
            result = await _run(box, source, files={"a/b": content})
            assert (result.exit_code, result.stdout) == (0, "['a']\n"), result.stderr

    @pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", "", "."])
    async def test_files_stay_inside(self, box: Sandbox, path: str) -> None:
        with pytest.raises(ToolError, match="inside the working directory"):
            await _run(box, "", files={path: "x"})
        with pytest.raises(ToolError, match="inside the working directory"):
            await box.python("", files={path: "x"})

    async def test_a_command_starts_where_it_is_told(self, box: Sandbox) -> None:
        result = await box.exec(["cat", "b"], cwd="a", files={"a/b": "text"})
        assert result.stdout == "text"
        with pytest.raises(ToolError, match="inside the working directory"):
            await box.exec(["true"], cwd="..")

    async def test_the_environment_is_what_was_given(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_KEY", "sk-123")
        result = await _run(box, "import os; print(dict(os.environ))", env={"MINE": "a b=c"})
        environment = ast.literal_eval(result.stdout)
        assert environment.pop("MINE") == "a b=c"
        assert environment.keys() <= {"PATH", "HOME", "LANG", "PWD", "TMPDIR", "LC_CTYPE", "HOSTNAME"}
        assert "sk-123" not in str(environment)

    async def test_an_endless_loop_ends_in_time(self, box: Sandbox) -> None:
        result = await _run(box, "print('begun', flush=True)\nwhile True: pass", timeout_s=1.0)
        assert (result.timed_out, result.exit_code, result.stdout) == (True, None, "begun\n")
        assert result.duration_s < 6

    async def test_endless_output_ends_before_its_time(self, box: Sandbox) -> None:
        result = await _run(box, "while True: print('x' * 1000)", timeout_s=60, output_limit=10)
        assert (result.exit_code, result.timed_out, result.exceeded) == (None, False, "output")
        assert (result.truncated, result.stdout) == (True, "x" * 10)

    async def test_output_beyond_the_limit_does_not_stop_a_program(self, box: Sandbox) -> None:
        result = await _run(box, "print('x' * 10**6); import sys; sys.exit(4)", output_limit=10)
        assert (result.exit_code, result.stdout, result.truncated) == (4, "x" * 10, True)

    async def test_a_process_gets_no_more_memory_than_its_limit(self, box: Sandbox) -> None:
        result = await _run(box, "x = bytearray(4 * 2**30)")
        assert result.exit_code not in {0, None}

    async def test_a_program_that_does_not_exist_is_its_own_failure(self, box: Sandbox) -> None:
        result = await box.exec(["no-such-program"])
        assert result.exit_code == 127
        assert "no-such-program" in result.stderr

    async def test_cancelling_ends_a_program_and_leaves_the_sandbox_usable(self, box: Sandbox) -> None:
        for call in (box.exec(["sleep", "60"]), box.python("import time; time.sleep(60)")):
            running = asyncio.ensure_future(call)
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        assert (await box.exec(["true"])).exit_code == 0

    @pytest.mark.parametrize("program", _PROGRAMS.values(), ids=_PROGRAMS)
    async def test_python_is_what_the_command_would_be(self, box: Sandbox, program: str) -> None:
        files = {"helper.py": "def fail():\n    raise ValueError('helper')\n"}
        command = [python_command()[0], "-E", "-s", "main.py"]
        expected = await box.exec(command, files={**files, "main.py": program}, stdin="one\ntwo\n")
        for _ in range(2):  # the first may have had to wait for its interpreter, the second has not
            result = await box.python(program, files=files, stdin="one\ntwo\n")
            assert _seen(result) == _seen(expected)

    async def test_python_is_limited_like_a_command(self, box: Sandbox) -> None:
        result = await box.python("print('begun', flush=True)\nwhile True: print('x')", timeout_s=1.0, output_limit=10)
        assert result.timed_out or result.exceeded == "output"
        assert (result.exit_code, result.truncated, result.stdout) == (None, True, "begun\nx\nx\n")
        assert (await box.python("x = bytearray(4 * 2**30)")).exit_code not in {0, None}

    async def test_no_program_finds_what_another_left(self, box: Sandbox) -> None:
        program = (
            "import os, sys; print(os.listdir(), 'left' in sys.modules); sys.modules['left'] = os; open('left', 'w')"
        )
        outputs = {(await box.python(program)).stdout for _ in range(4)}
        assert outputs == {"['main.py'] False\n"}

    async def test_the_files_of_a_workspace_live_on(self, box: Sandbox) -> None:
        async with box.workspace(files={"a/in": "1"}) as space:
            assert (
                await space.exec(["sh", "-c", "cp in out && echo $MORE"], cwd="a", env={"MORE": "2"})
            ).stdout == "2\n"
            assert space.read("a/out") == b"1"
            space.write("b/new", b"\xff", executable=True)
            result = await space.exec(["sh", "-c", "test -x b/new && cat a/out && rm a/in && cat", "sh"], stdin="end")
            assert (result.exit_code, result.stdout) == (0, "1end"), result.stderr
            with pytest.raises(ToolError, match="not there"):
                space.read("a/in")

    async def test_a_workspace_can_be_changed_from_both_sides(self, box: Sandbox) -> None:
        async with box.workspace(files={"a/x": "1"}) as space:
            made = await space.exec(
                ["sh", "-c", "echo 2 > a/x && mkdir -p c/d && echo 3 > c/d/y && rm -r a && mkdir a"]
            )
            assert made.exit_code == 0, made.stderr
            space.write("c/d/y", "4")
            space.write("a/x", "5")
            assert (await space.exec(["cat", "c/d/y", "a/x"])).stdout == "45"

    async def test_what_changed_in_a_workspace_is_a_patch(self, box: Sandbox) -> None:
        async with box.workspace(files={"keep": "k\n", "gone": "g\n", "run": "r\n", "edit": "1\n2\n"}) as space:
            before = space.snapshot()
            assert space.diff(before) == ""
            await space.exec(
                ["sh", "-c", "rm gone; chmod +x run; echo 3 >> edit; printf x > new; printf '\\0' > binary"]
            )
            after = space.snapshot()
            patch = space.diff(before)
        assert before.diff(after) == patch
        assert patch.splitlines() == [
            "diff --git a/binary b/binary",
            "new file mode 100644",
            "Binary files /dev/null and b/binary differ",
            "diff --git a/edit b/edit",
            "--- a/edit",
            "+++ b/edit",
            "@@ -1,2 +1,3 @@",
            " 1",
            " 2",
            "+3",
            "diff --git a/gone b/gone",
            "deleted file mode 100644",
            "--- a/gone",
            "+++ /dev/null",
            "@@ -1 +0,0 @@",
            "-g",
            "diff --git a/new b/new",
            "new file mode 100644",
            "--- /dev/null",
            "+++ b/new",
            "@@ -0,0 +1 @@",
            "+x",
            "\\ No newline at end of file",
            "diff --git a/run b/run",
            "old mode 100644",
            "new mode 100755",
        ]

    async def test_a_workspace_begins_as_a_copy_of_a_folder(self, box: Sandbox, tmp_path: Path) -> None:
        (tmp_path / "sub/empty").mkdir(parents=True)
        (tmp_path / "sub/run.sh").write_text("#!/bin/sh\necho ran\n")
        (tmp_path / "sub/run.sh").chmod(0o755)
        (tmp_path / "link").symlink_to("sub/run.sh")
        async with box.workspace(folder=tmp_path, files={"more": "m"}) as space:
            result = await space.exec(["sh", "-c", "./link && ls sub && cat more && echo x > sub/run.sh && rm link"])
            assert (result.exit_code, result.stdout) == (0, "ran\nempty\nrun.sh\nm"), result.stderr
        assert (tmp_path / "sub/run.sh").read_text() == "#!/bin/sh\necho ran\n"
        assert (tmp_path / "link").is_symlink()

    async def test_a_workspace_has_a_size(self, box: Sandbox) -> None:
        source = "for i in range(40): open(str(i), 'wb').write(bytes(2**23))"
        async with box.workspace() as space:
            result = await space.exec([sys.executable, "-c", source], timeout_s=30)
            assert result.exit_code not in {0} or result.exceeded == "disk"
            assert result.exceeded in {None, "disk"}
            assert not result.timed_out

    async def test_workspaces_are_apart(self, box: Sandbox) -> None:
        async with box.workspace() as one, box.workspace() as other:
            one.write("x", "1")
            assert other.snapshot().entries == {}
            assert (await other.exec(["ls"])).stdout == ""
        async with box.workspace() as again:
            assert again.snapshot().entries == {}


async def _run(box: Sandbox, source: str, **options: object) -> ExecResult:
    return await box.exec([*python_command(), "-c", source], **options)  # type: ignore[arg-type]  # a test's own


def _seen(result: ExecResult) -> tuple[int | None, str, str]:
    """What a program was seen to do, wherever its folder lay."""
    return result.exit_code, result.stdout, re.sub(r'File "[^"]*/', 'File "', result.stderr)
