"""Programs that try to get out, to stay, or to take the machine with them.

Each runs as a single command, in a workspace, and in a warm worker. An attack prints ``tried`` once it has done what
it is about, and ``ESCAPED`` with a word on what worked. Afterwards no process of it may be left, the host's files
must be as they were, and this process must hold as many descriptors as before.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias
from uuid import uuid4

import pytest

from archloom.tools import ExecResult, Limits, SandboxUnavailableError, ToolError, sandbox
from archloom.tools.sandboxes import BwrapSandbox, DockerSandbox, Unconfined
from archloom.tools.sandboxes._bwrap import binaries

Attack: TypeAlias = Callable[..., Awaitable[ExecResult]]

LIMITS = Limits(file_bytes=8 * 2**20)
TIME_S = 0.6
"""For those that do not end by themselves."""
SLACK_S = 4.0
"""Of a busy machine, for starting and ending processes."""
SECRET = "sk-attack-me-123"
WAYS = [
    "bwrap, one command",
    pytest.param("bwrap, workspace", marks=pytest.mark.slow),
    "bwrap, warm worker",
    "docker, one command",
    pytest.param("docker, workspace", marks=pytest.mark.slow),
]

COMMON = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(15, MARK.encode(), 0, 0, 0)  # the name of this process, and of those that it forks
def escaped(what): print("ESCAPED:", what, flush=True)
def attempt(what, action):
    try:
        if action() not in (None, -1, False): escaped(what)
    except (OSError, ValueError): pass
def reads(path): attempt("read " + path, lambda: SECRET in open(path, errors="replace").read() or "root:" in open(path).read())
def writes(path, text=b"x"):
    def write():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        return os.write(fd, text)
    attempt("wrote " + path, write)
"""


class Case(NamedTuple):
    """An attack and how it has to end: by itself, for its time, or for what it used."""

    program: str
    ends: str = "itself"


ATTACKS = {
    "reads files of the host": Case(
        """
homes = {os.path.expanduser("~root"), os.path.join(os.sep, "root")}
for path in (CANARY, "/etc/shadow", "/etc/machine-id"): reads(path)
for home in homes: reads(home + "/.bashrc"); reads(home + "/.ssh/id_rsa")
for path in (os.path.dirname(CANARY), "/etc/ssh", "/var/log", "/run", "/boot"): attempt("listed " + path, lambda: bool(os.listdir(path)))
"""
    ),
    "reads keys from environments": Case(
        """
for name in os.listdir("/proc"):
    if name.isdigit(): reads(f"/proc/{name}/environ")
if any(SECRET in value for value in os.environ.values()): escaped("own environment")
"""
    ),
    "writes outside": Case(
        """
for path in (CANARY, "/etc/passwd", "/x", "/usr/x", "/bin/sh", sys.executable, os.path.dirname(os.__file__) + "/os.py", "/var/tmp/x"):
    writes(path)
attempt("made a folder", lambda: os.mkdir("/made") is None)
attempt("removed", lambda: os.remove(CANARY) is None)
"""
    ),
    "writes to devices": Case(
        """
for name in ("sda", "vda", "mem", "kmsg", "port", "new", "loop-control", "fuse", "kvm", "net/tun"): writes("/dev/" + name)
attempt("mknod", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0)) is None)
attempt("mknod char", lambda: os.mknod("kmem", 0o20666, os.makedev(1, 1)) is None)
import fcntl
for fd in (0, 1, 2): attempt("typed into a terminal", lambda: fcntl.ioctl(fd, 0x5412, b"x") is not None)
attempt("has a terminal", lambda: open("/dev/tty", "w"))
"""
    ),
    "connects to this machine": Case(
        """
def connect(kind, address):
    with socket.socket(kind) as s:
        s.settimeout(1); s.connect(address); return True
attempt("loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)))
attempt("Unix socket", lambda: connect(socket.AF_UNIX, UNIX))
attempt("abstract Unix socket", lambda: connect(socket.AF_UNIX, ABSTRACT))
"""
    ),
    "connects to the outside": Case(
        """
def connect(kind, address):
    with socket.socket(kind) as s:
        s.settimeout(1); s.connect(address); return True
attempt("IPv4", lambda: connect(socket.AF_INET, ("192.0.2.1", 53)))
attempt("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)))
attempt("IPv6", lambda: connect(socket.AF_INET6, ("2001:db8::1", 53)))
for path in ("/var/run/docker.sock", "/run/dbus/system_bus_socket"): attempt(path, lambda: connect(socket.AF_UNIX, path))
for kind in (40, 38, 17, 31, 44):  # vsock (to the hypervisor), alg, packet, bluetooth, xdp
    attempt(f"socket of kind {kind}", lambda: socket.socket(kind, socket.SOCK_STREAM))
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
silent = ("lo", "sit0", "tunl0", "ip6tnl0")  # the kernel gives each network some of these
attempt("interfaces", lambda: any(name not in silent for _, name in socket.if_nameindex()))
"""
    ),
    "goes through proc": Case(
        """
for name in [n for n in os.listdir("/proc") if n.isdigit()] + ["self"]:
    reads(f"/proc/{name}/root{CANARY}")
    reads(f"/proc/{name}/cwd/../..{CANARY}")
    for fd in range(3, 40):
        reads(f"/proc/{name}/fd/{fd}")
        reads(f"/proc/{name}/fd/{fd}/../..{CANARY}")
for path in ("kernel/core_pattern", "kernel/hostname", "vm/drop_caches", "vm/overcommit_memory", "kernel/yama/ptrace_scope", "fs/suid_dumpable"):
    writes("/proc/sys/" + path)
for path in ("/proc/sysrq-trigger", "/proc/self/oom_adj_none", "/proc/acpi/wakeup", "/proc/irq/default_smp_affinity"): writes(path)
writes("/proc/self/oom_score_adj", b"-1000")
for path in ("/proc/kcore", "/proc/kmsg", "/dev/mem"): attempt(path, lambda: len(open(path, "rb").read(1)))
"""
    ),
    "reads and traces others": Case(
        """
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
for pid in [1, os.getppid()]:
    attempt(f"ptrace {pid}", lambda: libc.ptrace(16, pid, None, None) == 0)
    attempt(f"seize {pid}", lambda: libc.ptrace(0x4206, pid, None, None) == 0)
buffer = ctypes.create_string_buffer(8)
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
mine, other = Vector(ctypes.addressof(buffer), 8), Vector(id(buffer), 8)
for pid in (1, os.getppid()): attempt("read memory", lambda: libc.process_vm_readv(pid, ctypes.byref(mine), 1, ctypes.byref(other), 1, 0) > 0)
if len([n for n in os.listdir("/proc") if n.isdigit()]) > 8: escaped("sees other processes")
"""
    ),
    "mounts": Case(
        """
attempt("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
attempt("bind", lambda: libc.mount(b"/", b"/tmp", None, 4096, None) == 0)
attempt("remount", lambda: libc.mount(None, b"/", None, 32, None) == 0)
for path in (b"/", b"/proc", b"/job", b"/usr"): attempt("umount", lambda: libc.umount2(path, 2) == 0)
attempt("chroot", lambda: os.chroot("/tmp") is None)
attempt("fsopen", lambda: libc.syscall(430, b"tmpfs", 0) >= 0)
attempt("open_tree", lambda: libc.syscall(428, -100, b"/", 1) >= 0)
"""
    ),
    "makes and enters namespaces": Case(
        """
for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x4000000, 0x8000000, 0x2000000, 0x10000000 | 0x20000):
    attempt(f"unshare {flag:x}", lambda: libc.unshare(flag) == 0)
for name in os.listdir("/proc"):
    if name.isdigit():
        for kind in ("mnt", "pid", "net", "user"):
            attempt(f"setns {name} {kind}", lambda: libc.setns(os.open(f"/proc/{name}/ns/{kind}", os.O_RDONLY), 0) == 0)
import platform
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
pid = libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)
if pid == 0: os._exit(0)
if pid > 0: escaped("clone into a user namespace")
"""
    ),
    "reads the kernel's keys": Case(
        """
import platform
add, request, keyctl = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}[platform.machine()]
for ring in (-1, -2, -3, -4, -5): attempt(f"key ring {ring}", lambda: libc.syscall(keyctl, 0, ring, 0) > 0)
attempt("added a key", lambda: libc.syscall(add, b"user", b"archloom", b"x", 1, -4) > 0)
attempt("found a key", lambda: libc.syscall(request, b"user", b"archloom", None, 0) > 0)
"""
    ),
    "reaches for rare calls": Case(
        """
import platform
rare = {"x86_64": (321, 298, 323, 319, 29, 425, 447, 303), "aarch64": (280, 241, 282, 279, 194, 425, 447, 264)}[platform.machine()]
for number in rare: attempt(f"call {number}", lambda: libc.syscall(number, 0, 64, 0o1600, 0, 0) >= 0)
attempt("became root", lambda: os.setuid(0) is None and os.path.exists("/etc/shadow"))
attempt("raised a limit", lambda: __import__("resource").setrlimit(7, (10**6, 10**6)) is None)
attempt("priority", lambda: os.nice(-5) is not None)
"""
    ),
    "looks for open descriptors": Case(
        """
for fd in range(3, 256):
    try: escaped(f"descriptor {fd}: {os.readlink(f'/proc/self/fd/{fd}')}")
    except OSError: pass
"""
    ),
    "takes 4 GB": Case(
        """
try: escaped(str(len(bytearray(4 * 2**30))))
except MemoryError: pass
"""
    ),
    "fills the disk": Case(
        """
written = 0
for folder in ("/tmp", ".", "/dev/shm"):
    try:
        for number in range(100):
            with open(f"{folder}/{number}", "wb", buffering=0) as file:
                for _ in range(7): written += file.write(bytes(2**20))
    except OSError: pass
if written > 40 * 2**20: escaped(f"{written} bytes")
"""
    ),
    "leaves a child behind": Case(
        """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2): os.close(fd)
        time.sleep(60); os._exit(0)
    os._exit(0)
os.wait()
"""
    ),
    "kills all it can": Case(
        """
import signal
print("tried", flush=True)
for pid in (1, os.getppid(), 0, -1):
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
time.sleep(0.3)
""",
        ends="any way",
    ),
    "writes without end": Case(
        "print('tried', flush=True)\nwhile True: os.write(1, b'x' * 65536)",
        ends="output",
    ),
    "ignores signals": Case(
        """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
print("tried", flush=True)
while True: time.sleep(60)
""",
        ends="time",
    ),
    "stops everybody": Case(
        """
import signal
print("tried", flush=True)
for pid in (1, os.getppid(), -1, os.getpid()):
    try: os.kill(pid, signal.SIGSTOP)
    except OSError: pass
""",
        ends="time",
    ),
    "waits for a file that never changes": Case(
        """
fd = libc.inotify_init()
libc.inotify_add_watch(fd, b"/tmp", 0xfff)
print("tried", flush=True)
os.read(fd, 4096)
""",
        ends="time",
    ),
}


class Host(NamedTuple):
    """What an attack could find on this machine: a folder open to all, and three sockets that listen."""

    folder: Path
    port: int
    unix: str
    abstract: str
    visits: list[str]


@pytest.fixture(scope="module")
def bwrap() -> Iterator[BwrapSandbox]:
    reasons = []
    for binary in binaries():
        box = BwrapSandbox(binary, limits=LIMITS)
        reason = box.probe()
        if reason is None:
            yield box
            box.close()
            return
        reasons.append(reason)
    pytest.skip(f"bubblewrap does not work here: {reasons}")


@pytest.fixture(scope="module")
def docker() -> DockerSandbox:
    try:
        sandbox("docker")
    except SandboxUnavailableError as exc:
        pytest.skip(exc.message)
    return DockerSandbox("python:3.11-slim", limits=LIMITS)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    for path in (folder, *list(folder.parents)[:2]):
        path.chmod(0o777)
    canary = folder / "canary"
    canary.write_text(SECRET)
    canary.chmod(0o666)
    visits: list[str] = []
    abstract = f"\0archloom-{uuid4().hex}"
    servers = [socket.create_server(("127.0.0.1", 0))]
    for address in (f"{folder}/socket", abstract):
        server = socket.socket(socket.AF_UNIX)
        server.bind(address)
        server.listen()
        servers.append(server)
    for server in servers:
        threading.Thread(target=_count, args=(server, visits), daemon=True).start()
    yield Host(folder, servers[0].getsockname()[1], f"{folder}/socket", abstract, visits)
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _count(server: socket.socket, visits: list[str]) -> None:
    while True:
        try:
            visitor, _ = server.accept()
        except OSError:
            return
        visits.append(str(server))
        visitor.close()


@pytest.fixture(params=WAYS)
async def attack(request: pytest.FixtureRequest, host: Host) -> AsyncIterator[Attack]:
    """Runs a program in one of the ways, and looks at what is left of it."""
    level, _, way = request.param.partition(", ")
    box: BwrapSandbox | DockerSandbox = request.getfixturevalue(level)
    mark = f"atk{uuid4().hex[:9]}"
    _rest(box)
    files_before, open_before = _tree(host.folder), _descriptors()

    async def run(program: str, *, within_s: float) -> ExecResult:
        source = _source(program, mark, host)
        if way == "warm worker":
            return await box.python(source, timeout_s=within_s)
        command = ["python3" if level == "docker" else sys.executable, "-I", "attack.py", mark]
        if way == "one command":
            return await box.exec(command, files={"attack.py": source}, timeout_s=within_s)
        async with box.workspace(files={"attack.py": source}) as space:
            return await space.exec(command, timeout_s=within_s)

    yield run
    assert await _soon(lambda: not _processes(mark)), "processes are left"
    assert _tree(host.folder) == files_before, "the host was changed"
    assert host.visits == [], "the host was reached"
    _rest(box)
    assert _descriptors() == open_before, "descriptors are left"


@pytest.mark.parametrize("case", ATTACKS.values(), ids=ATTACKS)
async def test_attack_gets_nowhere_and_leaves_nothing(
    attack: Attack, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTACK_API_KEY", SECRET)
    within_s = 4 * TIME_S if case.ends == "time" else 10.0  # an interpreter must have started by then
    result = await attack(case.program + ("\nprint('tried')" if case.ends == "itself" else ""), within_s=within_s)
    assert "ESCAPED" not in result.stdout, result.stdout
    assert result.stdout.startswith("tried") or (result.exceeded == "output" and "tried" in result.stdout), (
        result.stderr
    )
    ends = {"itself": (0, False, None), "time": (None, True, None), "output": (None, False, "output")}
    if case.ends in ends:
        assert (result.exit_code, result.timed_out, result.exceeded) == ends[case.ends], result
    assert result.duration_s < within_s + SLACK_S


async def test_attacks_work_where_nothing_keeps_them_from_it(host: Host) -> None:
    """So what the others test is the sandbox, and not attacks that fail anyway."""
    box = Unconfined()
    reads, connects = [
        await box.exec([sys.executable, "-I", "a.py"], files={"a.py": _source(ATTACKS[name].program, "unused", host)})
        for name in ("reads files of the host", "connects to this machine")
    ]
    assert f"read {host.folder}/canary" in reads.stdout
    for what in ("loopback", "Unix socket", "abstract Unix socket"):
        assert f"ESCAPED: {what}" in connects.stdout
    assert await _soon(lambda: len(host.visits) == 3)
    host.visits.clear()


FORKS = """
while True:
    try: os.fork()
    except OSError: time.sleep(0.01)
"""


async def test_forks_without_end_stay_within_the_limit_and_end_in_time(attack: Attack) -> None:
    counts: list[int] = []

    async def watch() -> None:
        while True:
            counts.append(sum(name.startswith("atk") for name in _names()))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    result = await attack(FORKS, within_s=TIME_S)
    watching.cancel()
    assert result.timed_out
    assert 1 < max(counts) <= LIMITS.processes


async def test_programs_do_not_find_each_other(bwrap: BwrapSandbox) -> None:
    """Neither one after the other nor side by side: each has its own folders, processes and modules."""
    program = """
import builtins, os, sys, time
print(os.listdir(), [path for path in ("/tmp/left", "/dev/shm/left") if os.path.exists(path)])
print(hasattr(builtins, "left"), hasattr(os, "left"), "left" in sys.modules)
print(sum(name.isdigit() for name in os.listdir("/proc")) <= 5)
for path in ("left", "/tmp/left", "/dev/shm/left"): open(path, "w").write("x")
builtins.left = os.left = sys.modules["left"] = 1
time.sleep(0.1)
"""
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(bwrap.python(program)) for _ in range(6)]
    outputs = {run.result().stdout for run in runs} | {(await bwrap.python(program)).stdout for _ in range(3)}
    assert outputs == {"['main.py'] []\nFalse False False\nTrue\n"}


class Trick(NamedTuple):
    """A command that prepares a path in a workspace, and the path that is then read from outside."""

    command: str
    path: str


TRICKS = {
    "link to a file": Trick("ln -s CANARY trick", "trick"),
    "link to a folder": Trick("ln -s FOLDER trick", "trick/canary"),
    "link up": Trick("ln -s ../../../../../../../../.. trick", "trick/CANARY"),
    "link to a link": Trick("ln -s FOLDER one; ln -s one/canary trick", "trick"),
    "link through proc": Trick("ln -s /proc/self/rootCANARY trick", "trick"),
    "folder in a folder": Trick("mkdir a; ln -s FOLDER a/b", "a/b/canary"),
    "pipe that nobody writes": Trick("mkfifo trick", "trick"),
    "socket": Trick("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"trick\")'", "trick"),
    "folder": Trick("mkdir trick", "trick"),
    "larger than is read": Trick("truncate -s 5M trick", "trick"),
    "above": Trick("true", "../../etc/passwd"),
    "absolute": Trick("true", "CANARY"),
}


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
async def test_reading_from_a_workspace_follows_nothing_out_of_it(
    bwrap: BwrapSandbox, host: Host, trick: Trick
) -> None:
    command, path = (
        text.replace("CANARY", f"{host.folder}/canary").replace("FOLDER", str(host.folder)) for text in trick
    )
    async with bwrap.workspace() as space:
        before = space.snapshot()
        made = await space.exec(["sh", "-c", command])
        assert made.exit_code == 0, made.stderr
        with pytest.raises(ToolError):
            space.read(path)
        if path.startswith("trick/") or trick.command.startswith("ln"):
            with pytest.raises(ToolError):
                space.write(path, "x")
        assert SECRET not in space.diff(before)
    assert (host.folder / "canary").read_text() == SECRET


async def test_a_link_that_appears_between_two_steps_is_not_followed(bwrap: BwrapSandbox, host: Host) -> None:
    swapping = f"""
import os
while True:
    try:
        os.mkdir("d"); open("d/canary", "w").close(); os.remove("d/canary"); os.rmdir("d"); os.symlink({str(host.folder)!r}, "d")
        os.remove("d")
    except OSError: pass
"""
    async with bwrap.workspace(files={"swap.py": swapping}) as space, asyncio.TaskGroup() as group:
        running = group.create_task(space.exec([sys.executable, "swap.py"], timeout_s=TIME_S))
        read = set()
        while not running.done():
            await asyncio.sleep(0)
            try:
                read.add(space.read("d/canary"))
                space.write("d/canary", "x")
            except ToolError:
                continue
    assert read <= {b"", b"x"}
    assert (host.folder / "canary").read_text() == SECRET


def _source(program: str, mark: str, host: Host) -> str:
    canary = f"{host.folder}/canary"
    names = {
        "MARK": mark,
        "SECRET": SECRET,
        "CANARY": canary,
        "PORT": host.port,
        "UNIX": host.unix,
        "ABSTRACT": host.abstract,
    }
    return "".join(f"{name} = {value!r}\n" for name, value in names.items()) + COMMON + program


def _rest(box: BwrapSandbox | DockerSandbox) -> None:
    """Ends the workers that wait, who hold descriptors rightly."""
    if isinstance(box, BwrapSandbox):
        box.close()


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def _descriptors() -> list[str]:
    """What this process holds open: pipes, process handles, files in memory."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()).partition(":[")[0])
        except OSError:
            continue
    return sorted(name for name in found if not name.startswith("/proc/"))


def _names() -> Iterator[str]:
    """Name and command line of each process of this machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                yield (entry / "comm").read_text() + (entry / "cmdline").read_text()
            except OSError:
                continue


def _processes(mark: str) -> list[str]:
    return [name for name in _names() if mark in name]


async def _soon(happens: Callable[[], bool]) -> bool:
    """Whether it happens soon; the kernel takes its time to end processes."""
    for _ in range(500):
        if happens():
            return True
        await asyncio.sleep(0.01)
    return False
