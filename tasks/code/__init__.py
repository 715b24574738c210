"""Coding tasks: HumanEval, HumanEvalFix, MBPP, QuixBugs and one's own, scored by unit tests in the sandbox."""

from archloom.tasks.code._benchmarks import read_humaneval, read_humanevalfix, read_mbpp
from archloom.tasks.code._loaders import CodeTasks, code_loader, load_code
from archloom.tasks.code._own import read_code
from archloom.tasks.code._problem import Problem
from archloom.tasks.code._quixbugs import read_quixbugs
from archloom.tasks.code._unit_tests import UnitTests

__all__ = [
    "CodeTasks",
    "Problem",
    "UnitTests",
    "code_loader",
    "load_code",
    "read_code",
    "read_humaneval",
    "read_humanevalfix",
    "read_mbpp",
    "read_quixbugs",
]
