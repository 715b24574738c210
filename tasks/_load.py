"""Task sets by spec."""

from __future__ import annotations

from pathlib import Path

from archloom.tasks._gsm8k import load_gsm8k
from archloom.tasks._jsonl import Reading, load_jsonl
from archloom.tasks._math import load_math
from archloom.tasks._reasoning_gym import load_reasoning_gym
from archloom.tasks._registry import register, task_loaders
from archloom.tasks._simulated import load_simulated
from archloom.tasks._task_file import load_task_file
from archloom.tasks._task_set import TaskSet
from archloom.tasks.code import code_loader
from archloom.tasks.errors import UnknownTaskSetError
from archloom.tasks.text2sql import text2sql_loader
from archloom.tools import suggest

register("gsm8k")(load_gsm8k)
register("math")(load_math)
register("reasoning_gym")(load_reasoning_gym)
register("simulated")(load_simulated)
for _layout in ("bird", "defog", "spider", "sql"):
    register(_layout)(text2sql_loader(_layout))
for _layout in ("code", "humaneval", "humanevalfix", "mbpp", "quixbugs"):
    register(_layout)(code_loader(_layout))


def load_tasks(spec: str, *, base: Path | None = None) -> TaskSet:
    """The task set a spec names.

    ======================================== ===========================================================
    ``reasoning_gym:products?size=80&seed=7`` a generator of the package reasoning-gym, with its parameters
    ``gsm8k:test.jsonl``                      grade-school problems in the official format
    ``math:test.jsonl``                       competition problems with answers in LaTeX, in the format of MATH
    ``simulated:demo?size=200&seed=0``        tasks for the simulated model
    ``spider:FOLDER``, ``bird:FOLDER``        Text2SQL in the official layouts; ``defog:FILE.csv`` alike
    ``sql:mine.jsonl?database=shop.sqlite``   questions to a database of one's own
    ``humaneval:``, ``mbpp:FILE.json``        coding; ``humanevalfix:FILE`` and ``quixbugs:FILE`` to repair programs
    ``code:mine.jsonl``                       coding problems of one's own
    ``mine.jsonl``                            lines with ``question``, ``answer`` and perhaps ``id``
    ``mine.yaml``                             a file that says where tasks are and how they are read
    ======================================== ===========================================================

    Args:
        spec: One of these, or ``PREFIX:...`` of a plug-in.
        base: Folder that relative paths start from; by default the current one.

    Raises:
        TaskError: there is no such task set, or it cannot be read.
    """
    base = base or Path()
    prefix, colon, rest = spec.partition(":")
    loaders = task_loaders()
    if colon and prefix in loaders:
        return loaders[prefix](rest, base)
    path = Path(spec)
    if path.suffix == ".jsonl":
        return load_jsonl(base / path, Reading(), name=path.as_posix())
    if path.suffix in {".yaml", ".yml"}:
        return load_task_file(base / path, name=path.as_posix())
    known = ", ".join(f"{name}:..." for name in loaders)
    raise UnknownTaskSetError(
        f"unknown task set {spec!r}.",
        hint=suggest(prefix, loaders) if colon else f"It is one of {known}, or a .jsonl or .yaml file.",
    )
