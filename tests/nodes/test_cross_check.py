"""Answers checked by programs: what agrees, what is no program, and what nobody can tell."""

from __future__ import annotations

from fractions import Fraction

import pytest

from archloom.nodes import Candidate, Candidates, CrossCheck, Task
from archloom.nodes._literals import states_result
from archloom.testing import FakeContext

TASK = Task.ask("A box holds 7 rows of 8 eggs, and 1,000 boxes are sold. How many eggs are in a box?")


def block(*lines: str) -> str:
    return "```python\n" + "\n".join(lines) + "\n```"


def drafts(*answers: str | None) -> Candidates:
    return tuple(Candidate(f"draft#{i}", f"It is {answer}.", answer=answer) for i, answer in enumerate(answers))


async def checked(answers: Candidates, *replies: str, **fields: object) -> tuple[Candidates, FakeContext]:
    ctx = FakeContext(TASK, replies=replies)
    node = CrossCheck.model_validate({"type": "cross_check", "model": "m", "reasks": 0, **fields})
    return await node.run(TASK, answers, ctx), ctx


async def test_only_answers_that_their_programs_arrive_at_pass() -> None:
    replies = (block("print(7 + 8)"), block("rows, eggs = 7, 8", "print('eggs:', rows * eggs)"))
    out, ctx = await checked(drafts("54", "56"), *replies)
    assert [(c.answer, c.accepted) for c in out] == [("56", True)]
    assert [(note.what, note.fields["candidate"]) for note in ctx.notes] == [("mismatch", "draft#0")]
    prompt = str(ctx.asked[0].request.messages[-1]["content"])
    assert "### Response\nIt is 54." in prompt


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (block("print(56)"), "literal"),
        (block("x = 7 * 8", "result = 56", "print(f'{result}')"), "literal"),
        (block("print(60 - 4 + 56 - 56)"), "literal"),
        (block("print(7 / 0)"), "error"),
        (block("import time", "time.sleep(60)", "print(7 * 8)"), "timeout"),
        (block("print('eggs' * 2, len([]) or '')"), "silent"),
        ("I would multiply them.", "unparsed"),
    ],
    ids=["prints a literal", "prints a name of a literal", "holds the answer", "fails", "hangs", "no number", "prose"],
)
async def test_what_tells_nothing_is_neither_accepted_nor_rejected(reply: str, outcome: str) -> None:
    out, ctx = await checked(drafts("56"), reply, timeout_s=1.0)
    assert [c.accepted for c in out] == [None]
    assert [note.what for note in ctx.notes] == [outcome, "none_passed"]


async def test_float_noise_is_no_mismatch_and_answers_without_a_number_are_not_asked_about() -> None:
    out, ctx = await checked(drafts("0.3", None), block("print(0.1 + 0.2)"), keep="all")
    assert [c.accepted for c in out] == [True, None]
    assert len(ctx.asked) == 1


async def test_keep_all_marks_and_nobody_accepted_passes_everybody_on() -> None:
    out, _ = await checked(drafts("54", "56"), block("print(7 * 8)"), block("print(7 * 8)"), keep="all")
    assert [c.accepted for c in out] == [False, True]
    out, _ = await checked(drafts("54"), block("print(7 * 8)"))
    assert [(c.answer, c.accepted) for c in out] == [("54", False)]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print(7 * 8)", False),
        ("print(56)", True),
        ("print('The answer is 56')", True),
        ("x = 56\ny = x\nprint(str(y))", True),
        ("x = 0\nfor row in range(7):\n    x += 8\nprint(x)", False),
        ("def solve():\n    return 7 * 8\nprint(solve())", False),
        ("print(7)", True),
        ("x = 7\nx = x * 8\nprint(x)", False),
        ("x = 57 - 1\nprint(x)", False),
        ("a = 7\nprint(a * 8 - 56 + 56)", True),
        ("print(-56 * -1)", True),
        ("x: int = 56\nprint(x + 0)", True),
        ("7 *", True),
        ("pass", True),
    ],
)
def test_programs_that_were_told_the_result_are_found(program: str, expected: bool) -> None:
    assert states_result(program, Fraction(56), frozenset({Fraction(7), Fraction(8)})) is expected


def test_number_that_the_task_states_is_no_betrayal() -> None:
    assert states_result("print(7 + 8 - 8)", Fraction(7), frozenset({Fraction(7)})) is False
    assert states_result("print(7 + 8 - 8)", Fraction(7), frozenset()) is True
