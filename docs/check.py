"""Checks the documentation against the repository, and writes its generated tables.

python docs/check.py            prints FILE:LINE: MESSAGE for each mistake; exits with 1 when there is one
python docs/check.py --write    writes the generated tables first
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import typer
from reference import TABLES

from archloom.cli import app
from archloom.graphs import Document, DocumentError

ROOT = Path(__file__).resolve().parent.parent
_TABLE = re.compile(r"<!-- generated: (?P<name>\w+) -->\n(?P<text>.*?)<!-- /generated -->\n", re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")
_COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?archloom (?P<words>.+)$")
_MACHINE = re.compile(r"(?<![\w./<-])/(?:root|work|home/\w+|Users/\w+|tmp/\w+)/\w")


class Mistake(NamedTuple):
    """Something that is not true, and where it is said."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Line(NamedTuple):
    """A line of a page; ``language`` is that of the fenced block it stands in, or ``None`` in running text."""

    number: int
    text: str
    language: str | None


class _Command(Protocol):
    """What is read of a command of the command line."""

    params: list[_Option]


class _Option(Protocol):
    opts: list[str]
    secondary_opts: list[str]


def files(root: Path) -> list[Path]:
    """The files of the repository, committed or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (root / name for name in listed.stdout.splitlines())
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def lines(text: str) -> Iterator[Line]:
    """The lines of a page without the fences themselves."""
    language: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            language = line[3:].split(" ")[0] if language is None else None
        else:
            yield Line(number, line, language)


def broken_links(page: Path) -> Iterator[Mistake]:
    """Relative links to files that are not there, or to headings that are not in them."""
    for line in lines(page.read_text(encoding="utf-8")):
        targets = _LINK.findall(_CODE.sub("", line.text)) if line.language is None else []
        for target in targets:
            name, _, heading = target.partition("#")
            if ":" in name:
                continue
            file = (page.parent / name) if name else page
            if not file.exists():
                yield Mistake(page, line.number, f"there is no {name}")
            elif heading and heading not in _headings(file):
                yield Mistake(page, line.number, f"{file.name} has no heading #{heading}")


def _headings(page: Path) -> set[str]:
    """The headings of a page as GitHub makes links of them."""
    text = (line.text for line in lines(page.read_text(encoding="utf-8")) if line.language is None)
    titles = (line.lstrip("#").strip().lower() for line in text if line.startswith("#"))
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


def stale_tables(page: Path, *, write: bool = False) -> Iterator[Mistake]:
    """Generated parts that are not what the code says now; they are written instead where that is wanted."""
    text = page.read_text(encoding="utf-8")
    if write:
        new = _TABLE.sub(lambda found: _generated(found["name"]), text)
        if new != text:
            page.write_text(new, encoding="utf-8")
        return
    for found in _TABLE.finditer(text):
        if found[0] != _generated(found["name"]):
            number = text.count("\n", 0, found.start()) + 1
            yield Mistake(page, number, f"table {found['name']!r} is out of date: python docs/check.py --write")


def _generated(name: str) -> str:
    return f"<!-- generated: {name} -->\n\n{TABLES[name]()}\n\n<!-- /generated -->\n"


def bad_documents(page: Path) -> Iterator[Mistake]:
    """Workflow documents in fenced blocks that do not validate."""
    block: list[Line] = []
    for line in [*lines(page.read_text(encoding="utf-8")), Line(0, "", None)]:
        if line.language == "yaml" and (not block or line.number == block[-1].number + 1):
            block.append(line)
            continue
        text = "\n".join(each.text for each in block)
        if text.startswith("archloom: 1"):
            try:
                Document.parse(text)
            except DocumentError as exc:
                yield from (Mistake(page, block[0].number + p.line - 1, p.message) for p in exc.problems)
        block = [line] if line.language == "yaml" else []


def unknown_commands(page: Path) -> Iterator[Mistake]:
    """Commands and options that are shown and do not exist."""
    for line in lines(page.read_text(encoding="utf-8")):
        said = {None: _CODE.findall(line.text), "console": [line.text], "sh": [line.text]}.get(line.language, [])
        for found in filter(None, map(_COMMAND.match, said)):
            if wrong := _unknown(shlex.split(found["words"], comments=True)):
                yield Mistake(page, line.number, f"'archloom {found['words']}': there is no {wrong}")


def _unknown(words: list[str]) -> str | None:
    """The first of these words that the command line does not know as a command or as an option."""
    command: object = typer.main.get_command(app)
    while words and (inner := getattr(command, "commands", None)) is not None and not words[0].startswith("-"):
        if words[0] not in inner:
            return None if words[0].isupper() else words[0]  # NAME stands for any
        command, words = inner[words[0]], words[1:]
    known = {name for param in cast("_Command", command).params for name in (*param.opts, *param.secondary_opts)}
    given = (word.partition("=")[0] for word in words if word.startswith("-") and word != "-")
    return next((option for option in given if option not in {*known, "--help", "-h"}), None)


def machine_paths(file: Path) -> Iterator[Mistake]:
    """Paths that exist on somebody's machine only."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MACHINE.search(line):
            yield Mistake(file, number, f"a path of one machine: {found[0]}...")


def mistakes(root: Path, *, write: bool = False) -> Iterator[Mistake]:
    """Everything that is wrong with the pages and files below a folder."""
    everything = files(root)
    for page in (file for file in everything if file.suffix == ".md"):
        yield from stale_tables(page, write=write)
        for check in (broken_links, bad_documents, unknown_commands):
            yield from check(page)
    for file in everything:
        yield from machine_paths(file)


if __name__ == "__main__":
    found = list(mistakes(ROOT, write="--write" in sys.argv))
    for mistake in found:
        print(mistake._replace(file=mistake.file.relative_to(ROOT)))
    sys.exit(1 if found else 0)
