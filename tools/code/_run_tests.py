"""Running tests on a program in the sandbox."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import cast

from archloom.tools import ExecResult, Sandbox
from archloom.tools.code._report import Outcome, TestReport, TestResult
from archloom.tools.errors import UsageError

_START = "from exam._examiner import main; main()"
_GRACE_S = 2.0
"""Seconds to start and to report, beyond those of the program."""
_OUTPUT_LIMIT = 2**20
_SHOWN = 2000


async def run_tests(
    program: str,
    tests: Sequence[str],
    *,
    entry_point: str,
    sandbox: Sandbox,
    setup: str = "",
    timeout_s: float = 10.0,
) -> TestReport:
    """Runs tests on a program and says how each of them ended.

    The program runs in one process, the tests in another one that calls it and compares what comes back; both are
    inside the sandbox. So a test may use the entry point and whatever else the program defines, with arguments and
    results in plain data or held by reference, but what it compares, and its own names, are out of the program's reach.

    Args:
        program: Python source.
        tests: Pieces of Python source, run one after the other in one namespace; a piece that ends without an exception
            has passed. After a failure the next ones still run.
        entry_point: What the program must define.
        sandbox: Where all this happens.
        setup: Source that is run before the tests, beside them: their imports and helpers. Its names win over the
            program's.
        timeout_s: Seconds for the program and all tests together.

    Raises:
        UsageError: there are no tests.
        ToolError: the sandbox failed.
    """
    if not tests:
        raise UsageError("there are no tests to run.", hint="A program passes when all tests do, so give at least one.")
    nonce = secrets.token_hex(16)
    job = {
        "nonce": nonce,
        "program": program,
        "tests": list(tests),
        "entry_point": entry_point,
        "setup": setup,
        "timeout_s": timeout_s,
    }
    ran = await sandbox.python(
        _START,
        files=_exam(),
        stdin=json.dumps(job),  # not as a file, which would be in memory before the program's process is split off
        timeout_s=timeout_s + _GRACE_S,
        output_limit=_OUTPUT_LIMIT,
    )
    report = _read(ran, nonce, tests)
    return replace(report, output=ran.stderr[:_SHOWN], duration_s=ran.duration_s)


@cache
def _exam() -> dict[str, str]:
    """The program that runs in the sandbox."""
    here = files("archloom.tools.code")
    names = ("_examiner.py", "_exchange.py", "_processes.py", "_wire.py")
    return {"exam/__init__.py": "", **{f"exam/{name}": (here / name).read_text("utf-8") for name in names}}


def _read(ran: ExecResult, nonce: str, tests: Sequence[str]) -> TestReport:
    line = next((line for line in ran.stdout.split("\n") if line.startswith(nonce)), None)
    if line is None:
        return TestReport.nothing_ran(*_no_report(ran), len(tests))
    found = json.loads(line[len(nonce) :])
    results = [TestResult(cast(Outcome, outcome), detail) for outcome, detail in found["results"]]
    results += [TestResult("not_run")] * (len(tests) - len(results))
    outcome, detail = cast(Outcome, found["outcome"]), found["detail"]
    if outcome == "passed":
        for test, result in zip(tests, results, strict=True):
            if result.outcome != "passed":
                outcome, detail = result.outcome, f"{test.strip()}\n{result.detail}".strip()
                break
    return TestReport(outcome, detail, tuple(results))


def _no_report(ran: ExecResult) -> tuple[Outcome, str]:
    """Why the process of the tests said nothing: something ended it."""
    if ran.timed_out:
        return "timeout", ""
    if ran.exceeded == "memory":
        return "memory", "the program was killed for the memory that its processes use"
    if ran.exit_code is None:
        return "output_flood", f"the program was killed for the amount of its {ran.exceeded or 'output'}"
    return "exited", f"the tests were ended with exit code {ran.exit_code}: {ran.stderr.strip()[-300:]}"
