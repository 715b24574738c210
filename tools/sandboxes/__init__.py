"""Where programs run that nobody trusts: levels of isolation, workspaces, limits."""

from archloom.tools.sandboxes._bwrap import BwrapSandbox
from archloom.tools.sandboxes._choice import sandbox, sandbox_levels
from archloom.tools.sandboxes._docker import DockerSandbox
from archloom.tools.sandboxes._limits import Limits
from archloom.tools.sandboxes._sandbox import ExecResult, Files, Sandbox, SandboxLevel, python_command
from archloom.tools.sandboxes._snapshot import Entry, Snapshot
from archloom.tools.sandboxes._unconfined import Unconfined
from archloom.tools.sandboxes._workspace import Workspace

__all__ = [
    "BwrapSandbox",
    "DockerSandbox",
    "Entry",
    "ExecResult",
    "Files",
    "Limits",
    "Sandbox",
    "SandboxLevel",
    "Snapshot",
    "Unconfined",
    "Workspace",
    "python_command",
    "sandbox",
    "sandbox_levels",
]
