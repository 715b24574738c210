"""Errors of documents: every problem with its place, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archloom.tools.errors import UsageError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a document.

    Attributes:
        code: Stable identifier, documented in ``docs/errors.md``.
        path: Dotted path of the place, such as ``nodes.judge.prompt``; empty for the document itself.
        message: What is wrong there.
        hint: What to do about it, or empty.
        source: File name, or ``<document>``.
        line: Line, from 1.
        column: Column, from 1.
    """

    code: str
    path: str
    message: str
    hint: str = ""
    source: str = "<document>"
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.source}:{self.line}:{self.column}: {path}{self.message}{hint}  [archloom-{self.code}]"


class DocumentError(UsageError):
    """A workflow document is wrong.

    Attributes:
        problems: Everything that is wrong with it, in reading order.
    """

    code = "E010"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.source, p.line, p.column, p.path)))
        super().__init__("\n".join(map(str, self.problems)))

    def __str__(self) -> str:
        return self.message


class InvalidConfigurationError(UsageError):
    """These choices of a space do not make a workflow: a construction rule forbids them."""

    code = "E031"
