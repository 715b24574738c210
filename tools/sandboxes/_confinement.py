"""The command line that confines a program with bubblewrap: what it sees, who it is, what it may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archloom.tools.sandboxes._limits import Limits, limited
from archloom.tools.sandboxes._paths import file_inside, inside

WORK = "/job"
"""The working directory of programs, as they see it."""
STORE = "/sys"
"""Where the files of a workspace lie, in a mount namespace of their own. Every system has this folder to mount
something on, and nothing that runs there needs what it hides."""
NOBODY = 65534

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
_OWN_USER = ("--unshare-user", "--disable-userns")
_MAY_BECOME_NOBODY = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP")
_BECOME_NOBODY = (
    *("--", "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"),
)
_APART = (
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--clearenv"),
)


@dataclass(frozen=True)
class Wanted:
    """What a confined command is given.

    Attributes:
        cmd: Program and arguments.
        cpu_s: Seconds on all cores after which the kernel ends it, for when nobody is left to do so.
        cwd: Where it starts, relative to its working directory.
        env: Variables beside the usual ones.
        files: Descriptors of what is put into the working directory, by path.
        status: A descriptor for bwrap's report on the program.
        seccomp: A descriptor of the filter for calls to the kernel.
        stored: Its working directory is that of a workspace, not a fresh one.
    """

    cmd: Sequence[str]
    cpu_s: float
    cwd: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    status: int | None = None
    seccomp: int | None = None
    stored: bool = False


def confined(binary: Path, wanted: Wanted, limits: Limits) -> list[str]:
    """The command in fresh namespaces, under limits.

    As root, bubblewrap would leave the program root's identity, which the kernel exempts from the limit on
    processes; so there the first bubblewrap hands over to ``nobody``, who enters a second one.

    Raises:
        ToolError: a path leaves the working directory.
    """
    own = [
        *_OWN_USER,
        *([] if wanted.status is None else ["--json-status-fd", str(wanted.status)]),
        *([] if wanted.seccomp is None else ["--seccomp", str(wanted.seccomp)]),
    ]
    if os.geteuid() == 0:
        view = _view(binary, _MAY_BECOME_NOBODY, wanted, limits)
        begin = [*view, *_BECOME_NOBODY, str(binary), *own, "--dev-bind", "/", "/"]
    else:
        begin = _view(binary, own, wanted, limits)
    # A session of its own, so that the program cannot signal bwrap by signalling its group; and the first to go
    # when memory runs short. The limits are set inside, where they do not count bwrap and the user's other processes.
    inside = ["setsid", "choom", "--adjust", "1000", "--", *limited(limits, wanted.cpu_s, processes=True)]
    return [*begin, "--", *inside, *wanted.cmd]


def in_store(keeper: int) -> list[str]:
    """What enters the mount namespace that a process keeps with a workspace's files."""
    into = ["--mount"] if os.geteuid() == 0 else ["--user", "--mount", "--preserve-credentials"]
    return ["nsenter", "--target", str(keeper), *into, "--"]


def keeping_store(binary: Path, limits: Limits, status: int) -> list[str]:
    """What keeps a workspace's files, in memory and limited in size, until its input ends."""
    return [
        *(str(binary), "--cap-drop", "ALL", *([] if os.geteuid() == 0 else ["--unshare-user"])),
        *("--dev-bind", "/", "/", "--size", str(limits.file_bytes), "--perms", "0777", "--tmpfs", STORE),
        *("--json-status-fd", str(status), "--", "cat"),
    ]


def _view(binary: Path, options: Sequence[str], wanted: Wanted, limits: Limits) -> list[str]:
    """bwrap, and what the program sees of the file system."""
    space = str(limits.file_bytes)
    work = ["--bind", STORE, WORK] if wanted.stored else ["--perms", "0777", "--size", space, "--tmpfs", WORK]
    return [
        *(str(binary), "--cap-drop", "ALL", *options, *_APART),
        *(word for name, value in {**_ENVIRONMENT, **wanted.env}.items() for word in ("--setenv", name, value)),
        *("--perms", "1777", "--size", space, "--tmpfs", "/tmp", *work),
        *_system(),
        *(word for folder in _folders(binary) for word in _read_only(folder)),
        *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", space, "--tmpfs", "/dev/shm"),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *_written(wanted.files),
        *("--chdir", f"{WORK}/{inside(wanted.cwd)}"),
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
        path = file_inside(name)
        for folder in reversed(path.parents[:-1]):
            yield from ("--perms", "0777", "--dir", f"{WORK}/{folder}")
        yield from ("--perms", "0666", "--file", str(descriptor), f"{WORK}/{path}")
