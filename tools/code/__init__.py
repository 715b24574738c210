"""Programs that answer coding tasks: put together from what a model wrote, and run against tests."""

from archloom.tools.code._assemble import assemble_program
from archloom.tools.code._coding_task import CodingTask
from archloom.tools.code._report import Outcome, TestReport, TestResult
from archloom.tools.code._run_tests import run_tests
from archloom.tools.code._tests import Suite, docstring_tests, split_tests

__all__ = [
    "CodingTask",
    "Outcome",
    "Suite",
    "TestReport",
    "TestResult",
    "assemble_program",
    "docstring_tests",
    "run_tests",
    "split_tests",
]
