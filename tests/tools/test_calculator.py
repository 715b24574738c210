"""The expression a question states, and its exact value."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tools import ToolError, evaluate, find_expression


@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("Solve the following multiplication: 4 * 1. Give only the result as your final answer.", "4 * 1"),
        ("State the final answer to the following arithmetic problem: 23 - 60 =", "23 - 60"),
        ("Calculate ( 56 + -33 ) - 84.", "( 56 + -33 ) - 84"),
        ("What is 7 times 8?", "7 * 8"),
        ("What is 7 divided by 2?", "7 / 2"),
        ("what is 7 multiplied by 8", "7 * 8"),
        ("What is -5 minus -3?", "-5 - -3"),
        ("What is 1,000 plus 5?", "1000 + 5"),
        ("What is 5 × 9?", "5 * 9"),
        ("What is 5 x 9?", "5*9"),
        ("What is 6 ÷ 4?", "6 / 4"),
        ("What is 2^10?", "2**10"),
        (r"Compute $7 \times 8$.", "7 * 8"),
        ("Evaluate the expression 3.5 + 4", "3.5 + 4"),
        ("23 - 60 = ?", "23 - 60"),
        ("3 + 4", "3 + 4"),
        ("What is 3 + 4? I repeat: 3 + 4", "3 + 4"),
    ],
)
def test_question_states_an_expression(question: str, expression: str) -> None:
    assert find_expression(question) == expression


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("Tom has 3 apples and 4 pears. How many fruits has he?", id="word problem"),
        pytest.param("It takes 2-3 days. How long is that?", id="range"),
        pytest.param("What is 2024-12-10?", id="date"),
        pytest.param("What is 3 + 4, given that 5 is odd?", id="another number"),
        pytest.param("Call 555-1234", id="phone number"),
        pytest.param("Solve for h: 405*h = 24705", id="equation with an unknown"),
        pytest.param("What is 3 * 4 * x?", id="unknown at the end"),
        pytest.param("What is 3+4x?", id="unknown with a factor"),
        pytest.param("What is 20% of 50?", id="percentage"),
        pytest.param("What is 2 + 2? And 3 + 3?", id="two expressions"),
        pytest.param("2 + 3 = 5. Is that right?", id="result is given"),
        pytest.param("Calculate 10 / 3 rounded to two decimals", id="rounded"),
        pytest.param("What is 3 + 4 in base 6?", id="another base"),
        pytest.param("What is the remainder of 17 / 5?", id="remainder"),
        pytest.param("Simulated task demo/0/17: find its number.", id="marker"),
        pytest.param("What is 17?", id="no operator"),
        pytest.param("What is 3 + 4? " * 200, id="too long to be only a calculation"),
        pytest.param("", id="empty"),
    ],
)
def test_question_states_no_expression(question: str) -> None:
    assert find_expression(question) is None


def test_no_word_problem_of_gsm8k_is_taken_for_an_expression(shared_data: Path) -> None:
    lines = (shared_data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert [found for line in lines if (found := find_expression(json.loads(line)["question"]))] == []


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("4 * 1", 4),
        ("( 56 + -33 ) - 84", -61),
        ("7/2", Fraction(7, 2)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("7 // 2", 3),
        ("-7 % 4", 1),
        ("2**-2", Fraction(1, 4)),
        ("+3", 3),
    ],
)
def test_value_is_exact(expression: str, value: Fraction) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("1/0", "divides by zero"),
        ("0**-1", "divides by zero"),
        ("2**99999999", "4096 bits"),
        ("9**9**9", "4096 bits"),
        ("9" * 490 + "**9", "4096 bits"),
        ("2**0.5", "not whole"),
        ("1 +", "not an arithmetic expression"),
        ("...", "not arithmetic"),
        ("3(4)", "not arithmetic"),
        ("__import__('os')", "not an arithmetic expression"),
        ("(" * 300 + "1" + ")" * 300, "500 characters"),
        ("(" * 249 + "1" + ")" * 249, "not an arithmetic expression"),
    ],
)
def test_what_cannot_be_evaluated_is_said_clearly(expression: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        evaluate(expression)


@given(st.text(alphabet="0123456789+-*/%(). ", max_size=40))
def test_anything_else_is_a_number_or_an_error(expression: str) -> None:
    try:
        value = evaluate(expression)
    except ToolError:
        return
    assert isinstance(value, Fraction)


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=6), st.data())
def test_what_is_found_has_the_value_of_what_was_asked(terms: list[int], data: st.DataObject) -> None:
    operators = data.draw(st.lists(st.sampled_from("+-*"), min_size=len(terms) - 1, max_size=len(terms) - 1))
    expression = str(terms[0]) + "".join(f" {o} {t}" for o, t in zip(operators, terms[1:], strict=True))
    found = find_expression(f"Calculate {expression}.")
    assert found is not None
    assert evaluate(found) == eval(expression)
