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
from archloom.tools._calculator import evaluate, find_expression
from archloom.tools._latex import canonical_latex, same_latex
from archloom.tools._pass_at_k import pass_at_k
from archloom.tools._programs import find_program
from archloom.tools._registry import Registry
from archloom.tools._suggest import suggest
from archloom.tools.errors import ArchloomError, SandboxUnavailableError, ToolError, UsageError
from archloom.tools.sandboxes import (
    BwrapSandbox,
    ExecResult,
    Limits,
    Sandbox,
    SandboxLevel,
    python_command,
    sandbox,
)

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
    "canonical_latex",
    "evaluate",
    "extract_answer",
    "final_part",
    "find_expression",
    "find_program",
    "last_number",
    "pass_at_k",
    "python_command",
    "same_latex",
    "sandbox",
    "stated_answer",
    "suggest",
]
