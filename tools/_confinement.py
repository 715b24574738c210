"""The command line that confines a program with bubblewrap: what it sees, who it is, what it may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from archloom.tools.errors import ToolError

CORES = os.cpu_count() or 1

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_WORK = "/job"
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
_OWN_USER = ("--unshare-user", "--disable-userns")
_MAY_BECOME_NOBODY = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP")
_BECOME_NOBODY = (
    *("--", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"),
)
_APART = (
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--clearenv"),
)


@dataclass(frozen=True)
class Limits:
    """What each process in the sandbox may use; of processes, what all of them may.

    Attributes:
        memory_bytes: Address space.
        processes: Processes and threads at once.
        file_bytes: Size of a file, and of each of the writable directories.
        open_files: Files open at once.
    """

    memory_bytes: int = 512 * 2**20
    processes: int = 32
    file_bytes: int = 64 * 2**20
    open_files: int = 128


def confined(
    binary: Path,
    cmd: Sequence[str],
    *,
    limits: Limits,
    cpu_s: int,
    files: Mapping[str, int] | None = None,
    status: int | None = None,
) -> list[str]:
    """The command in fresh namespaces, under limits.

    As root, bubblewrap would leave the program root's identity, which the kernel exempts from the limit on
    processes; so there the first bubblewrap hands over to ``nobody``, who enters a second one.

    Args:
        binary: The ``bwrap`` to use.
        cmd: Program and arguments.
        limits: Of each process.
        cpu_s: Seconds of all cores after which the kernel ends it, for when nobody is left to do so.
        files: Descriptors of what is put into the working directory, by path.
        status: A descriptor for bwrap's report on the program.

    Raises:
        ToolError: a file lies outside the working directory.
    """
    own = [*_OWN_USER, *([] if status is None else ["--json-status-fd", str(status)])]
    if os.geteuid() == 0:
        view = _view(binary, _MAY_BECOME_NOBODY, limits, files or {})
        start = [*view, *_BECOME_NOBODY, str(binary), *own, "--dev-bind", "/", "/"]
    else:
        start = _view(binary, own, limits, files or {})
    # A session of its own, so that the program cannot signal bwrap by signalling its group. The limits are set
    # inside, where they do not count bwrap and the user's other processes.
    inside = [
        *("setsid", "prlimit", f"--as={limits.memory_bytes}", f"--nproc={limits.processes}"),
        *(f"--nofile={limits.open_files}", f"--fsize={limits.file_bytes}", f"--cpu={cpu_s * CORES}"),
    ]
    return [*start, "--", *inside, "--core=0", "--", *cmd]


def _view(binary: Path, options: Sequence[str], limits: Limits, files: Mapping[str, int]) -> list[str]:
    """bwrap, and what the program sees of the file system."""
    space = str(limits.file_bytes)
    return [
        *(str(binary), "--cap-drop", "ALL", *options, *_APART),
        *(word for name, value in _ENVIRONMENT.items() for word in ("--setenv", name, value)),
        *("--perms", "1777", "--size", space, "--tmpfs", "/tmp"),
        *("--perms", "0777", "--size", space, "--tmpfs", _WORK),
        *_system(),
        *(word for folder in _folders(binary) for word in _read_only(folder)),
        *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", space, "--tmpfs", "/dev/shm"),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *_written(files),
        *("--chdir", _WORK),
    ]


def _system() -> Iterator[str]:
    for folder in map(Path, _SYSTEM):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))
    yield from ("--perms", "0755", "--dir", "/etc")
    for path in filter(os.path.exists, _ETC):
        yield from ("--ro-bind", path, path)


def _folders(binary: Path) -> list[Path]:
    """Folders outside the system's that Python, and the second bwrap, need."""
    bwrap = binary.parents[1]
    wanted = [Path(sys.prefix), Path(sys.base_prefix), bwrap, bwrap.with_name(f"{bwrap.name}.libs")]
    covered = [Path("/usr")]
    for folder in wanted:
        inside = any(folder.is_relative_to(other) for other in covered)
        if folder != Path("/") and folder.is_dir() and not inside:
            covered.append(folder)
    return covered[1:]


def _read_only(folder: Path) -> Iterator[str]:
    """Binds a folder, with parents that others than the owner may walk through."""
    for parent in reversed(folder.parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))
    yield from ("--ro-bind", str(folder), str(folder))


def _written(files: Mapping[str, int]) -> Iterator[str]:
    for name, descriptor in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise ToolError(f"files are written inside the working directory, so {name!r} cannot be")
        for folder in reversed(path.parents[:-1]):
            yield from ("--perms", "0777", "--dir", f"{_WORK}/{folder}")
        yield from ("--perms", "0666", "--file", str(descriptor), f"{_WORK}/{path}")
