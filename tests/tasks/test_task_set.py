"""Task sets: identity, parts, and what is dropped."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.nodes import Task
from archloom.tasks import (
    Exact,
    Example,
    Target,
    TaskSet,
    TooFewTasksError,
    UnknownTaskSetError,
    distinct,
    load_tasks,
)


def example(id: str, question: str, answer: str = "1", **context: object) -> Example:
    return Example(Task.ask(question, id=id, **context), Target(answer))


def task_set(*examples: Example) -> TaskSet:
    return TaskSet("mine", "text", examples, Exact())


def ids(tasks: TaskSet) -> list[str]:
    return [each.task.id for each in tasks.examples]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5), st.integers(1, 30))
def test_split_is_disjoint_by_id_and_by_question(search: int, report: int, seed: int, questions: int) -> None:
    tasks = task_set(*(example(f"t{i}", f"q{i % questions}", table=i) for i in range(60)))
    try:
        split = tasks.split(search, report, seed=seed)
    except TooFewTasksError:
        assert search + report > questions  # with a task for each question it must succeed
        return
    assert (len(split.search), len(split.report)) == (search, report)
    assert not set(ids(split.search)) & set(ids(split.report))
    asked = [{each.task.question for each in part.examples} for part in split]
    assert not asked[0] & asked[1]


def test_split_is_the_same_for_the_same_seed_and_keeps_the_order() -> None:
    tasks = load_tasks("simulated:demo?size=50")
    first = tasks.split(20, 20, seed=1)
    assert first == tasks.split(20, 20, seed=1)
    assert ids(first.search) == sorted(ids(first.search))
    assert ids(tasks.split(20, 20, seed=2).search) != ids(first.search)
    assert ids(first.search) != ids(tasks)[:20]


def test_too_few_tasks_for_a_split_says_how_many_there_are() -> None:
    with pytest.raises(TooFewTasksError, match="mine has 2 tasks, which cannot be split into 2 and 1"):
        task_set(example("a", "1"), example("b", "2")).split(2, 1, seed=0)


def test_take_and_select() -> None:
    tasks = task_set(example("a", "1"), example("b", "2"), example("c", "3"))
    assert ids(tasks.take(2)) == ["a", "b"]
    assert ids(tasks.take(9)) == ["a", "b", "c"]
    assert ids(tasks.select(["c", "a"])) == ["a", "c"]
    with pytest.raises(UnknownTaskSetError, match="mine has no task 'x'"):
        tasks.select(["a", "x"])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(example("z", "q", "1", table=1), id="id"),
        pytest.param(example("a", "other", "1", table=1), id="message"),
        pytest.param(example("a", "q", "1", table=2), id="context"),
        pytest.param(example("a", "q", "2", table=1), id="target"),
        pytest.param(Example(Task.ask("q", id="a", table=1), Target("1", {"x": 1})), id="data"),
    ],
)
def test_digest_tells_every_difference_that_can_change_a_score(other: Example) -> None:
    tasks = task_set(example("a", "q", "1", table=1))
    assert tasks.digest == task_set(example("a", "q", "1", table=1)).digest
    assert tasks.digest != task_set(other).digest


def test_same_question_counts_once_unless_its_context_differs(caplog: pytest.LogCaptureFixture) -> None:
    given = [example("a", "q", "1"), example("b", "q", "2"), example("c", "q", table=1), example("d", "p")]
    with caplog.at_level(logging.INFO, logger="archloom.tasks"):
        assert [each.task.id for each in distinct(given, name="mine")] == ["a", "c", "d"]
    assert "mine: 1 tasks ask the question of an earlier one" in caplog.text
