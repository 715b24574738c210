"""Tasks out of files: GSM8K, JSON lines, and task-set files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archloom.tasks import Numeric, TaskFileError, TaskSet, load_tasks


def write(folder: Path, name: str, *lines: object) -> Path:
    path = folder / name
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, spec: str = "tasks.jsonl") -> TaskSet:
    return load_tasks(spec, base=folder)


def mistakes(folder: Path, spec: str = "tasks.jsonl") -> list[str]:
    with pytest.raises(TaskFileError) as caught:
        load(folder, spec)
    assert caught.value.exit_code == 2
    return caught.value.message.replace(f"{folder}/", "").split("\n")


# -- GSM8K ---------------------------------------------------------------------------------------------------


def test_gsm8k_answers_are_numbers_and_solutions_stay_out_of_the_task(tmp_path: Path) -> None:
    solution = "She has 2*600=<<2*600=1200>>1,200.\n#### 1,200"
    write(tmp_path, "g.jsonl", {"question": "How many?", "answer": solution})
    tasks = load(tmp_path, "gsm8k:g.jsonl")
    [example] = tasks.examples
    assert (tasks.name, tasks.answer, tasks.scorer) == ("gsm8k:g.jsonl", "number", Numeric())
    assert (example.task.id, example.task.question, dict(example.task.context)) == ("gsm8k-0001", "How many?", {})
    assert (example.target.answer, example.target.data) == ("1200", {"solution": "She has 2*600=1,200."})


def test_gsm8k_line_without_a_final_number_is_named(tmp_path: Path) -> None:
    write(tmp_path, "g.jsonl", {"question": "q", "answer": "#### 1"}, {"question": "q", "answer": "so 2"})
    assert mistakes(tmp_path, "gsm8k:g.jsonl") == ["g.jsonl:2: the answer does not end with '#### ' and a number"]


def test_official_gsm8k_test_set(shared_data: Path) -> None:
    tasks = load(shared_data, "gsm8k:gsm8k/test.jsonl")
    assert len(tasks) == 1319
    assert tasks.examples[0].target.answer == "18"
    assert not any("<<" in str(each.target.data["solution"]) for each in tasks.examples)
    split = tasks.split(500, 800, seed=0)
    assert {each.task.question for each in split.search.examples}.isdisjoint(
        each.task.question for each in split.report.examples
    )


# -- JSON lines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("golds", "format", "scorer", "targets"),
    [
        pytest.param(["1,000", 2, 0.5], "number", "numeric", ["1000", "2", "0.5"], id="numbers"),
        pytest.param(["A", "(b)", "C"], "text", "exact", ["a", "(b)", "c"], id="letters of both cases"),
        pytest.param(["A", "(B)"], "choice", "choice", ["A", "B"], id="choices"),
        pytest.param(["Paris.", "2"], "text", "exact", ["paris", "2"], id="text"),
    ],
)
def test_format_is_what_all_answers_are(
    tmp_path: Path, golds: list[object], format: str, scorer: str, targets: list[str]
) -> None:
    rows = [{"question": f"q{i}", "answer": gold} for i, gold in enumerate(golds)]
    write(tmp_path, "tasks.jsonl", *rows)
    tasks = load(tmp_path)
    assert (tasks.answer, tasks.scorer.name) == (format, scorer)
    assert [each.target.answer for each in tasks.examples] == targets


def test_ids_are_taken_from_the_file_or_numbered_by_line(tmp_path: Path) -> None:
    rows = [{"id": "first", "question": "q", "answer": 1}, "", {"question": "p", "answer": 2}]
    write(tmp_path, "tasks.jsonl", *rows)
    assert [each.task.id for each in load(tmp_path).examples] == ["first", "tasks-0003"]


def test_every_bad_line_is_named_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "tasks.jsonl",
        {"id": "a", "question": "q", "answer": 1},
        '{"question": "q", ',
        "[1, 2]",
        {"question": "q"},
        {"question": ["q"], "answer": None},
    )
    assert mistakes(tmp_path) == [
        "tasks.jsonl:2:19: not JSON: Expecting property name enclosed in double quotes",
        "tasks.jsonl:3: a task is a JSON object, not [1, 2]",
        "tasks.jsonl:4: no field 'answer'; there are 'question'",
        "tasks.jsonl:5: field 'question' must be text or a number, not [\"q\"]",
        "tasks.jsonl:5: field 'answer' must be text or a number, not null",
    ]


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "tasks.jsonl", *["x"] * 30)
    assert mistakes(tmp_path)[-1] == "... and 10 more"


def test_repeated_id_is_named(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "q", "answer": 1}, {"id": "a", "question": "p", "answer": 2}]
    write(tmp_path, "tasks.jsonl", *rows)
    assert mistakes(tmp_path) == [
        f"tasks.jsonl:2: the id 'a' is that of {tmp_path}/tasks.jsonl:1 too".replace(f"{tmp_path}/", "")
    ]


def test_repeated_question_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "tasks.jsonl", *[{"question": "q", "answer": i} for i in range(3)])
    [only] = load(tmp_path).examples
    assert only.target.answer == "0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\n \n", "tasks.jsonl: the file is empty.", id="empty"),
        pytest.param(b'{"question": "\xff"}', "tasks.jsonl: cannot be read", id="not UTF-8"),
        pytest.param(None, "tasks.jsonl: no such file", id="missing"),
    ],
)
def test_unreadable_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tasks.jsonl").write_bytes(content)
    [mistake] = mistakes(tmp_path)
    assert mistake.startswith(message)


# -- task-set files ------------------------------------------------------------------------------------------


def test_task_file_maps_fields_and_its_path_is_where_others_start(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    row = {"key": 7, "prompt": "Which?", "gold": "green", "options": ["red", "green"], "hint": {"a": 1}}
    write(tmp_path / "sets", "data.jsonl", row)
    write(
        tmp_path / "sets",
        "mine.yaml",
        "tasks: data.jsonl",
        "fields: {id: key, question: prompt, answer: gold, choices: options, context: [hint]}",
    )
    tasks = load(tmp_path, "sets/mine.yaml")
    [example] = tasks.examples
    assert (tasks.name, tasks.answer, tasks.scorer.name) == ("sets/mine.yaml", "choice", "choice")
    assert example.task.question == "Which?\nA. red\nB. green"
    assert (example.task.id, dict(example.task.context)) == ("7", {"hint": {"a": 1}})
    assert example.target.answer == "B"


@pytest.mark.parametrize(
    ("options", "gold", "target"),
    [
        pytest.param(["red", "green"], "B", "B", id="letter"),
        pytest.param(["red", "green"], "(a)", "A", id="letter in parentheses"),
        pytest.param({"1": "red", "2": "green"}, "2", "2", id="own labels"),
        pytest.param(["3", "4"], "4", "B", id="text that is a digit"),
    ],
)
def test_answer_to_a_choice_is_its_letter_or_its_text(tmp_path: Path, options: object, gold: str, target: str) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", "answer": gold, "choices": options})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "fields: {choices: choices}")
    [example] = load(tmp_path, "mine.yaml").examples
    assert example.target.answer == target


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"choices": ["x", "y"], "answer": "C"}, "the answer 'C' is neither a letter nor the text of one of the"),
        ({"choices": ["x", "y"], "answer": "1"}, "the answer '1' is neither a letter nor the text of one of the"),
        ({"choices": [], "answer": "A"}, "field 'choices' must be a list of 1 to 10 choices"),
        ({"answer": "A"}, "field 'choices' must be a list of 1 to 10 choices"),
    ],
    ids=["no such letter", "an index", "empty", "missing"],
)
def test_bad_choices_are_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", **row})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "fields: {choices: choices}")
    assert mistakes(tmp_path, "mine.yaml")[0].startswith(f"data.jsonl:1: {message}")


def test_reference_answer_cannot_be_put_into_the_context(tmp_path: Path) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", "answer": "A"})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "fields: {context: [answer, table]}")
    assert mistakes(tmp_path, "mine.yaml") == [
        "data.jsonl:1: the context must not hold 'answer', the reference answer",
        "data.jsonl:1: no field 'table' for the context",
    ]


def test_named_id_field_must_be_there(tmp_path: Path) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", "answer": "A"})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "fields: {id: key}")
    assert mistakes(tmp_path, "mine.yaml")[0].startswith("data.jsonl:1: no field 'key'")


def test_scorer_format_and_tolerance_can_be_chosen(tmp_path: Path) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", "answer": "0.33"})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "scorer: numeric", "answer: text", "tolerance: 0.01")
    tasks = load(tmp_path, "mine.yaml")
    [example] = tasks.examples
    assert tasks.answer == "text"
    assert tasks.scorer.score("1/3", "", example.target) == 1.0
    assert tasks.scorer.score("0.35", "", example.target) == 0.0


def test_regular_expressions_are_kept_as_written_and_checked(tmp_path: Path) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", "answer": "[Bb]lue."})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "scorer: regex")
    [example] = load(tmp_path, "mine.yaml").examples
    assert example.target.answer == "[Bb]lue."
    write(tmp_path, "data.jsonl", {"question": "q", "answer": "[Bb"})
    assert mistakes(tmp_path, "mine.yaml")[0].startswith("data.jsonl:1: the answer '[Bb' is no regular expression")


def test_answer_of_another_format_is_named(tmp_path: Path) -> None:
    write(tmp_path, "data.jsonl", {"question": "q", "answer": "many"})
    write(tmp_path, "mine.yaml", "tasks: data.jsonl", "answer: number")
    assert mistakes(tmp_path, "mine.yaml") == ["data.jsonl:1: the answer 'many' is no number"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["tasks: data.jsonl", "scoer: exact"], ["mine.yaml:2:1: scoer: Extra inputs are not permitted"]),
        (["tasks: data.jsonl", "fields:", "  anser: x"], ["mine.yaml:3:3: fields.anser: Extra inputs are not permitted"]),
        (["scorer: exact"], ["mine.yaml:1:1: tasks: Field required"]),
        (["tasks: data.jsonl", "tolerance: 0.1"], ["mine.yaml:1:1: Value error, a tolerance needs 'scorer: numeric'"]),
        (["- data.jsonl"], ["mine.yaml: a task-set file is a mapping with the key 'tasks'"]),
        (["tasks: [", "a: b: c"], ["mine.yaml:2:5: not YAML: expected ',' or ']', but got ':'"]),
    ],
    ids=["unknown field", "unknown nested field", "missing field", "idle option", "no mapping", "no YAML"],
)  # fmt: skip
def test_mistakes_of_a_task_file_have_their_place(tmp_path: Path, lines: list[str], expected: list[str]) -> None:
    write(tmp_path, "mine.yaml", *lines)
    assert mistakes(tmp_path, "mine.yaml") == expected
