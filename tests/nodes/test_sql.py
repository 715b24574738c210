"""SQL nodes: what is shown of a database, what running a query says, what is repaired, and what is chosen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from archloom.nodes import (
    Candidate,
    Candidates,
    Executed,
    FailedSample,
    SchemaLink,
    SqlExecute,
    SqlGenerator,
    SqlRepair,
    Task,
)
from archloom.testing._context import FakeContext
from archloom.tools import ToolError

SCRIPT = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
CREATE TABLE song (id INTEGER PRIMARY KEY, singer_id INTEGER REFERENCES singer (id), title TEXT);
INSERT INTO singer VALUES (1, 'Ada', 30), (2, 'Bo', 20), (3, 'Cy', 20);
INSERT INTO song VALUES (1, 1, 'Hey'), (2, 1, 'Oh'), (3, 2, 'Hey');
"""
NAMES = "SELECT name FROM singer"


@pytest.fixture
def task(tmp_path: Path) -> Task:
    path = tmp_path / "concert.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
    return Task.ask(
        "the text that the task set wrote",
        asked="How many songs has Bo?",
        database=str(path),
        dialect="sqlite",
        evidence="songs are in song",
    )


def block(sql: str) -> str:
    return f"Here it is:\n```sql\n{sql}\n```"


def drafts(*texts: str) -> Candidates:
    return tuple(Candidate(f"draft#{i}", text) for i, text in enumerate(texts))


def outcomes(candidates: Candidates) -> list[str | None]:
    return [each.executed.outcome if each.executed else None for each in candidates]


def prompt(ctx: FakeContext, place: int = 0) -> str:
    return str(ctx.asked[place].request.messages[-1]["content"])


# --- sql_execute


async def test_every_end_of_a_query_is_an_outcome(task: Task) -> None:
    given = drafts(
        block(NAMES),
        block("SELECT name FROM singer WHERE age > 99"),
        block("SELECT nothing FROM singer"),
        block(f"{NAMES}; {NAMES}"),
        block("DROP TABLE singer"),
        "I do not know.",
        block("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"),
        block("SELECT 1 FROM singer a, singer b, song c"),
    )
    ctx = FakeContext(task)
    done = await SqlExecute(after=("draft",), timeout_s=0.3, rows=20).run(task, given, ctx)
    assert outcomes(done) == [
        "ok", "empty", "error", "several_statements", "not_read_only", "no_sql", "timeout", "row_cap",
    ]  # fmt: skip
    assert [each.group is not None for each in done] == [True, True, *[False] * 6]
    assert [note.what for note in ctx.notes] == [
        "error", "several_statements", "not_read_only", "no_sql", "timeout", "row_cap",
    ]  # fmt: skip
    assert done[0].executed is not None
    assert done[0].executed.shown == "name\nAda\nBo\nCy\n(3 rows)"
    assert done[2].executed is not None
    assert "nothing" in done[2].executed.shown


@pytest.mark.parametrize(
    ("other", "order", "same"),
    [
        pytest.param("SELECT name AS n FROM singer ORDER BY id DESC", False, True, id="bag of rows"),
        pytest.param("SELECT name FROM singer ORDER BY id DESC", True, False, id="stated order, when it counts"),
        pytest.param("SELECT name FROM singer WHERE id > 0", True, True, id="no order stated"),
        pytest.param("SELECT name FROM singer UNION ALL SELECT 'Bo'", False, False, id="duplicates count"),
        pytest.param("SELECT id, name FROM singer", False, False, id="columns count"),
    ],
)
async def test_results_agree_whatever_the_query(task: Task, other: str, order: bool, same: bool) -> None:
    given = drafts(block(NAMES), block(other))
    one, two = await SqlExecute(after=("draft",), order=order).run(task, given, FakeContext(task))
    assert (one.group == two.group) is same


async def test_order_of_columns_counts_and_their_names_do_not(task: Task) -> None:
    queries = ["SELECT id, name FROM singer", "SELECT name, id FROM singer", "SELECT id AS a, name AS b FROM singer"]
    one, two, three = await SqlExecute(after=("draft",)).run(task, drafts(*map(block, queries)), FakeContext(task))
    assert one.group != two.group
    assert one.group == three.group


async def test_only_candidates_with_rows_are_kept_unless_there_is_none(task: Task) -> None:
    node = SqlExecute(after=("draft",), keep="ok")
    given = drafts("no", block(NAMES), block("SELECT 1 WHERE 1 = 0"))
    assert [each.id for each in await node.run(task, given, FakeContext(task))] == ["draft#1"]
    assert len(await node.run(task, given[::2], FakeContext(task))) == 2


async def test_what_was_run_is_not_run_again(task: Task) -> None:
    old = Candidate("draft#0", block(NAMES), executed=Executed("ok", "key", "as it was"))
    [again] = await SqlExecute(after=("draft",)).run(task, (old,), FakeContext(task))
    assert again is old


async def test_shown_rows_are_limited(task: Task) -> None:
    given = drafts(block("SELECT 1 AS one FROM singer a, singer b"), block(f"SELECT '{'x' * 500}' AS long"))
    rows, long = await SqlExecute(after=("draft",), rows_shown=2).run(task, given, FakeContext(task))
    assert rows.executed is not None
    assert long.executed is not None
    assert rows.executed.shown == "one\n1\n1\n(9 rows, 2 shown)"
    assert long.executed.shown == f"long\n{'x' * 57}...\n(1 row)"


async def test_missing_database_is_an_outcome() -> None:
    task = Task.ask("?", database="nowhere/none.sqlite", dialect="sqlite")
    [done] = await SqlExecute(after=("draft",)).run(task, drafts(block(NAMES)), FakeContext(task))
    assert outcomes((done,)) == ["unavailable"]


async def test_task_without_a_database_leaves_candidates_alone() -> None:
    ctx = FakeContext("What is 5 x 9?")
    given = drafts("45")
    assert await SqlExecute(after=("draft",)).run(ctx.task, given, ctx) == given
    assert [note.what for note in ctx.notes] == ["not_applicable"]


# --- sql_generator


async def test_generator_shows_schema_evidence_and_question_alone(task: Task) -> None:
    ctx = FakeContext(task, replies=[block(NAMES), block("SELECT 1; SELECT 2")], answer="sql")
    one, two = await SqlGenerator(model="m", samples=2).run(task, (), ctx)
    assert one.answer == "SELECT name FROM singer"
    assert two.answer is None
    said = prompt(ctx)
    assert "singer(id INTEGER key 1 2 3, name TEXT 'Ada' 'Bo' 'Cy'" in said
    assert "-> singer.id" in said
    assert "Evidence: songs are in song" in said
    assert said.endswith("Question: How many songs has Bo?")
    assert "task set wrote" not in said


@pytest.mark.parametrize(
    ("fields", "shown", "hidden"),
    [
        pytest.param({"schema_holds": "names"}, "singer(id 1 2 3,", "INTEGER", id="names"),
        pytest.param({"schema_holds": "types"}, "singer(id INTEGER 1 2 3,", "-> singer", id="types"),
        pytest.param({"schema_samples": 0}, "name TEXT,", "Ada", id="no samples"),
        pytest.param({"values": 2, "schema_samples": 0}, "singer.name = 'Bo'", "Ada", id="values of the question"),
        pytest.param({"schema_samples": 1}, "'Ada'", "'Cy'", id="one sample"),
        pytest.param({"style": "steps"}, "think step by step", "simpler", id="steps"),
        pytest.param({"style": "parts"}, "simpler", "think step", id="parts"),
        pytest.param({"may_abstain": True}, "SELECT 'unanswerable'", "???", id="abstain"),
    ],
)
async def test_fields_say_what_the_prompt_holds(task: Task, fields: dict[str, object], shown: str, hidden: str) -> None:
    ctx = FakeContext(task, replies=[block(NAMES)])
    await SqlGenerator.model_validate({"model": "m", **fields}).run(task, (), ctx)
    assert shown in prompt(ctx)
    assert hidden not in prompt(ctx)


async def test_token_budget_leaves_out_what_the_question_is_not_about(task: Task) -> None:
    wide = {"model": "m", "schema_samples": 0}
    long, short = FakeContext(task, replies=["x"]), FakeContext(task, replies=["x"])
    await SqlGenerator.model_validate({**wide, "schema_tokens": None}).run(task, (), long)
    with closing(sqlite3.connect(str(task.context["database"]))) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)
    await SqlGenerator.model_validate({**wide, "schema_tokens": 50}).run(task, (), short)
    assert "singer(" in prompt(long)
    assert "song(" in prompt(short)
    assert len(prompt(short)) <= len(prompt(long))


async def test_attempts_are_shown_with_their_results(task: Task) -> None:
    given = (
        Candidate("a#0", block(NAMES), executed=Executed("ok", "k", "name\nAda\n(1 row)"), score=0.75),
        Candidate("a#1", block("SELECT x"), executed=Executed("error", None, "error: no such column: x")),
    )
    ctx = FakeContext(task, replies=[block(NAMES)])
    [made] = await SqlGenerator(model="m", after=("a",)).run(task, given, ctx)
    assert "Result (ok):\nname\nAda\n(1 row)" in prompt(ctx)
    assert "Judged: 0.75" in prompt(ctx)
    assert "no such column: x" in prompt(ctx)
    assert made.parents == ("a#0", "a#1")


async def test_generator_of_a_task_without_a_database_asks_its_question() -> None:
    ctx = FakeContext("What is 5 x 9?", replies=["45"])
    [made] = await SqlGenerator(model="m").run(ctx.task, (), ctx)
    assert prompt(ctx).endswith("Question: What is 5 x 9?")
    assert "Tables" not in prompt(ctx)
    assert made.answer == "45"


async def test_database_that_cannot_be_read_fails_the_node() -> None:
    task = Task.ask("?", database="nowhere/none.sqlite", dialect="sqlite")
    with pytest.raises(ToolError, match="unavailable"):
        await SqlGenerator(model="m").run(task, (), FakeContext(task, replies=["x"]))


# --- schema_link


async def test_link_narrows_the_schema_of_the_next_generator(task: Task) -> None:
    ctx = FakeContext(task, replies=['I need the titles.\n{"Song": ["TITLE"]}'])
    [link] = await SchemaLink(model="m").run(task, (), ctx)
    assert (link.kind, link.answer) == ("document", '{"Song": ["TITLE"]}')
    ctx = FakeContext(task, replies=[block(NAMES)])
    [made] = await SqlGenerator(model="m", after=("link",)).run(task, (link,), ctx)
    assert "song(id INTEGER key 1 2 3, singer_id" in prompt(ctx), "keys stay"
    assert "singer(" not in prompt(ctx)
    assert "Response" not in prompt(ctx), "a choice of tables is no attempt"
    assert made.parents == ()


async def test_links_are_put_together(task: Task) -> None:
    ctx = FakeContext(task, replies=['{"song": ["title"]}', '{"singer": ["age"]}'])
    links = await SchemaLink(model="m", samples=2, temperature=0.7).run(task, (), ctx)
    ctx = FakeContext(task, replies=[block(NAMES)])
    await SqlGenerator(model="m", after=("link",), schema_samples=0).run(task, links, ctx)
    assert "singer(id INTEGER key, age INTEGER)" in prompt(ctx)
    assert "song(" in prompt(ctx)
    assert "name" not in prompt(ctx)


@pytest.mark.parametrize(
    "reply",
    ["song", "{song}", '["song"]', '{"song": "title"}', '{"album": []}', '{"song": ["length"]}', "{}"],
)
async def test_link_that_cannot_be_read_leaves_the_whole_schema(task: Task, reply: str) -> None:
    ctx = FakeContext(task, replies=[reply, reply])
    links = await SchemaLink(model="m").run(task, (), ctx)
    assert [note.what for note in ctx.notes] == ["unparsed"]
    ctx = FakeContext(task, replies=[block(NAMES)])
    await SqlGenerator(model="m", after=("link",)).run(task, links, ctx)
    assert "singer(" in prompt(ctx)
    assert "song(" in prompt(ctx)


# --- sql_repair


def executed(*pairs: tuple[str, str]) -> Candidates:
    return tuple(
        Candidate(f"draft#{i}", block(sql), executed=Executed(outcome, None, f"{outcome}: said"))
        for i, (sql, outcome) in enumerate(pairs)
    )


async def test_only_what_is_broken_is_repaired(task: Task) -> None:
    given = executed(("SELECT 1", "ok"), ("SELECT b", "error"), ("SELECT 2", "empty"), ("SELECT c", "row_cap"))
    unrun = Candidate("draft#9", block("SELECT 3"))
    ctx = FakeContext(task, replies=[block("SELECT fixed"), block("SELECT other"), block("SELECT third")], node="fix")
    done = await SqlRepair(model="m", after=("run",)).run(task, (*given, unrun), ctx)
    assert [each.id for each in done] == ["draft#0", "fix#1", "fix#2", "fix#3", "draft#9"]
    assert [each.parents for each in done[1:4]] == [("draft#1",), ("draft#2",), ("draft#3",)]
    assert outcomes(done) == ["ok", None, None, None, None], "what is new has not been run"
    assert "SELECT b" in prompt(ctx)
    assert "error: said" in prompt(ctx)
    assert "The query did not run." in prompt(ctx)
    assert "found nothing" in prompt(ctx, 1)
    assert "How many songs has Bo?" in prompt(ctx)
    assert "singer(" in prompt(ctx)


@pytest.mark.parametrize(
    ("repairs", "repaired"),
    [
        (("error",), ["error", "no_sql"]),
        (("empty",), ["empty"]),
        (("timeout",), ["timeout"]),
        (("error", "timeout"), ["error", "timeout", "no_sql"]),
    ],
)
def test_repairs_says_what_is_repaired(task: Task, repairs: tuple[str, ...], repaired: list[str]) -> None:
    kinds = ["ok", "error", "empty", "timeout", "no_sql"]
    node = SqlRepair.model_validate({"model": "m", "after": "run", "repairs": repairs})
    asked = node.requests(task, executed(*((f"SELECT '{kind}'", kind) for kind in kinds)))
    said = [str(request.messages[-1]["content"]) for request in asked]
    assert [kind for kind in kinds if any(f"SELECT '{kind}'" in text for text in said)] == repaired


async def test_nothing_is_asked_when_nothing_is_broken(task: Task) -> None:
    given = executed(("SELECT 1", "ok"))
    ctx = FakeContext(task)
    assert await SqlRepair(model="m", after=("run",)).run(task, given, ctx) == given
    assert ctx.asked == []


async def test_call_that_failed_leaves_the_old_query(task: Task) -> None:
    given = executed(("SELECT a", "error"), ("SELECT b", "error"))
    ctx = FakeContext(task, replies=[FailedSample("timeout", "60 s"), block("SELECT fixed")], node="fix")
    done = await SqlRepair(model="m", after=("run",)).run(task, given, ctx)
    assert [each.id for each in done] == ["draft#0", "fix#1"]


def test_estimate_counts_on_repairing_everything(task: Task) -> None:
    """Before a run nothing is known of results: each may be the longest, and one to be repaired."""
    longest = SqlExecute(after=("draft",)).longest(SqlGenerator(model="m", samples=3).longest(()))
    node = SqlRepair(model="m", after=("run",), max_tokens=8)
    assert len(node.requests(task, longest)) == 3
    assert [len(each.text) for each in node.longest(longest)] == [len(each.text) for each in longest]
