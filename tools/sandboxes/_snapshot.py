"""What lies in a workspace at one moment, and what changed since, as a patch."""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff

from archloom.tools.sandboxes._folder import Folder

_COMPARABLE = 4_000_000
"""Lines before times lines after, up to which two texts are compared line by line; that takes up to a second."""
_NO_NEWLINE = "\\ No newline at end of file"


@dataclass(frozen=True)
class Entry:
    """A file or a symbolic link.

    Attributes:
        mode: As Git writes it: ``100644``, ``100755`` when it may be executed, ``120000`` for a link.
        content: Of a file; of a link, where it points to.
    """

    mode: str
    content: bytes


@dataclass(frozen=True)
class Snapshot:
    """Files and links of a workspace by path. Like in Git, empty folders leave no trace."""

    entries: Mapping[str, Entry]

    def diff(self, after: Snapshot) -> str:
        """The patch that makes ``after`` of this: unified, in Git's format, as ``git apply`` reads it.

        Added, removed and changed files, executable bits and links are in it. Of a file that is not text in UTF-8
        it only says that it differs.
        """
        paths = sorted(self.entries.keys() | after.entries.keys())
        return "".join(_change(path, self.entries.get(path), after.entries.get(path)) for path in paths)


def taken(folder: Folder, *, without: Collection[str], limit_bytes: int) -> Snapshot:
    """A snapshot of a folder.

    Raises:
        ToolError: the folder or one of its files is too large, or cannot be read.
    """
    entries: dict[str, Entry] = {}
    for path, status in folder.walk(without=without):
        if stat.S_ISLNK(status.st_mode):
            entries[path] = Entry("120000", folder.link(path).encode(errors="surrogateescape"))
        elif stat.S_ISREG(status.st_mode):
            mode = "100755" if status.st_mode & 0o100 else "100644"
            entries[path] = Entry(mode, folder.read(path, limit_bytes=limit_bytes))
    return Snapshot(entries)


def _change(path: str, before: Entry | None, after: Entry | None) -> str:
    if before == after:
        return ""
    if before is not None and after is not None and _kind(before) != _kind(after):
        return _change(path, before, None) + _change(path, None, after)  # Git writes it so, too
    return "\n".join((*_header(path, before, after), *_body(path, before, after), ""))


def _kind(entry: Entry) -> str:
    return entry.mode[:3]


def _header(path: str, before: Entry | None, after: Entry | None) -> Iterator[str]:
    yield f"diff --git {_named('a/', path)} {_named('b/', path)}"
    if before is None and after is not None:
        yield f"new file mode {after.mode}"
    elif before is not None and after is None:
        yield f"deleted file mode {before.mode}"
    elif before is not None and after is not None and before.mode != after.mode:
        yield f"old mode {before.mode}"
        yield f"new mode {after.mode}"


def _body(path: str, before: Entry | None, after: Entry | None) -> Iterator[str]:
    old, new = (b"" if entry is None else entry.content for entry in (before, after))
    if old == new:
        return
    a = "/dev/null" if before is None else _named("a/", path)
    b = "/dev/null" if after is None else _named("b/", path)
    old_text, new_text = _text(old), _text(new)
    if old_text is None or new_text is None:
        yield f"Binary files {a} and {b} differ"
        return
    # A name with a space ends at a tab, as Git writes it.
    yield f"--- {a}" + ("\t" if " " in a else "")
    yield f"+++ {b}" + ("\t" if " " in b else "")
    yield from _hunks(_lines(old_text), _lines(new_text))


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    for line in _compared(old, new):
        if line.endswith("\n"):
            yield line[:-1]
        else:
            yield line
            yield _NO_NEWLINE


def _compared(old: list[str], new: list[str]) -> Iterator[str]:
    same = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    left, right = len(old) - same, len(new) - same
    if left * right <= _COMPARABLE:
        yield from list(unified_diff(old, new, lineterm="\n"))[2:]  # without its own names of the files
        return
    # Two long texts with nothing in common take difflib minutes; as one block the patch is still right.
    yield f"@@ -{_span(same, left)} +{_span(same, right)} @@\n"
    yield from (f"-{line}" for line in old[same:])
    yield from (f"+{line}" for line in new[same:])


def _span(start: int, count: int) -> str:
    return f"{start + 1 if count else start},{count}"


def _lines(text: str) -> list[str]:
    """Lines with their ends. Only a line feed ends one, unlike for ``str.splitlines``."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _text(content: bytes) -> str | None:
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _named(side: str, path: str) -> str:
    """A path as Git writes it: in quotes when a character would be misread."""
    plain = path.isprintable() and not set(path) & set('"\\')
    if plain:
        return side + path
    raw = (side + path).encode(errors="surrogateescape")
    escaped = "".join(
        f"\\{chr(byte)}" if byte in b'"\\' else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in raw
    )
    return f'"{escaped}"'
