"""Text2SQL from the command line: the six library graphs score what the table says, and a database can be asked."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
import yaml

from archloom.tasks.text2sql import load_text2sql

Cli: TypeAlias = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "text2sql"
GRAPHS = ("single", "repair", "vote", "select", "iterative", "abstain")


class Script(NamedTuple):
    """What models say to a question, and the scores of :data:`GRAPHS` that follow from it."""

    scores: str
    right: str
    drafts: tuple[str, str, str]
    repaired: str = ""
    improved: str = ""


def block(sql: str) -> str:
    return f"```sql\n{sql}\n```"


CITIES = "SELECT DISTINCT city FROM customer WHERE city IS NOT NULL"
PER_CITY = "SELECT city, count(*) FROM customer WHERE city IS NOT NULL GROUP BY city"
REVENUE = 'SELECT sum(quantity * "unit price") FROM "order item"'
UNANSWERABLE = "SELECT 'unanswerable'"
SCRIPTS: Mapping[str, Script] = {
    # single, repair, vote, select, iterative, abstain
    "shop-customers": Script("111111", right := "SELECT count(*) FROM customer", (block(right),) * 3),
    "shop-oslo": Script(  # two drafts name a column that is not there
        "011111",
        right := "SELECT name FROM customer WHERE city = 'Oslo'",
        (block("SELECT nom FROM customer"), block("SELECT nom FROM customer"), block(right)),
        repaired=block(right),
    ),
    "shop-no-email": Script(  # two drafts find nothing, and win the vote
        "010111",
        right := "SELECT name FROM customer WHERE email IS NULL",
        (block("SELECT name FROM customer WHERE email = ''"),) * 2 + (block(right),),
        repaired=block(right),
    ),
    "shop-cities": Script(  # two drafts are two statements
        "011111", CITIES, (block(f"{CITIES}; SELECT 1"),) * 2 + (block(CITIES),), repaired=block(CITIES)
    ),
    "shop-average-price": Script(  # nobody writes SQL
        "000000", "-", ("About 50.", "It depends.", "No idea."), repaired="Still no idea.", improved="None."
    ),
    "shop-per-city": Script(  # the first draft is wrong and runs
        "001111", PER_CITY, (block("SELECT count(*) FROM customer GROUP BY city"), block(PER_CITY), block(PER_CITY))
    ),
    "school-credits": Script(  # only the first draft is right
        "110110",
        right := "SELECT sum(credits) FROM course",
        (block(right), block("SELECT count(*) FROM course"), block("SELECT count(*) FROM course")),
    ),
    "shop-revenue": Script(  # nobody is right before the second round
        "000010", REVENUE, (block('SELECT sum("unit price") FROM "order item"'),) * 3, improved=block(REVENUE)
    ),
    "shop-weights": Script(  # unanswerable, and everybody guesses something else
        "000001",
        "-",
        (block("SELECT price FROM product"), block("SELECT id FROM product"), block("SELECT 1 FROM product")),
        improved=block("SELECT name FROM product"),
    ),
    "shop-phones": Script("111111", UNANSWERABLE, (block(UNANSWERABLE),) * 3),  # unanswerable, and all say so
}


@pytest.fixture
def example(folder: Path) -> Path:
    """The example's questions with their databases, made anew in the current folder."""
    shutil.copy(EXAMPLE / "questions.jsonl", folder)
    subprocess.run([sys.executable, str(EXAMPLE / "seed.py"), "."], cwd=folder, check=True, capture_output=True)
    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    chosen = [line for line in lines if line["id"] in SCRIPTS]
    (folder / "chosen.jsonl").write_text("".join(json.dumps(line) + "\n" for line in chosen))
    return folder


def _models(questions: Path) -> dict[str, Any]:
    """Three writers, of which each begins with another draft, a linker and a judge."""
    asked = {line["id"]: line["question"] for line in map(json.loads, questions.read_text().splitlines())}
    writers: list[dict[str, list[str]]] = [{}, {}, {}]
    verdicts: dict[str, list[str]] = {}
    for id_, script in SCRIPTS.items():
        question = re.escape(asked[id_])
        for number, rules in enumerate(writers):
            rules[f"(?s)Question: {question}.*### Outcome"] = [script.repaired or "never asked"]
            rules[f"(?s)### Response.*Question: {question}"] = [script.improved or script.drafts[0]]
            rules[f"Question: {question}$"] = [*script.drafts[number:], *script.drafts[:number]]
        verdicts[f"(?s){question}.*### Response.*{re.escape(script.right)}\n```"] = ["Verdict: correct"]
    models: dict[str, Any] = {
        name: {"provider": "scripted", "model": name, "rules": rules}
        for name, rules in zip("abc", writers, strict=True)
    }
    models["linker"] = {"provider": "scripted", "model": "linker", "replies": ["All of them, I think."]}
    pairwise = {"(?s)Better: 2$": ["Better: 1", "Better: 1"]}
    models["judge"] = {
        "provider": "scripted",
        "model": "judge",
        "rules": {**pairwise, **verdicts},
        "replies": ["Verdict: incorrect"],
    }
    return models


def _write(folder: Path, graph: str) -> str:
    given = {"model": "a", "max_tokens": 200}
    if graph in {"vote", "select"}:
        given |= {"second_model": "b", "third_model": "c"}
    if graph in {"select", "iterative"}:
        given |= {"judge": "judge"}
    if graph == "abstain":
        given |= {"linker": "linker", "samples": 3}
    data = {
        "archloom": 1,
        "answer": "sql",
        "models": _models(folder / "chosen.jsonl"),
        "nodes": {"answer": {"use": f"library/text2sql/{graph}", "with": given}},
        "output": "answer",
    }
    (folder / f"{graph}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return f"{graph}.yaml"


def _scores(run: Path) -> dict[str, float]:
    cells = map(json.loads, (run / "cells.jsonl").read_text().splitlines())
    return {cell["task"]: cell["score"] for cell in cells}


@pytest.mark.parametrize("graph", GRAPHS)
def test_graph_scores_what_its_script_is_worth(cli: Cli, example: Path, graph: str) -> None:
    place = GRAPHS.index(graph)
    wanted = {id_: float(script.scores[place]) for id_, script in SCRIPTS.items()}
    command = ["eval", _write(example, graph), "--tasks", "sql:chosen.jsonl", "--no-baselines", "--out", "r", "--json"]
    code, out, err = cli(*command)
    assert code == 0, err
    assert _scores(example / "r") == wanted
    [row] = json.loads(out)["rows"]
    assert row["score"] == pytest.approx(sum(wanted.values()) / len(wanted))
    assert (row["tasks"], row["missing"]) == (10, 0)


@pytest.fixture(scope="module")
def postgres_questions(postgres_server: str) -> Callable[[str], str]:
    """Turns the example's questions into those to the same tables in PostgreSQL."""
    import psycopg

    port = re.findall(r"port=(\d+)", postgres_server)[0]
    scripts = runpy.run_path(str(EXAMPLE / "seed.py"))["scripts"]()
    with psycopg.connect(f"{postgres_server} user=owner", autocommit=True) as connection:
        connection.execute("CREATE ROLE asker LOGIN; GRANT pg_read_all_data TO asker")
        for name in scripts:
            connection.execute(f"CREATE DATABASE {name}".encode())
    for name, script in scripts.items():
        with psycopg.connect(f"{postgres_server} user=owner dbname={name}", autocommit=True) as connection:
            connection.execute(script.encode())
    address = rf"postgresql://asker@127.0.0.1:{port}/\1"
    return lambda questions: re.sub(r"\b(shop|school|works)\.sqlite", address, questions)


@pytest.mark.slow
@pytest.mark.parametrize("graph", GRAPHS)
def test_graph_scores_the_same_on_postgres(
    cli: Cli, example: Path, postgres_questions: Callable[[str], str], graph: str
) -> None:
    for name in ("chosen.jsonl", "questions.jsonl"):
        (example / name).write_text(postgres_questions((example / name).read_text()))
    test_graph_scores_what_its_script_is_worth(cli, example, graph)


@pytest.mark.slow
def test_every_question_of_the_example_can_be_asked_to_postgres(
    example: Path, postgres_questions: Callable[[str], str]
) -> None:
    before = load_text2sql("sql", "questions.jsonl", example)
    (example / "questions.jsonl").write_text(postgres_questions((example / "questions.jsonl").read_text()))
    after = load_text2sql("sql", "questions.jsonl", example)
    assert (len(after.tasks), after.left_out) == (50, ())
    others = [*before.questions[1:], before.questions[0]]
    for old, new, other in zip(before.tasks.examples, after.tasks.examples, others, strict=True):
        assert new.task.context["dialect"] == "postgres"
        for query in (*old.target.data["golds"], *other.gold.queries, "SELECT no_such_column FROM nowhere"):
            scores = [each.scorer.score(None, block(query), target)
                      for each, target in ((before.tasks, old.target), (after.tasks, new.target))]  # fmt: skip
            assert scores[0] == scores[1], (old.task.id, query)


WORKFLOW = """\
archloom: 1
answer: sql
models:
  m: {provider: scripted, replies: ["```sql\\nSELECT name, stars FROM cafe ORDER BY stars DESC\\n```"]}
nodes:
  draft: {type: sql_generator, model: m}
  run: {type: sql_execute, after: draft, rows_shown: 1}
output: run
"""
QUERY = "SELECT name, stars FROM cafe ORDER BY stars DESC"


@pytest.fixture
def cafes(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "cafes.db")) as connection:
        connection.executescript(
            "CREATE TABLE cafe (name TEXT, stars REAL); INSERT INTO cafe VALUES ('Au', 4.5), ('Bo', NULL)"
        )
    (folder / "sql.yaml").write_text(WORKFLOW)
    return folder


def test_run_on_a_database_shows_the_query_and_its_result(cli: Cli, cafes: Path) -> None:
    code, out, err = cli("run", "sql.yaml", "Which cafes are there?", "--database", "cafes.db")
    assert (code, out) == (0, f"{QUERY}\n\nname | stars\nAu | 4.5\n(2 rows, 1 shown)\n")
    assert err.startswith("[1 calls, ")


def test_query_that_the_workflow_did_not_run_is_run_for_the_answer(cli: Cli, cafes: Path) -> None:
    command = ["run", "sql.yaml", "Which cafes are there?", "--database", "cafes.db", "--set", "output=draft"]
    code, out, err = cli(*command, "--set", "nodes={draft: {type: sql_generator, model: m}}")
    assert (code, out) == (0, f"{QUERY}\n\nname | stars\nAu | 4.5\nBo | NULL\n(2 rows)\n"), err


@pytest.mark.parametrize(
    ("reply", "shown", "outcome"),
    [
        pytest.param(
            "```sql\\nSELECT x FROM cafe\\n```", "SELECT x FROM cafe\n\nerror: no such column: x\n", "error", id="error"
        ),
        pytest.param("I do not know.", "I do not know.\n", "no_sql", id="no SQL"),
    ],
)
def test_run_shows_what_came_of_it_when_there_is_no_result(
    cli: Cli, cafes: Path, reply: str, shown: str, outcome: str
) -> None:
    command = ["run", "sql.yaml", "Which?", "--database", "cafes.db", "--set", f'models.m.replies=["{reply}"]']
    code, out, _ = cli(*command)
    assert (code, out) == (0, shown)
    assert json.loads(cli(*command, "--json")[1])["sql"]["outcome"] == outcome


def test_json_of_a_run_on_a_database_has_the_query_and_its_result(cli: Cli, cafes: Path) -> None:
    out = json.loads(cli("run", "sql.yaml", "Which?", "--database", "cafes.db", "--json")[1])
    assert out["sql"] == {"sql": QUERY, "outcome": "ok", "shown": "name | stars\nAu | 4.5\n(2 rows, 1 shown)"}
    assert "sql" not in json.loads(cli("run", "good.yaml", "Which?", "--json")[1])


@pytest.mark.parametrize("name", ["nowhere.db", "sql.yaml", "."])
def test_database_that_cannot_be_read_is_said_before_anything_runs(cli: Cli, cafes: Path, name: str) -> None:
    code, out, err = cli("run", "sql.yaml", "Which?", "--database", name)
    assert (code != 0, out) == (True, "")
    assert "cannot be read" in err
    assert not (cafes / ".archloom").exists()
