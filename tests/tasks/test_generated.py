"""Task sets that are generated from a seed: reasoning-gym and simulated tasks."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tasks import (
    Numeric,
    TaskError,
    TaskSet,
    UnknownTaskSetError,
    load_tasks,
    simulated_truth,
    simulated_wrong,
)
from archloom.tasks._reasoning_gym import _NOT_SCORED
from archloom.tools import UsageError, canonical_answer, evaluate, extract_answer, find_expression

PRODUCTS = "reasoning_gym:products?size=80&seed=7&min_digits=1&max_digits=1&min_terms=2&max_terms=2"


def score(tasks: TaskSet, index: int, text: str) -> float:
    answer = extract_answer(text, tasks.answer)
    return tasks.scorer.score(answer, text, tasks.examples[index].target)


def test_same_spec_gives_the_same_tasks_however_it_is_spelt() -> None:
    tasks = load_tasks(PRODUCTS)
    other = load_tasks("reasoning_gym:products?max_terms=2&min_terms=2&max_digits=1&min_digits=1&seed=7&size=80")
    assert tasks.name == other.name == load_tasks(tasks.name).name
    assert tasks.digest == other.digest
    assert tasks.digest != load_tasks(PRODUCTS.replace("seed=7", "seed=8")).digest
    assert [each.task.id for each in tasks.examples][:2] == ["products-7-000", "products-7-001"]


def test_defaults_are_part_of_the_name() -> None:
    tasks = load_tasks("reasoning_gym:gcd")
    assert tasks.name == "reasoning_gym:gcd?seed=0&size=100"
    assert len(tasks) == 100


def test_questions_are_distinct_and_as_many_as_there_are(caplog: pytest.LogCaptureFixture) -> None:
    tasks = load_tasks(PRODUCTS)
    assert len(tasks) == len({each.task.question for each in tasks.examples}) == 80
    assert not caplog.records
    # there are only 100 products of two digits
    assert len(load_tasks(PRODUCTS.replace("size=80", "size=150"))) == 100
    assert "has only 100 different questions" in caplog.text


def test_a_larger_set_begins_with_the_smaller() -> None:
    small, large = load_tasks(PRODUCTS.replace("size=80", "size=40")), load_tasks(PRODUCTS)
    assert large.examples[:40] == small.examples


@pytest.mark.parametrize(
    ("name", "exact"),
    [("products", 50), ("chain_sum", 50), ("decimal_chain_sum", 50), ("basic_arithmetic", 49)],
)
def test_calculator_agrees_with_the_reference_answers(name: str, exact: int) -> None:
    # basic_arithmetic rounds some of its own divisions down, so that an answer or two of its are wrong
    tasks = load_tasks(f"reasoning_gym:{name}?size=50&seed=3")
    found = [find_expression(each.task.question) for each in tasks.examples]
    assert None not in found
    values = [str(evaluate(expression)) for expression in found if expression is not None]
    agreeing = [
        canonical_answer(value, "number") == each.target.answer
        for value, each in zip(values, tasks.examples, strict=True)
    ]
    assert sum(agreeing) >= exact


def test_whole_numbers_are_compared_as_numbers() -> None:
    tasks = load_tasks(PRODUCTS)
    assert (tasks.answer, tasks.scorer) == ("number", Numeric())
    gold = tasks.examples[0].target.answer
    assert score(tasks, 0, f"The answer is {gold}.0") == 1.0
    assert score(tasks, 0, f"The answer is {gold}1") == 0.0
    assert score(tasks, 0, "I do not know") == 0.0


def test_other_numbers_are_scored_as_they_are_written() -> None:
    tasks = load_tasks("reasoning_gym:fraction_simplification?size=5&styles=plain")
    assert tasks.answer == "number"
    gold = str(tasks.examples[0].target.answer)
    above, below = re.findall(r"\d+", tasks.examples[0].task.question)[:2]
    assert score(tasks, 0, f"The answer is {gold}.") == 1.0
    assert score(tasks, 0, f"It is {above}/{below} = {gold}") == 1.0
    assert score(tasks, 0, f"It is {above}/{below}") == 0.0  # the same number, not simplified
    assert score(tasks, 0, "no number") == 0.0


def test_text_is_scored_by_the_dataset_with_full_marks_only() -> None:
    tasks = load_tasks("reasoning_gym:caesar_cipher?size=3")
    assert (tasks.answer, tasks.scorer.name) == ("text", "reasoning_gym")
    gold = str(tasks.examples[0].target.data["entry"]["answer"])  # type: ignore[index]
    assert score(tasks, 0, f"Let me see.\nThe answer is **{gold}**") == 1.0
    assert score(tasks, 0, gold) == 1.0
    assert score(tasks, 0, f"{gold} or something else") == 0.0
    assert score(tasks, 0, "") == 0.0


def test_answers_of_many_lines_are_scored_whole() -> None:
    tasks = load_tasks("reasoning_gym:rotate_matrix?size=3")
    gold = str(tasks.examples[0].target.data["entry"]["answer"])  # type: ignore[index]
    assert "\n" in gold
    assert score(tasks, 0, gold) == 1.0
    assert score(tasks, 0, f"I turn it.\n\nThe answer is:\n```\n{gold}\n```") == 1.0
    assert score(tasks, 0, gold.split("\n")[-1]) == 0.0


def test_answer_that_breaks_a_datasets_scorer_is_wrong() -> None:
    assert score(load_tasks("reasoning_gym:prime_factorization?size=2"), 0, "two times three") == 0.0


def test_task_sets_can_be_sent_to_another_process() -> None:
    for spec in (PRODUCTS, "reasoning_gym:caesar_cipher?size=3", "simulated:demo?size=3"):
        tasks = load_tasks(spec)
        assert pickle.loads(pickle.dumps(tasks)).digest == tasks.digest


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("reasoning_gym:prodcts", "no generator 'prodcts'. Did you mean 'products'?"),
        ("reasoning_gym:products?sise=3", "has no parameter 'sise'. Did you mean 'size'?"),
        ("reasoning_gym:products?size=x", "size='x': Input should be a valid integer"),
        ("reasoning_gym:products?size=0", "size must be positive"),
        ("reasoning_gym:products?min_digits=9", "max_digits must be >= min_digits"),
        ("reasoning_gym:products?size", "are not key=value pairs"),
        ("reasoning_gym:products?size=1&size=2", "is given twice"),
        ("reasoning_gym:countdown", "its scorer runs the model's answer as Python code"),
        ("simulated:demo?sise=3", "has no parameter 'sise'. Did you mean 'size'?"),
        ("simulated:demo?size=0", "size='0': Input should be greater than or equal to 1"),
        ("simulated:a/b", "needs a name of letters"),
        ("simulatd:a", "unknown task set 'simulatd:a'. Did you mean 'simulated'?"),
        ("tasks.txt", "or a .jsonl or .yaml file."),
    ],
)
def test_bad_spec_says_what_is_meant(spec: str, message: str) -> None:
    with pytest.raises(TaskError, match=re.escape(message)) as caught:
        load_tasks(spec)
    assert caught.value.exit_code == 2


def test_lists_in_a_spec_are_separated_by_commas() -> None:
    tasks = load_tasks("reasoning_gym:basic_arithmetic?size=20&operators=%2B,-")
    assert not any(re.search("[*/]", each.task.question) for each in tasks.examples)
    assert load_tasks(tasks.name).digest == tasks.digest


def test_no_used_scorer_evaluates_what_a_model_wrote() -> None:
    """An upgrade of reasoning-gym that adds such a scorer must be noticed here."""
    from reasoning_gym.factory import DATASETS

    evaluating = {
        name
        for name, (dataset, _) in DATASETS.items()
        if re.search(r"\b(eval|exec|parse_expr|sympify)\(", inspect.getsource(dataset.score_answer))
    }
    safe = {"number_sorting"}  # evaluates its own reference answer, and reads the model's as JSON
    assert evaluating - safe <= _NOT_SCORED.keys()


def test_importing_tasks_does_not_import_reasoning_gym() -> None:
    code = "import sys, archloom.tasks; sys.exit('reasoning_gym' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- simulated -----------------------------------------------------------------------------------------------


def test_simulated_tasks_carry_their_marker_and_not_their_answer() -> None:
    tasks = load_tasks("simulated:demo?size=1000&seed=3")
    assert tasks.name == "simulated:demo?seed=3&size=1000"
    assert (tasks.answer, tasks.scorer) == ("number", Numeric())
    last = tasks.examples[-1]
    assert last.task.id == "demo-3-999"
    assert last.task.question.startswith("Simulated task demo/3/999: ")
    assert all(simulated_truth(each.task.question) == each.target.answer for each in tasks.examples)
    assert len({each.target.answer for each in tasks.examples}) > 500


def test_truth_is_read_from_any_text_with_the_marker() -> None:
    tasks = load_tasks("simulated:demo?size=1")
    question, answer = tasks.examples[0].task.question, tasks.examples[0].target.answer
    assert simulated_truth(f"Judge this.\n\n{question}\n\nResponse: 5") == answer
    assert simulated_truth("What is 5 x 9?") is None
    with pytest.raises(UsageError, match="no simulated task"):
        simulated_wrong("What is 5 x 9?", 0)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 5000), min_size=2, max_size=20, unique=True))
def test_wrong_answers_are_wrong_distinct_and_readable(index: int, ranks: list[int]) -> None:
    question = f"Simulated task demo/0/{index}: find its number."
    answers = [simulated_truth(question), *(simulated_wrong(question, rank) for rank in ranks)]
    assert len(set(answers)) == len(answers)
    assert all(extract_answer(f"The answer is {answer}.", "number") == answer for answer in answers)
    assert answers[1] == simulated_wrong(question, ranks[0])


def test_unknown_names_have_an_error_of_their_own() -> None:
    with pytest.raises(UnknownTaskSetError):
        load_tasks("nothing")
