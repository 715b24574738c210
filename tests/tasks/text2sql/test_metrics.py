"""The metrics: what each takes for the same, and what it says of predictions that fail."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tasks import Target
from archloom.tasks.text2sql import Gold, RVes, SpiderExec, read_spider, sql_scorer
from archloom.tasks.text2sql._compare import same_bag, soft_f1
from archloom.tasks.text2sql._timing import reward
from archloom.tools import UsageError
from archloom.tools.sql import Row

MakeDatabase = Callable[..., Path]
NAMES = "SELECT name, age FROM singer"
PAIRS = {
    # gold, prediction, spider_exec, spider_exec_keep_distinct, bird_ex, exact_set_match
    "itself": (NAMES, NAMES, 1, 1, 1, 1),
    "other case and aliases": (NAMES, "select T1.NAME, t1.Age FROM Singer AS t1", 1, 1, 1, 1),
    "columns swapped": (NAMES, "SELECT age, name FROM singer", 1, 1, 0, 1),
    "rows in another order": (NAMES, NAMES + " ORDER BY name DESC", 1, 1, 1, 0),
    "rows in an order that counts": (NAMES + " ORDER BY name", NAMES + " ORDER BY name DESC", 0, 0, 1, 0),
    "order by in a subquery counts for Spider": (
        "SELECT name FROM singer WHERE id IN (SELECT id FROM singer ORDER BY id)",
        "SELECT name FROM singer ORDER BY id DESC",
        0, 0, 1, 0,
    ),
    "repetition": ("SELECT age FROM singer", "SELECT age FROM singer UNION SELECT age FROM singer", 0, 0, 1, 0),
    "distinct": ("SELECT age FROM singer", "SELECT DISTINCT age FROM singer", 1, 0, 1, 1),
    "distinct in a count": ("SELECT count(age) FROM singer", "SELECT count(DISTINCT age) FROM singer", 1, 0, 0, 1),
    "integer and real": ("SELECT 1", "SELECT 1.0", 1, 1, 1, 0),
    "number and text": ("SELECT 1", "SELECT '1'", 0, 0, 0, 0),
    "NULL equals NULL": ("SELECT value FROM singer", "SELECT value FROM singer ORDER BY id", 1, 1, 1, 0),
    "a little off": ("SELECT 0.3", "SELECT 0.1 + 0.2", 0, 0, 0, 0),
    "both empty": ("SELECT name FROM singer WHERE 0", "SELECT 1, 2 WHERE 0", 1, 1, 1, 0),
    "one empty": (NAMES, NAMES + " WHERE 0", 0, 0, 0, 0),
    "spaced operator": (NAMES + " WHERE age >= 25", NAMES + " WHERE age > = 25", 1, 1, 0, 1),
    "other value": (NAMES + " WHERE age > 25", NAMES + " WHERE age > 15", 0, 0, 0, 1),
    "string in double quotes": ("SELECT id FROM singer WHERE name = \"Ada\"", "SELECT id FROM singer WHERE name = 'Ada'", 1, 1, 1, 1),
    "conditions in another order": (
        NAMES + " WHERE age = 20 AND id = 2", NAMES + " WHERE id = 2 AND age = 20", 1, 1, 1, 1,
    ),
    "or for and": (NAMES + " WHERE age = 20 AND id = 2", NAMES + " WHERE age = 20 OR id = 2", 0, 0, 0, 0),
    "columns that a foreign key joins": (
        "SELECT T2.singer_id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id",
        "SELECT T1.id FROM singer AS T1 JOIN song AS T2 ON T1.id = T2.singer_id",
        1, 1, 1, 1,
    ),
    "column named value": ("SELECT value FROM singer WHERE value > 2", "SELECT value FROM singer WHERE id = 3", 1, 1, 1, 0),
    "set operation": (
        "SELECT id FROM singer EXCEPT SELECT singer_id FROM song",
        "SELECT id FROM singer WHERE id NOT IN (SELECT singer_id FROM song)",
        1, 1, 1, 0,
    ),
}  # fmt: skip


@pytest.fixture
def databases(database: MakeDatabase) -> dict[str, tuple[str, ...]]:
    return {"concert": (str(database("concert/concert")),)}


@pytest.mark.parametrize(("gold", "given", "spider", "keep", "bird", "exact"), PAIRS.values(), ids=PAIRS)
def test_pair_has_the_verdict_of_each_metric(
    databases: dict[str, tuple[str, ...]], gold: str, given: str, spider: int, keep: int, bird: int, exact: int
) -> None:
    names = ("spider_exec", "spider_exec_keep_distinct", "bird_ex", "exact_set_match")
    scores = [sql_scorer(name, databases).verdict(given, Gold("concert", (gold,))).score for name in names]
    assert scores == [spider, keep, bird, exact]


def test_every_file_of_a_database_must_agree(database: MakeDatabase) -> None:
    first = database("concert/concert")
    other = database(
        "concert/other", "CREATE TABLE singer (id, name, age); INSERT INTO singer VALUES (1, 'Ada', 20), (2, 'Bo', 30);"
    )
    gold, lucky = Gold("concert", ("SELECT name FROM singer WHERE age = 30",)), "SELECT name FROM singer WHERE id = 1"
    assert SpiderExec({"concert": (str(first),)}).verdict(lucky, gold).outcome == "match"
    assert SpiderExec({"concert": (str(first), str(other))}).verdict(lucky, gold).outcome == "mismatch"


def test_best_of_several_golds_counts_and_one_that_fails_is_passed_over(databases: dict[str, tuple[str, ...]]) -> None:
    scorer = sql_scorer("spider_exec", databases)
    gold = Gold("concert", ("SELECT nothing", "SELECT name FROM singer", "SELECT id FROM singer"))
    assert scorer.verdict("SELECT id FROM singer", gold).score == 1
    assert scorer.verdict("SELECT age FROM singer", gold).outcome == "mismatch"


def test_unanswerable_question_wants_a_query_that_reads_nothing(databases: dict[str, tuple[str, ...]]) -> None:
    scorer = sql_scorer("spider_exec", databases)
    gold = Gold("concert", ("SELECT 'Sorry, no data.' AS answer",), unanswerable=True)
    assert scorer.verdict("SELECT 'I do not know.'", gold).score == 1
    assert scorer.verdict("SELECT name FROM singer", gold).score == 0
    assert scorer.verdict("no idea", gold).score == 0
    assert scorer.verdict("SELECT 'I do not know.'", Gold("concert", (NAMES,))).score == 0


def test_score_reads_the_query_out_of_a_reply(databases: dict[str, tuple[str, ...]]) -> None:
    scorer, target = sql_scorer("bird_ex", databases), Gold("concert", (NAMES,)).target()
    assert scorer.score(None, f"It is:\n```sql\n{NAMES};\n```", target) == 1
    assert scorer.score("x", "I cannot say.", target) == 0
    assert isinstance(target, Target)
    assert target.answer == NAMES


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'spider_exec'"):
        sql_scorer("spider_exe", {})


F1 = {
    "equal": ([(1, "a")], [(1, "a")], 1.0),
    "columns swapped": ([(1, "a")], [("a", 1)], 1.0),
    "half a row": ([(1, "a")], [(1, "b")], 0.5),
    "row too many": ([(1,)], [(1,), (2,)], 2 / 3),
    "row missing": ([(1,), (2,)], [(1,)], 2 / 3),
    "other order is another pairing": ([(1,), (2,)], [(2,), (1,)], 0.0),
    "repetition is dropped": ([(1,), (1,), (2,)], [(1,), (2,), (2,)], 1.0),
    "both empty": ([], [], 1.0),
    "nothing given": ([(1,)], [], 0.0),
    "nothing wanted": ([], [(1,)], 0.0),
}


@pytest.mark.parametrize(("gold", "given", "score"), F1.values(), ids=F1)
def test_soft_f1(gold: list[Row], given: list[Row], score: float) -> None:
    assert soft_f1(gold, given) == pytest.approx(score)


def test_timing_rewards_speed_in_steps_and_drops_outliers() -> None:
    assert [reward([ratio] * 3) for ratio in (2.0, 1.0, 0.9, 0.3, 0.1)] == [
        sqrt(step) for step in (1.25, 1.0, 0.75, 0.5, 0.25)
    ]
    assert reward([0.9] * 99 + [500.0]) == sqrt(0.75)


def test_timing_of_a_query_that_is_far_faster_than_its_gold_is_more_than_1() -> None:
    assert reward([9.0] * 5) == pytest.approx(1.118, abs=1e-3)


def test_timing_is_labelled_and_only_for_right_results(databases: dict[str, tuple[str, ...]]) -> None:
    scorer = RVes(databases, repeats=3)
    assert scorer.name == "r_ves (timing)"
    assert scorer.verdict("SELECT 1", Gold("concert", (NAMES,))).outcome == "mismatch"
    assert scorer.verdict(NAMES, Gold("concert", (NAMES,))).score >= 0.5


cells = st.sampled_from([None, 0, 1, 1.0, "1", "a", b"a", 0.5])
tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[cells] * width), max_size=4))


def slow_same_bag(gold: list[Row], given: list[Row], *, ordered: bool) -> bool:
    """The definition, by trying all orders of the columns."""
    if not gold and not given:
        return True
    if len(gold) != len(given) or len(gold[0]) != len(given[0]):
        return False
    orders = ([tuple(row[at] for at in order) for row in given] for order in permutations(range(len(gold[0]))))
    return any(gold == each if ordered else Counter(gold) == Counter(each) for each in orders)


@given(tables, tables, st.booleans(), st.randoms())
def test_same_bag_is_its_definition(one: list[Row], other: list[Row], ordered: bool, rng: random.Random) -> None:
    assert same_bag(one, other, ordered=ordered) == slow_same_bag(one, other, ordered=ordered)
    width = len(one[0]) if one else 0
    order = rng.sample(range(width), width)
    shuffled = [tuple(row[at] for at in order) for row in (one if ordered else rng.sample(one, len(one)))]
    assert same_bag(one, shuffled, ordered=ordered)


def test_many_equal_columns_are_no_trouble() -> None:
    one = [tuple([n % 2] * 30 + [n]) for n in range(50)]
    assert same_bag(one, [row[::-1] for row in one], ordered=False)
    assert not same_bag(one, [(*row[:-1], 0) for row in one], ordered=False)


@pytest.mark.parametrize("name", ["spider_exec", "bird_ex", "soft_f1", "exact_set_match"])
def test_every_gold_of_spider_matches_itself(shared_data: Path, name: str) -> None:
    folder = shared_data / "spider_dev"
    questions = read_spider(folder / "dev.json")[:: 5 if name == "exact_set_match" else 1]
    ids = {question.gold.db_id for question in questions}
    scorer = sql_scorer(name, {id_: (str(folder / "database" / id_ / f"{id_}.sqlite"),) for id_ in ids})
    assert {scorer.verdict(each.gold.queries[0], each.gold).outcome for each in questions} == {"match"}
