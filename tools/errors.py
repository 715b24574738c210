"""The base of archloom's error tree.

Each floor extends it in its own ``errors.py``; the whole tree is drawn in the docstring of ``archloom``.
"""

from __future__ import annotations

from typing import ClassVar


class ArchloomError(Exception):
    """Something archloom can explain: what happened, where, and what to do next.

    Attributes:
        code: Stable identifier (``E...``), printed in brackets and documented in ``docs/errors.md``.
        exit_code: What the command line exits with: 1 for a failed run, 2 for bad usage or documents.
        message: What happened and where.
        hint: The next step, or ``None``.
    """

    code: ClassVar[str] = "E000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.message}{hint}  [archloom-{self.code}]"


class ToolError(ArchloomError):
    """A tool (sandbox, calculator, ...) could not do its work."""

    code = "E500"


class SandboxUnavailableError(ToolError):
    """No usable sandbox level on this machine, so model-written programs are not run at all."""

    code = "E501"


class UsageError(ArchloomError):
    """The command or the call asks for something that cannot be: an unknown name, a bad value."""

    code = "E001"
    exit_code = 2
