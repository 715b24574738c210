"""Task sets and their scorers.

A task set is loaded by a spec (:func:`load_tasks`). Its tasks go to workflows, its targets to the scorer.
"""

from archloom.tasks._load import load_tasks
from archloom.tasks._registry import Loader, register, task_loaders
from archloom.tasks._scorers import Choice, Exact, Numeric, Regex, Scorer, Target, scorer, scorer_names
from archloom.tasks._simulated import simulated_truth, simulated_wrong
from archloom.tasks._task_file import TaskFile
from archloom.tasks._task_set import Example, Split, TaskSet, distinct
from archloom.tasks.errors import TaskError, TaskFileError, TooFewTasksError, UnknownTaskSetError

__all__ = [
    "Choice",
    "Exact",
    "Example",
    "Loader",
    "Numeric",
    "Regex",
    "Scorer",
    "Split",
    "Target",
    "TaskError",
    "TaskFile",
    "TaskFileError",
    "TaskSet",
    "TooFewTasksError",
    "UnknownTaskSetError",
    "distinct",
    "load_tasks",
    "register",
    "scorer",
    "scorer_names",
    "simulated_truth",
    "simulated_wrong",
    "task_loaders",
]
