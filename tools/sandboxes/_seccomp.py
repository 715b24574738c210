"""Calls to the kernel that no program in the sandbox may make, as a filter for bubblewrap.

Namespaces do not cover everything: keys of the kernel's key rings, sockets to the hypervisor of a virtual machine,
and memory that no limit counts. The rest makes the kernel's surface smaller, like Docker's default profile.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_ALLOW = 0x7FFF0000
_ERROR = 0x00050000
_KILL = 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16

_NEW_NAMESPACES = 0x7E020000
"""Flags of ``clone`` that make namespaces."""
_SOCKETS = (1, 2, 10, 16)
"""Kinds of sockets there may be: Unix, IPv4, IPv6, netlink. All of these stay within the network namespace."""
_CLONE3 = 435
_FROM_424 = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 443, 447)
"""io_uring, the new calls for mounting, pidfd_getfd, quotactl_fd, memfd_secret: numbered alike everywhere."""


@dataclass(frozen=True)
class _Machine:
    """Numbers of calls on one kind of processor."""

    audit: int
    clone: int
    socket: int
    denied: tuple[int, ...]
    foreign_from: int | None = None
    """Numbers from here on belong to another interface, which would go round the filter."""


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        socket=41,
        foreign_from=0x40000000,
        denied=(
            *(248, 249, 250),  # add_key, request_key, keyctl: key rings have no namespace
            *(319, 29, 68),  # memfd_create, shmget, msgget: memory that outlives its process or is not counted
            *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(155, 161, 165, 166, 272, 308),  # pivot_root, chroot, mount, umount2, unshare, setns
            *(298, 300, 303, 304, 321, 323),  # perf_event_open, fanotify_init, *_handle_at, bpf, userfaultfd
            *(175, 176, 246, 313, 320),  # modules, kexec
            *(103, 153, 163, 167, 168, 169, 179),  # syslog, vhangup, acct, swapon, swapoff, reboot, quotactl
            *(159, 164, 170, 171, 227, 305),  # clocks and names of the machine
            *(172, 173),  # iopl, ioperm
        ),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        socket=198,
        denied=(
            *(217, 218, 219),
            *(279, 194, 186),
            *(117, 270, 271, 272),
            *(41, 51, 40, 39, 97, 268),
            *(241, 262, 264, 265, 280, 282),
            *(105, 106, 104, 273, 294),
            *(116, 58, 89, 224, 225, 142, 60),
            *(171, 170, 161, 162, 112, 266),
        ),
    ),
}


@cache
def call_filter() -> bytes | None:
    """The filter, as BPF; ``None`` on a processor whose numbers are not known here."""
    machine = _MACHINES.get(platform.machine())
    return None if machine is None else b"".join(struct.pack("=HBBI", *each) for each in _filter(machine))


def _filter(machine: _Machine) -> Iterator[tuple[int, int, int, int]]:
    """Instructions: code, how many to skip if so and if not, operand."""
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, machine.audit
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    if machine.foreign_from is not None:
        yield _AT_LEAST, 0, 1, machine.foreign_from
        yield _RETURN, 0, 0, _ERROR | errno.ENOSYS
    for number in (*machine.denied, *_FROM_424):
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _ERROR | errno.EPERM
    yield _EQUAL, 0, 1, _CLONE3  # its flags are in memory, out of a filter's sight; C libraries fall back to clone
    yield _RETURN, 0, 0, _ERROR | errno.ENOSYS
    yield _EQUAL, 0, 4, machine.clone
    yield _LOAD, 0, 0, _FIRST_ARGUMENT
    yield _ANY_BIT, 0, 1, _NEW_NAMESPACES
    yield _RETURN, 0, 0, _ERROR | errno.EPERM
    yield _RETURN, 0, 0, _ALLOW
    yield _EQUAL, 0, 2 + 2 * len(_SOCKETS), machine.socket
    yield _LOAD, 0, 0, _FIRST_ARGUMENT
    for kind in _SOCKETS:
        yield _EQUAL, 0, 1, kind
        yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT
    yield _RETURN, 0, 0, _ALLOW
