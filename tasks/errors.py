"""Errors of task sets. All are mistakes in a name, a file or a size, and name the place."""

from __future__ import annotations

from archloom.tools.errors import ArchloomError


class TaskError(ArchloomError):
    """A task set cannot be used as asked."""

    code = "E200"
    exit_code = 2


class UnknownTaskSetError(TaskError):
    """A task set, a parameter of one, or a task in one does not exist."""

    code = "E201"


class TaskFileError(TaskError):
    """A file of tasks cannot be read; the message has a line for each mistake, with file and line."""

    code = "E202"


class TooFewTasksError(TaskError):
    """A task set is smaller than what was asked of it."""

    code = "E203"
