"""A task-set file: YAML that says where the tasks are and how their fields are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError, model_validator

from archloom.tasks._jsonl import Reading, load_jsonl
from archloom.tasks._rows import Problems, read_text
from archloom.tasks._task_set import TaskSet
from archloom.tasks.errors import TaskFileError


class TaskFile(Reading):
    """What a task-set file may say."""

    tasks: str
    """The JSONL file, relative to this one."""

    @model_validator(mode="after")
    def _tolerance_needs_numbers(self) -> TaskFile:
        if self.tolerance is not None and self.scorer != "numeric":
            raise ValueError("a tolerance needs 'scorer: numeric'")
        return self


def load_task_file(path: Path, *, name: str) -> TaskSet:
    """The task set that a YAML file describes.

    Raises:
        TaskFileError: with every mistake in it and its place, or those of the file it names.
    """
    text = read_text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        raise TaskFileError(f"{path}{_at(exc.problem_mark)}: not YAML: {exc.problem}") from exc
    if not isinstance(values, dict):
        raise TaskFileError(f"{path}: a task-set file is a mapping with the key 'tasks'")
    try:
        described = TaskFile.model_validate(values)
    except ValidationError as exc:
        problems = Problems()
        for error in exc.errors():
            where = ".".join(map(str, error["loc"]))
            problems.add(
                f"{path}{_at(_mark(root, error['loc']))}",
                f"{where}: {error['msg']}" if where else error["msg"],
            )
        problems.raise_any()
        raise
    return load_jsonl(path.parent / described.tasks, described, name=name)


def _mark(node: yaml.Node | None, keys: Sequence[int | str]) -> yaml.Mark | None:
    """Where the innermost of these keys stands that the document has."""
    mark = None if node is None else node.start_mark
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if name.value == key:
                    mark, node = name.start_mark, value
    return mark


def _at(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
