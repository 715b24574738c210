"""Programs out of what models write: tidy, chatty, repeated, cut off."""

from __future__ import annotations

import pytest

from archloom.tools.code import assemble_program

PROMPT = '''from typing import List


def total(numbers: List[int]) -> int:
    """ Sum of the numbers.
    >>> total([1, 2])
    3
    """
'''
GIVEN = "from typing import List"
WHOLE = "def total(numbers):\n    return sum(numbers)\n"


def runs(program: str | None) -> object:
    """What the program's function gives for a list, to compare programs by what they do."""
    assert program is not None
    space: dict[str, object] = {}
    exec(program, space)
    return space["total"]([1, 2, 3])  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"```python\n{WHOLE}```", id="block"),
        pytest.param(f"Sure! Here it is:\n\n```python\n{WHOLE}```\n\nIt sums the numbers.", id="block in a chat"),
        pytest.param(f"```\n{WHOLE}```", id="block without a language"),
        pytest.param(f"```py\n{WHOLE}", id="block that was cut off at its end"),
        pytest.param(f"```Python3\r\n{WHOLE}```".replace("\n", "\r\n"), id="line ends of Windows"),
        pytest.param(
            f"1. First:\n\n   ```python\n   {WHOLE.replace(chr(10), chr(10) + '   ')}\n   ```", id="block in a list"
        ),
        pytest.param(f"[BEGIN]\n{WHOLE}[DONE]\nmore", id="marks of MBPP"),
        pytest.param(
            f"<think>```python\ndef total(x): return 0\n```</think>\n```python\n{WHOLE}```", id="after reasoning"
        ),
        pytest.param(
            f"```python\ndef total(x): return 0\n```\nThat is wrong. Better:\n```python\n{WHOLE}```",
            id="the last of two",
        ),
        pytest.param(
            f"```python\n{WHOLE}```\nUse it:\n```python\nprint(total([1]))\n```", id="use in a block of its own"
        ),
        pytest.param(f"```python\n{WHOLE}```\n```bash\npython total.py\n```", id="another language behind"),
        pytest.param(WHOLE, id="whole text"),
        pytest.param(f"from functools import reduce\n{WHOLE}", id="imports before"),
        pytest.param(f"Here is the function:\n\n{WHOLE}\nIt sums the numbers. Isn't it nice?", id="prose around"),
        pytest.param(f"from the task I take this.\n{WHOLE}", id="prose that begins like an import"),
        pytest.param(f"{PROMPT}    return sum(numbers)\n", id="prompt repeated"),
        pytest.param(f"```python\n{PROMPT}    return sum(numbers)\n\nprint(total(", id="prompt repeated and cut off"),
        pytest.param("    return sum(numbers)\n", id="body"),
        pytest.param("\n\n    return sum(numbers)\n", id="body after blank lines"),
        pytest.param("return sum(numbers)", id="body without its indent"),
        pytest.param("result = sum(numbers)\n    return result", id="body whose first indent is gone"),
        pytest.param("result = 0\nfor n in numbers:\n    result += n\nreturn result", id="body without indents"),
        pytest.param("```python\n    return sum(numbers)\n```", id="body in a block"),
        pytest.param("    return sum(numbers)\n\nThis adds all of them up.", id="body and prose"),
        pytest.param("    return sum(numbers)\n\n\ndef helper(", id="body and a definition that was cut off"),
        pytest.param("    return helper(numbers)\n\n\ndef helper(x):\n    return sum(x)\n", id="body and its helper"),
        pytest.param("total = lambda numbers: sum(numbers)", id="assignment"),
        pytest.param("total: object = sum", id="annotated assignment"),
        pytest.param("from __future__ import annotations\n" + WHOLE, id="import from the future"),
        pytest.param(
            f"```python\n{PROMPT}```\nThe body:\n```python\n    return sum(numbers)\n```",
            id="prompt in one block, body in another",
        ),
    ],
)
def test_the_right_program_is_found(text: str) -> None:
    assert runs(assemble_program(text, entry_point="total", prompt=PROMPT, given=GIVEN)) == 6


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("I cannot do that.", id="prose"),
        pytest.param("Sure", id="a word that parses"),
        pytest.param("42", id="a number"),
        pytest.param("```json\n{}\n```", id="another language"),
        pytest.param("The sum is 6. To define it, use a loop.", id="prose with words of code"),
        pytest.param("x(" * 5000, id="nested too deep"),
        pytest.param("a\0b", id="a null byte"),
    ],
)
def test_there_is_no_program(text: str) -> None:
    assert assemble_program(text, entry_point="total", prompt=PROMPT) is None


@pytest.mark.parametrize(
    ("text", "program"),
    [
        pytest.param("```python\ndef total(x:\n    pass\n```", "def total(x:\n    pass\n", id="does not parse"),
        pytest.param("Well:\ndef total(x:\n    pass", "def total(x:\n    pass", id="does not parse, without a block"),
        pytest.param(
            "```python\ndef sum_of(x):\n    return 1\n```", "def sum_of(x):\n    return 1\n", id="another name"
        ),
        pytest.param(
            "def sum_of(x):\n    return 1", "def sum_of(x):\n    return 1", id="another name, without a block"
        ),
        pytest.param('```python\ndef total(x):\n    """Sum."""\n```', 'def total(x):\n    """Sum."""\n', id="no body"),
        pytest.param(
            "def total(x):\n    if x:\n        return (1 +",
            "def total(x):\n    if x:\n        return (1 +",
            id="cut in it",
        ),
    ],
)
def test_code_that_is_not_what_was_asked_for_is_kept_to_be_judged(text: str, program: str) -> None:
    assert assemble_program(text, entry_point="total") == program


def test_what_is_given_stands_in_front_and_the_future_before_that() -> None:
    program = assemble_program(f"from __future__ import annotations\n{WHOLE}", entry_point="total", given="import math")
    assert program is not None
    assert program.splitlines()[:2] == ["from __future__ import annotations", "import math"]
    assert runs(program) == 6


def test_a_body_is_never_taken_for_a_program_without_a_prompt() -> None:
    assert assemble_program("    return sum(numbers)", entry_point="total") is None


def test_repetition_without_end_is_read_in_time() -> None:
    text = "def total(numbers):\n" + "    total = total + numbers[\n" * 300
    assert assemble_program(text, entry_point="total") == text
