"""Reading final answers out of what models write."""

from __future__ import annotations

import json
import re
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.tools import (
    AnswerFormat,
    canonical_answer,
    extract_answer,
    final_part,
    last_number,
    stated_answer,
)


class Case(NamedTuple):
    id: str
    text: str
    answer: str | None


def cases(*table: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("text", "answer"), [pytest.param(c.text, c.answer, id=c.id) for c in table])


@cases(
    # what SmolLM2-135M really writes
    Case("equation", "5 x 9 = 45", "45"),
    Case("bare", "49", "49"),
    Case("equation with full stop", "5 x 9 = 21.", "21"),
    Case(
        "explanation",
        "To solve this problem, we need to multiply 5 by 9. \n\nHere's how to do it:\n\n5 * 9 = 45",
        "45",
    ),
    Case("dollars around", "The answer is $45$.", "45"),
    Case("bold", "**56**", "56"),
    Case("prose", "The product of 7 and 8 is 56", "56"),
    # signs and hyphens
    Case("negative result", "5 - 9 = -4", "-4"),
    Case("minus with a space after equals", "5 - 9 = - 4", "-4"),
    Case("unicode minus", "The result is −4", "-4"),
    Case("hyphen is no sign", "take 5-9", "9"),
    Case("bullet is no sign", "- 45", "45"),
    Case("negative after a marker", "Answer:-4", "-4"),
    # spelling
    Case("leading zero", "045", "45"),
    Case("trailing zeros", "45.00", "45"),
    Case("currency and thousands", "$1,045.", "1045"),
    Case("millions", "12,345,678.50", "12345678.5"),
    Case("a list is not thousands", "1, 2, 3", "3"),
    Case("percent", "45%", "45"),
    Case("unit", "= 45 apples", "45"),
    Case("fraction", "1/2", "0.5"),
    Case("reduced", "2/6", "1/3"),
    Case("mixed number", "It takes 1 1/2 hours", "1.5"),
    Case("exponent", "about 1.5e3", "1500"),
    Case("division by zero is no number", "1/0", None),
    Case("unreasonably long", "9" * 500, None),
    # LaTeX
    Case("boxed", r"so $\boxed{12}$, not 13", "12"),
    Case("boxed fraction", r"\boxed{\frac{1}{3}}", "1/3"),
    Case("display", r"\[ 5 \times 9 = 45 \]", "45"),
    Case("escaped currency", r"The answer is \$1{,}045.", "1045"),
    # what the text marks as final
    Case("gsm8k marker", "9 * 2 = 18\n#### 1,018", "1018"),
    Case("last marker wins", "The answer is 45. Wait, the answer is 46.", "46"),
    Case("marker before equation", "Answer: 45 (because 40 + 6 = 46)", "45"),
    Case("calculation after marker", "Answer: 5 x 9 = 45.", "45"),
    Case("calculation after the answer", "The answer is 45 = 5 x 9", "45"),
    Case("calculation on both sides", "The answer is 40 + 5 = 5 x 9 = 45", "45"),
    Case("bold marker", "**Answer:** 45", "45"),
    Case("marker on its own line", "Final Answer:\n\n$45$", "45"),
    Case("long sentence", "The final answer is therefore the sum of 5 and 9, which is 14.", "14"),
    Case("question in the sentence", "The answer to what is 5 x 9 is 45", "45"),
    Case("denied", "The answer is not 12. It is 14", "14"),
    # what its form suggests
    Case("last equation", "3 * 4 = 12, 12 + 5 = 17", "17"),
    Case("equation goes on", "Total = 3 * 4\nSo 12 apples", "12"),
    Case("chain", "a = 3 - 5 = -2", "-2"),
    Case("comparison is no equation", "x >= 5 holds for 7", "7"),
    Case("numbered list", "1. Multiply 5 by 9\n2. Get 45\n3. Done", "45"),
    # code and reasoning
    Case("program", "```python\nprint(5 * 9)\n```", None),
    Case("program beside an answer", "It is 45.\n```python\nprint(5 * 8)\n```", "45"),
    Case("program that was not closed", "It is 45.\n```python\nprint(5 * 8)\n", "45"),
    Case("bare program", "print(5 * 9)", None),
    Case("plain block", "```\n45\n```", "45"),
    Case("reasoning is over", "<think>5</think>6", "6"),
    Case("reasoning goes on", "<think>so it is 5", None),
    # nothing
    Case("empty", "", None),
    Case("no number", "I have no idea", None),
    Case("ordinal", "the 2nd one", None),
    Case("digit in a word", "x2 and H2O", None),
    Case("date", "on 1/2/2020", None),
)
def test_number_is_read(text: str, answer: str | None) -> None:
    assert extract_answer(text, "number") == answer


@cases(
    Case("closed box", r"so \boxed{45}", "45"),
    Case("open box", r"so \boxed{45", None),
    Case("marked and followed", "The answer is 45, because", "45"),
    Case("marked and the line ended", "#### 45\n", "45"),
    Case("the number may be cut", "The answer is 4", None),
    Case("the decimals may be cut", "The answer is 4.", None),
    Case("the calculation is cut", "The answer is 5 x 9 =", None),
    Case("the calculation is cut earlier", "The answer is 5 x", None),
    Case("an equation is no mark", "5 x 9 = 45 and then", None),
    Case("a number is no mark", "45 apples", None),
)
def test_cut_text_has_only_the_number_it_marks_as_final(text: str, answer: str | None) -> None:
    assert extract_answer(text, "number", complete=False) == answer


@cases(
    Case("bare", "B", "B"),
    Case("parentheses", "(B)", "B"),
    Case("full stop", "B.", "B"),
    Case("marker", "Answer: B", "B"),
    Case("lower case after a marker", "answer: b", "B"),
    Case("option", "option B", "B"),
    Case("option is", "The correct option is D.", "D"),
    Case("sentence", "The answer is (C) because it rains", "C"),
    Case("bold with text", "**B) Paris**", "B"),
    Case("label with text", "B. Paris", "B"),
    Case("digit", "Answer: (2)", "2"),
    Case("boxed", r"\boxed{E}", "E"),
    Case("last line", "Because it rains.\n\nC", "C"),
    Case("marker after all options", "A. x\nB. y\nAnswer: A", "A"),
    Case("parenthesised in prose", "I think it is (B)", "B"),
    Case("article is no choice", "The answer is a dog", None),
    Case("capital article is no choice", "A dog barks", None),
    Case("pronoun is no choice", "The answer is I think not", None),
    Case("echoed options", "A. x\nB. y", None),
    Case("numbered steps", "1. First\n2. Second", None),
    Case("decimal is no choice", "3.5", None),
    Case("beyond J", "K", None),
    Case("empty", "", None),
)
def test_choice_is_read(text: str, answer: str | None) -> None:
    assert extract_answer(text, "choice") == answer


@cases(
    Case("marked", "The answer is B because", "B"),
    Case("may be the start of a word", "Answer: B", None),
    Case("not marked", "(B) is", None),
)
def test_cut_text_has_only_the_choice_it_marks_as_final(text: str, answer: str | None) -> None:
    assert extract_answer(text, "choice", complete=False) == answer


@cases(
    Case("bare", "Paris", "paris"),
    Case("sentence", "The answer is Paris.", "paris"),
    Case("bold", "Answer: **Paris**", "paris"),
    Case("last line", "It is in France.\n\nParis!\n", "paris"),
    Case("spaces", "Answer:\nNew   York", "new york"),
    Case("block", "Answer:\n```text\nParis\n```", "paris"),
    Case("curly quotes", "“It’s Paris”", "it's paris"),
    Case("nothing but punctuation", "([])", "([])"),
    Case("empty", " \n", None),
)
def test_text_is_read(text: str, answer: str | None) -> None:
    assert extract_answer(text, "text") == answer


@cases(
    Case("the line ended", "Answer: Paris\nIt is", "paris"),
    Case("the line may go on", "Answer: New", None),
    Case("not marked", "Paris\nIt is", None),
)
def test_cut_text_has_only_the_words_it_marks_as_final(text: str, answer: str | None) -> None:
    assert extract_answer(text, "text", complete=False) == answer


@pytest.mark.parametrize(
    ("value", "format", "canonical"),
    [
        pytest.param(" 1,045 ", "number", "1045", id="number"),
        pytest.param("$18.50", "number", "18.5", id="currency"),
        pytest.param(r"\frac{3}{4}", "number", "0.75", id="latex"),
        pytest.param("-1/3", "number", "-1/3", id="fraction"),
        pytest.param("12 apples", "number", None, id="more than a number"),
        pytest.param("7 8", "number", None, id="two numbers"),
        pytest.param("(c)", "choice", "C", id="choice"),
        pytest.param("Paris", "choice", None, id="no choice"),
        pytest.param("**", "text", None, id="markup only"),
        pytest.param("", "text", None, id="empty"),
    ],
)
def test_reference_answers_are_nothing_but_the_answer(value: str, format: AnswerFormat, canonical: str | None) -> None:
    assert canonical_answer(value, format) == canonical


@given(st.fractions(max_denominator=10_000))
def test_equal_numbers_have_one_spelling(number: Fraction) -> None:
    canonical = canonical_answer(f"{number.numerator * 3}/{number.denominator * 3}", "number")
    assert canonical is not None
    assert Fraction(canonical) == number
    assert canonical_answer(canonical, "number") == canonical
    assert extract_answer(canonical, "number") == canonical
    assert extract_answer(f"The answer is {canonical}.", "number") == canonical


@given(st.text(), st.sampled_from(["text", "number", "choice"]), st.booleans())
def test_any_text_has_a_canonical_answer_or_none(text: str, format: AnswerFormat, complete: bool) -> None:
    answer = extract_answer(text, format, complete=complete)
    assert answer is None or canonical_answer(answer, format) == answer


@given(st.text(alphabet="0123456789 .=x*-(answeris:#)\n", max_size=60))
def test_a_cut_never_changes_an_answer_only_hides_it(text: str) -> None:
    """What is read from a cut text must be what the same text gives when it goes on with other words."""
    cut = extract_answer(text, "number", complete=False)
    assert cut is None or cut == extract_answer(text + " and so on", "number", complete=False)


@pytest.mark.parametrize(
    "unit", ["the answer is ", "\\boxed{", "= ", "1,", "(", "```\n", "what is the ", "1 + 1 = ", "- 1/"]
)
def test_a_model_that_repeats_itself_is_read_in_reasonable_time(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    started = time.process_time()
    for format in get_args(AnswerFormat):
        extract_answer(text, format)
        extract_answer(text, format, complete=False)
    assert time.process_time() - started < 5


def test_as_written_keeps_the_spelling() -> None:
    text = "Simplified: 488/1214 = 2/6"
    assert stated_answer(text, "number") == "2/6"
    assert extract_answer(text, "number") == "1/3"
    assert stated_answer("The answer is New York", "text") == "New York"
    assert stated_answer("no number", "number") is None


@cases(
    Case("marked", "Answer: no.\nAnswer:\n1 2\n3 4\n", "1 2\n3 4"),
    Case("marked and fenced", "The answer is:\n\n```text\n1 2\n3 4\n```", "1 2\n3 4"),
    Case("not marked", "1 2\n3 4", "1 2\n3 4"),
    Case("reasoning", "<think>Answer: 1</think>2", "2"),
)
def test_final_part_has_all_lines(text: str, answer: str | None) -> None:
    assert final_part(text) == answer


def test_last_number_of_a_programs_output() -> None:
    assert last_number("x = 5\n1,000\n") == "1000"
    assert last_number("done\n") is None


def test_gsm8k_solutions_end_with_the_answer_that_is_read(shared_data: Path) -> None:
    lines = (shared_data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    solutions = [json.loads(line)["answer"] for line in lines]
    golds = [canonical_answer(solution.rpartition("####")[2], "number") for solution in solutions]
    assert None not in golds
    assert [extract_answer(solution, "number") for solution in solutions] == golds
    # The steps alone, whose calculator marks hold the results, mostly end in the answer too.
    steps = [re.sub(r"<<[^<>]*>>", "", solution.rpartition("####")[0]) for solution in solutions]
    read = [extract_answer(step, "number") for step in steps]
    agreeing = sum(answer == gold for answer, gold in zip(read, golds, strict=True))
    assert agreeing / len(golds) > 0.9
