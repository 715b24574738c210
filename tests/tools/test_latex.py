"""Formulas: one way to write each, what stands for the same, and what is given up in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archloom.tools import canonical_answer, canonical_latex, extract_answer, same_latex


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (r"\frac{1}{2}", "0.5"),
        (r"\dfrac12", "1/2"),
        (r"-\frac{3}{6}", "-0.5"),
        ("1,000", "1000"),
        (".0000672", "0.0000672"),
        (r"10\%", "0.1"),
        (r"\sqrt{12}", r"2\sqrt3"),
        ("x = 5", "5"),
        (r"x \in [-2,7]", "[-2,7]"),
        ("(x+1)^2", "x^2+2x+1"),
        ("6-5i", "6 - 5 i"),
        ("(3,\\pi/2)", r"\left( 3, \frac{\pi}{2} \right)"),
        ("1,2,3", "3, 2, 1"),
        (r"\text{Evelyn}", "evelyn"),
        (r"6\text{ cm}", "6"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"),
        ("$\\pi$", "\\(\\pi\\)"),
    ],
)
def test_what_stands_for_the_same_is_written_in_one_way(first: str, second: str) -> None:
    assert canonical_latex(first) == canonical_latex(second) is not None
    assert same_latex(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2", "3"),
        ("(1,2)", "(2,1)"),
        ("[2,3)", "(2,3)"),
        (r"\sqrt{2}", "1.41"),
        ("p - q", "q - p"),
        (r"\pi", r"\alpha"),
        ("6-5i", "6+5i"),
        ("east", "west"),
    ],
)
def test_what_differs_stays_apart(first: str, second: str) -> None:
    assert canonical_latex(first) != canonical_latex(second)
    assert not same_latex(first, second)


@pytest.mark.parametrize("text", ["", "  $ ", "x" * 2000, pytest.param("9^{9^{9^{9}}}", marks=pytest.mark.slow)])
def test_what_cannot_be_read_in_time_is_no_answer(text: str) -> None:
    assert canonical_latex(text) is None
    assert canonical_latex("2+2") == "4", "the next one is read all the same"


def test_nothing_that_a_model_writes_is_evaluated_as_python(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for text in (f"__import__('os').system('touch {mark}')", f"\\text{{}}open('{mark}', 'w')"):
        canonical_latex(text)
        same_latex(text, "1")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So the answer is $\boxed{\frac{3}{6}}$.", "0.5"),
        (r"The answer is $2\sqrt{3}$. It follows from $x=1$.", r"2 \sqrt{3}"),
        ("Answer: x^2 - 1", "x^{2} - 1"),
        (r"First $a = 2$, and then \[b = 7\]", "7"),
        (r"<think>\boxed{3}</think> It is $4$", "4"),
        ("I do not know.", None),
    ],
)
def test_read_out_of_a_text(text: str, answer: str | None) -> None:
    assert extract_answer(text, "latex") == answer


def test_a_text_that_was_cut_has_only_what_it_states() -> None:
    assert extract_answer("First $a = 2$ and then", "latex", complete=False) is None
    assert extract_answer(r"It is \boxed{2}. To check, $a", "latex", complete=False) == "2"


def test_answers_of_math_are_read_and_written_again(shared_data: Path) -> None:
    lines = (shared_data / "math500" / "test.jsonl").read_text().splitlines()
    golds = [json.loads(line)["answer"] for line in lines][::10]
    canonical = {gold: canonical_answer(gold, "latex") for gold in golds}
    assert [gold for gold, found in canonical.items() if found is None or not same_latex(gold, found)] == []
