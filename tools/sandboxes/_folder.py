"""A folder whose contents nobody trusts, handled without ever following a link out of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from archloom.tools.errors import ToolError
from archloom.tools.sandboxes._paths import file_inside

_DEPTH = 100
_ENTRIES = 100_000
_NEW_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REASONS = {
    errno.ELOOP: "it is, or leads through, a symbolic link",
    errno.ENOTDIR: "it leads through something that is not a folder, or a symbolic link",
    errno.ENOENT: "it is not there",
    errno.ENOSPC: "there is no space left",
    errno.EISDIR: "it is a folder",
    errno.ENXIO: "it is not a file",
}


class Found(NamedTuple):
    """Something in a folder.

    Attributes:
        path: Relative to the folder.
        status: What the file system says of it; of a link, not of what it points to.
    """

    path: str
    status: os.stat_result


class Folder:
    """A folder held open by descriptor; paths are walked from there one name at a time.

    Each name is opened without following links, so no link is followed even when a program puts one there between
    two steps.
    """

    def __init__(self, path: Path, *, owner: int | None = None) -> None:
        """Args: an existing folder, and the user who is to own what is written, when it is not our own."""
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._owner = owner

    def close(self) -> None:
        """Lets go of it."""
        os.close(self._fd)

    def write(self, name: str, content: str | bytes, *, executable: bool = False) -> None:
        """Writes a file, and makes the folders that lead to it.

        Raises:
            ToolError: the path leads out of the folder or through a link, or there is no space.
        """
        path = file_inside(name)
        data = content if isinstance(content, bytes) else content.encode(errors="replace")
        with _explained("written", name), ExitStack() as opened:
            parent = self._parent(path.parts[:-1], opened, make=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(path.name, flags, 0o666, dir_fd=parent), "wb") as file:
                _require_file(file.fileno(), name)
                file.write(data)
                os.fchmod(file.fileno(), 0o755 if executable else 0o644)
                self._give(file.fileno())

    def read(self, name: str, *, limit_bytes: int) -> bytes:
        """The contents of a file.

        Raises:
            ToolError: it is no file, larger than the limit, or the path leads out of the folder or through a link.
        """
        path = file_inside(name)
        with _explained("read", name), ExitStack() as opened:
            parent = self._parent(path.parts[:-1], opened)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(path.name, flags, dir_fd=parent), "rb") as file:
                _require_file(file.fileno(), name)
                data = file.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise ToolError(f"{name!r} in the workspace is larger than {limit_bytes} bytes")
        return data

    def link(self, name: str) -> str:
        """Where a symbolic link points to."""
        path = file_inside(name)
        with _explained("read", name), ExitStack() as opened:
            return os.readlink(path.name, dir_fd=self._parent(path.parts[:-1], opened))

    def copy(self, source: Path) -> None:
        """Copies a folder's files, links (as links) and folders into this one; of other kinds, nothing.

        Raises:
            ToolError: something cannot be read, or does not fit.
        """
        with _explained("copied", str(source)):
            for base, folders, files in os.walk(source, onerror=_raise):
                inside = Path(base).relative_to(source)
                links = [name for name in folders if Path(base, name).is_symlink()]
                for name in (*links, *files):
                    self._copy(Path(base, name), (inside / name).parts)
                for name in folders:
                    if name not in links:
                        with ExitStack() as opened:
                            self._parent((*inside.parts, name), opened, make=True)

    def walk(self, *, without: Collection[str] = ()) -> Iterator[Found]:
        """Everything in it, in no order, but not what lies in folders of some names.

        Raises:
            ToolError: it is nested too deeply, holds too much, or cannot be read.
        """
        with _explained("read", "."):
            for count, found in enumerate(self._walk(self._fd, "", frozenset(without), 0)):
                if count >= _ENTRIES:
                    raise ToolError(f"the workspace holds more than {_ENTRIES} files")
                yield found

    def _walk(self, folder: int, base: str, without: frozenset[str], depth: int) -> Iterator[Found]:
        if depth > _DEPTH:
            raise ToolError(f"the workspace has folders more than {_DEPTH} levels deep")
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in without:
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                    yield Found(base + entry.name, status)
                    if stat.S_ISDIR(status.st_mode):
                        with ExitStack() as opened:
                            inner = _opened(entry.name, folder, opened)
                            yield from self._walk(inner, f"{base}{entry.name}/", without, depth + 1)
                except FileNotFoundError:
                    continue  # a program has just removed it

    def _copy(self, source: Path, parts: tuple[str, ...]) -> None:
        status = source.lstat()
        with ExitStack() as opened:
            parent = self._parent(parts[:-1], opened, make=True)
            if stat.S_ISLNK(status.st_mode):
                os.symlink(source.readlink(), parts[-1], dir_fd=parent)
                if self._owner is not None:
                    os.chown(parts[-1], self._owner, self._owner, dir_fd=parent, follow_symlinks=False)
            elif stat.S_ISREG(status.st_mode):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with source.open("rb") as file, os.fdopen(os.open(parts[-1], flags, dir_fd=parent), "wb") as copy:
                    shutil.copyfileobj(file, copy)
                    os.fchmod(copy.fileno(), 0o755 if status.st_mode & 0o100 else 0o644)
                    self._give(copy.fileno())

    def _parent(self, parts: tuple[str, ...], opened: ExitStack, *, make: bool = False) -> int:
        """A descriptor of the folder at the end of a path."""
        folder = self._fd
        for name in parts:
            if make and not _exists(name, folder):
                os.mkdir(name, 0o755, dir_fd=folder)
                folder = _opened(name, folder, opened)
                self._give(folder)
            else:
                folder = _opened(name, folder, opened)
        return folder

    def _give(self, descriptor: int) -> None:
        if self._owner is not None:
            os.fchown(descriptor, self._owner, self._owner)


def _opened(name: str, folder: int, opened: ExitStack) -> int:
    descriptor = os.open(name, _NEW_FOLDER, dir_fd=folder)
    opened.callback(os.close, descriptor)
    return descriptor


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _require_file(descriptor: int, name: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise ToolError(f"{name!r} in the workspace is not a file")


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _explained(what: str, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        reason = _REASONS.get(exc.errno or 0, exc.strerror)
        raise ToolError(f"{name!r} cannot be {what} in the workspace: {reason}") from exc
