"""What the documentation shows is run as it is written, and every error code is explained in it.

A comment before a fenced block, which no reader of the rendered page sees, says what becomes of it:

* ``<!-- run -->``: the commands or the Python code are run, and the output is what is shown (``...`` stands for
  anything; in Python, the comment behind a ``print`` is its output);
* ``<!-- run, figures differ by machine -->``: it is run, and its output is not compared;
* ``<!-- file: NAME -->``: it is written to that file, for what follows on the page.
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from difflib import ndiff
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import NamedTuple

import pytest

import archloom
from archloom.cli import main
from archloom.tools import ArchloomError

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"^<!-- (?P<what>run|file)(?P<rest>[^\n]*?) -->\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
PAGES = [page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if BLOCK.search(page.read_text())]


class Shown(NamedTuple):
    """A command and what the page shows below it."""

    command: str
    output: str


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_do_what_the_page_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("ARCHLOOM_STORE", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for block in BLOCK.finditer(page.read_text()):
        if block["what"] == "file":
            Path(block["rest"].removeprefix(": ")).write_text(block["text"])
        elif block["language"] == "python":
            run_python(block["text"])
        else:
            run_console(block["text"], compare=not block["rest"])


def run_console(text: str, *, compare: bool) -> None:
    shown = [Shown(*part.partition("\n")[::2]) for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    code = 0
    for command, output in shown:
        if command == "echo $?":
            assert str(code) == output.strip()
            code = 0
            continue
        assert code == 0, f"exit code {code} before: {command}"
        code, said = run_command(shlex.split(command))
        if compare:
            compare_texts(said, output, command)
    assert code == 0


def run_command(words: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    assert words[0] == "archloom"
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as left:
        main(words[1:])
    assert isinstance(left.value.code, int)
    return left.value.code, said.getvalue()


def run_python(text: str) -> None:
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(text, "<example>", "exec"), {"__name__": "__main__"})
    assert said.getvalue().splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", text, re.MULTILINE)


def compare_texts(said: str, shown: str, command: str) -> None:
    actual, expected = ("\n".join(map(str.rstrip, text.strip().splitlines())) for text in (said, shown))
    if not re.fullmatch(re.escape(expected).replace(r"\.\.\.", ".*"), actual, re.DOTALL):
        pytest.fail("\n".join([f"$ {command}", *ndiff(expected.splitlines(), actual.splitlines())]), pytrace=False)


def errors() -> list[type[ArchloomError]]:
    """Every error class of the package."""
    for module in walk_packages(archloom.__path__, "archloom."):
        import_module(module.name)
    found, waiting = list[type[ArchloomError]](), [ArchloomError]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("archloom."):
            found.append(cls)
    return found


def sections() -> dict[str, str]:
    """What ``docs/errors.md`` says about each code; a code with two headings is an error of the page."""
    parts = re.split(r"^### (E\d{3})\b", (ROOT / "docs" / "errors.md").read_text(), flags=re.MULTILINE)[1:]
    codes = parts[::2]
    assert codes == sorted(set(codes)), "codes stand once and in order"
    return dict(zip(codes, parts[1::2], strict=True))


def problem_codes() -> set[str]:
    """Codes of problems of documents, which are written where a problem is found."""
    sources = (path.read_text() for path in (ROOT / "graphs").rglob("_*.py"))
    return {code for source in sources for code in re.findall(r'"(E\d{3})"', source)}


def test_every_error_has_a_code_of_its_own() -> None:
    classes = errors()
    assert [cls.__name__ for cls in classes if "code" not in vars(cls)] == []
    assert [code for code, count in Counter(cls.code for cls in classes).items() if count > 1] == []


def test_the_table_of_errors_has_each_code_and_no_other() -> None:
    assert set(sections()) == {cls.code for cls in errors()} | problem_codes()


def test_the_table_of_errors_names_each_class_and_its_exit_code() -> None:
    said = sections()
    for cls in errors():
        assert f"`{cls.__name__}`" in said[cls.code]
        assert f"exit {cls.exit_code}" in said[cls.code], cls.__name__


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    folder = str(ROOT / "docs")
    sys.path.insert(0, folder)
    yield import_module("check")
    sys.path.remove(folder)


FAULTS = {
    "broken link": ("see [there](nowhere.md)", 1, "there is no nowhere.md"),
    "missing heading": ("# A\n\n[b](#b)", 3, "has no heading #b"),
    "unknown command": ("run `archloom fly x`", 1, "there is no fly"),
    "unknown subcommand": ("```console\n$ archloom models push x\n```", 2, "there is no push"),
    "unknown option": ("```sh\n\n.venv/bin/archloom run w.yaml hi --fast\n```", 3, "there is no --fast"),
    "bad document": ("```yaml\narchloom: 1\nnodes: {}\n```", 3, "must be a mapping of names"),
    "stale table": ("\n<!-- generated: budget -->\n\nold\n\n<!-- /generated -->\n", 2, "out of date"),
    "machine path": ("kept in /" + "root/models", 1, "path of one machine"),
}


@pytest.mark.parametrize(("text", "line", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_mistake_is_found_where_it_stands(
    check: ModuleType, tmp_path: Path, text: str, line: int, message: str
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "page.md").write_text(text)
    found = list(check.mistakes(tmp_path))
    assert (tmp_path / "page.md", line) in [(mistake.file, mistake.line) for mistake in found]
    assert message in "\n".join(map(str, found))


def test_good_pages_have_no_mistakes(check: ModuleType, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    page = tmp_path / "page.md"
    page.write_text(
        "# The title\n\n[here](#the-title), [it](https://example.org/x), `archloom COMMAND`, `archloom models pull x`\n\n"
        "```console\n$ archloom plan w.yaml --set nodes.a.samples=4 -h\n```\n\n"
        "<!-- generated: budget -->\nold\n<!-- /generated -->\n"
    )
    assert list(check.mistakes(tmp_path, write=True)) == []
    assert list(check.mistakes(tmp_path)) == []
    assert "| `calls` |" in page.read_text()
