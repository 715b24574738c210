"""The ground floor: what nodes and scorers act with, and the base of all errors.

Final answers in a canonical form, exact arithmetic, programs in model output, and the sandbox they run in.
"""

from archloom.tools._answers import (
    AnswerFormat,
    canonical_answer,
    extract_answer,
    final_part,
    last_number,
    stated_answer,
)
from archloom.tools._bwrap import BwrapSandbox
from archloom.tools._calculator import evaluate, find_expression
from archloom.tools._confinement import Limits
from archloom.tools._programs import find_program
from archloom.tools._registry import Registry
from archloom.tools._sandbox import ExecResult, Sandbox, SandboxLevel, python_command, sandbox
from archloom.tools._suggest import suggest
from archloom.tools.errors import ArchloomError, SandboxUnavailableError, ToolError, UsageError

__all__ = [
    "AnswerFormat",
    "ArchloomError",
    "BwrapSandbox",
    "ExecResult",
    "Limits",
    "Registry",
    "Sandbox",
    "SandboxLevel",
    "SandboxUnavailableError",
    "ToolError",
    "UsageError",
    "canonical_answer",
    "evaluate",
    "extract_answer",
    "final_part",
    "find_expression",
    "find_program",
    "last_number",
    "python_command",
    "sandbox",
    "stated_answer",
    "suggest",
]
