"""Competition problems in the format of MATH."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archloom.tasks import load_tasks
from archloom.tasks.errors import TaskFileError


def test_answers_are_compared_by_what_they_stand_for(tmp_path: Path) -> None:
    rows = [{"problem": "Half of one?", "answer": r"\frac{1}{2}", "subject": "Algebra", "level": 1}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tasks = load_tasks("math:t.jsonl", base=tmp_path)
    [example] = tasks.examples
    assert (tasks.answer, example.task.question) == ("latex", "Half of one?")
    assert example.target.data == {"subject": "Algebra", "level": 1}
    score = tasks.scorer.score
    assert score("0.5", "", example.target) == 1
    assert score("2", "", example.target) == 0
    assert score(None, "", example.target) == 0


def test_missing_fields_are_reported_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"problem": "p"}\n{"answer": "1"}\n')
    with pytest.raises(TaskFileError, match=r"t\.jsonl:1: no field 'answer'[\s\S]*t\.jsonl:2: no field 'problem'"):
        load_tasks("math:t.jsonl", base=tmp_path)


def test_all_of_math500(shared_data: Path) -> None:
    assert len(load_tasks("math:test.jsonl", base=shared_data / "math500")) == 500
