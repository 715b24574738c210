"""A coding problem, and the task that is made of it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

from archloom.nodes import Task
from archloom.tasks._scorers import Target
from archloom.tasks._task_set import Example
from archloom.tools.code import CodingTask, Suite


@dataclass(frozen=True)
class Problem:
    """A question that a program answers.

    Attributes:
        id: Unique name in its file.
        question: What is asked, with everything that an answer is shown.
        coding: What goes into the task's context: entry point, code to continue, public tests.
        tests: The hidden tests, with what stands beside them.
        reference: A program that passes them; empty where the file has none.
        buggy: For a repair problem, the program to repair.
    """

    id: str
    question: str
    coding: CodingTask
    tests: Suite
    reference: str = ""
    buggy: str = ""

    def example(self) -> Example:
        """The task, whose context has no hidden test, and the target, which has them all."""
        context = self.coding.context()
        if self.buggy:
            context["buggy"] = self.buggy
        message = {"role": "user", "content": self.question}
        hidden = {**self.coding.context(), "setup": self.tests.setup, "tests": list(self.tests.tests)}
        return Example(Task(self.id, (message,), context), Target(None, hidden))


def statements(source: str) -> list[ast.stmt]:
    """The statements of a program.

    Raises:
        SyntaxError: it is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some references have odd escapes
        return ast.parse(source).body


def python_block(source: str) -> str:
    """Code as a question shows it."""
    return f"```python\n{source.strip(chr(10))}\n```"


def before(prompt: str, entry_point: str) -> str:
    """What a prompt has besides the function to write: imports and helpers."""
    kept = [node for node in statements(prompt) if not (isinstance(node, ast.FunctionDef) and node.name == entry_point)]
    return "\n".join(ast.unparse(node) for node in kept)


def imports(source: str) -> str:
    """The import statements at the top level of a program."""
    found = [node for node in statements(source) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in found)
