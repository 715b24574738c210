"""Simulated models on Text2SQL: they know the golds of marked questions, and are as good as they are said to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

from archloom.graphs import SimulatedModel
from archloom.nodes import Candidate, Executed, Sampling, SqlRepair, Task
from archloom.orchestrator.models import SimulatedClient
from archloom.tasks import TaskSet, load_tasks, simulated_truth, simulated_wrong
from archloom.tasks.text2sql import UNANSWERABLE, simulated_number, simulated_query
from archloom.tools.sql import find_sql, open_database

TABLES = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2), (3);"
COUNT = 40


@pytest.fixture
def tasks(database: Callable[..., Path], tmp_path: Path) -> TaskSet:
    database("t", TABLES)
    lines: list[dict[str, object]] = [
        {
            "question": f"What are the numbers plus {i}?",
            "sql": f"SELECT a + {i} FROM t",
            "database": "database/t.sqlite",
        }
        for i in range(COUNT)
    ]
    lines += [
        {"question": f"What is the {what}?", "unanswerable": True, "database": "database/t.sqlite"}
        for what in ("weather", "time")
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return load_tasks("sql:q.jsonl?simulated=true", base=tmp_path)


def mark(task: Task) -> str:
    return str(task.context["asked"]).partition(": ")[0] + ":"


def test_right_number_is_the_gold_and_wrong_ones_are_wrong_queries(tasks: TaskSet) -> None:
    for example in tasks.examples:
        own = mark(example.task)
        truth = simulated_truth(own)
        assert truth is not None
        assert simulated_query(own, truth) == example.target.answer
        wrong = [simulated_query(own, simulated_wrong(own, rank)) for rank in range(4)]
        assert example.target.answer not in wrong
        for number in (truth, *(simulated_wrong(own, rank) for rank in range(4))):
            query = simulated_query(own, number)
            assert query is not None
            found = simulated_number(own, query.lower())
            assert found is not None
            assert simulated_query(own, found) == query, "what is read back means the same"


def test_wrong_queries_are_scored_as_wrong(tasks: TaskSet) -> None:
    for example in (tasks.examples[1], *tasks.examples[-2:]):
        for rank in range(8):
            query = simulated_query(mark(example.task), simulated_wrong(mark(example.task), rank))
            assert tasks.scorer.score(None, f"```sql\n{query}\n```", example.target) == 0.0, query


def test_some_wrong_queries_fail_and_some_find_nothing(tasks: TaskSet) -> None:
    task = tasks.examples[0].task
    database = open_database(str(task.context["database"]))
    queries = [simulated_query(mark(task), simulated_wrong(mark(task), rank)) for rank in range(4)]
    assert [database.execute(str(query)).outcome for query in queries] == ["ok", "error", "ok", "empty"]


def test_other_golds_give_other_marks(tasks: TaskSet, tmp_path: Path) -> None:
    text = (tmp_path / "q.jsonl").read_text().replace("a + 7", "a + 77")
    (tmp_path / "q.jsonl").write_text(text)
    other = load_tasks("sql:q.jsonl?simulated=true", base=tmp_path)
    assert mark(other.examples[0].task) != mark(tasks.examples[0].task)


def test_questions_have_no_mark_unless_they_are_simulated(tasks: TaskSet, tmp_path: Path) -> None:
    plain = load_tasks("sql:q.jsonl", base=tmp_path)
    assert "Simulated" not in plain.examples[0].task.question
    assert simulated_query("Simulated task simulated/0/1:", "123") is None


async def test_model_is_as_good_as_its_skill(tasks: TaskSet) -> None:
    model = SimulatedClient(SimulatedModel(skill=(7.0, 3.0)))
    scores = []
    for example in tasks.examples:
        for seed in range(10):
            reply = await model.complete(example.task.messages, Sampling(), seed=seed)
            scores.append(tasks.scorer.score(None, reply.text, example.target))
    assert fmean(scores) == pytest.approx(0.7, abs=0.08)


async def test_repair_of_a_query_follows_the_model_s_fixes(tasks: TaskSet) -> None:
    task = tasks.examples[0].task
    model = SimulatedClient(SimulatedModel(fixes=1.0))
    broken = Candidate("a#0", "```sql\nSELECT no_such_column_0 FROM (SELECT a + 0 FROM t) AS answer\n```")
    broken = broken.annotated(executed=Executed("error", None, "error: no such column"))
    [request] = SqlRepair(model="m", after=("run",)).requests(task, (broken,))
    reply = await model.complete(request.messages, Sampling(), seed=0)
    assert find_sql(reply.text) == tasks.examples[0].target.answer


def test_unanswerable_question_is_declined_by_who_knows_that(tasks: TaskSet) -> None:
    last = tasks.examples[-1]
    assert last.target.answer == UNANSWERABLE
    assert tasks.scorer.score(None, f"```sql\n{UNANSWERABLE}\n```", last.target) == 1.0


def test_unanswerable_with_a_query_that_reads_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    line = {"question": "?", "unanswerable": True, "sql": "SELECT a FROM t", "database": "t.sqlite"}
    (tmp_path / "q.jsonl").write_text(json.dumps(line))
    with pytest.raises(Exception, match="must read no table"):
        load_tasks("sql:q.jsonl", base=tmp_path)
