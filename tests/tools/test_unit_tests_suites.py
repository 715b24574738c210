"""Tests as data sets write them down, one assertion each."""

from __future__ import annotations

import pytest

from archloom.tools import UsageError
from archloom.tools.code import Suite, docstring_tests, split_tests


@pytest.mark.parametrize(
    ("source", "suite"),
    [
        pytest.param(
            "assert f(1) == 2\nassert f(2) == 3", Suite("", ("assert f(1) == 2", "assert f(2) == 3")), id="list"
        ),
        pytest.param(
            "import math\nx = 3\nassert f(x)\ny = 4\nassert f(y)",
            Suite("", ("import math\nx = 3\nassert f(x)", "y = 4\nassert f(y)")),
            id="statements belong to the next assertion",
        ),
        pytest.param(
            "METADATA = {}\ndef check(candidate):\n    assert True\n    assert candidate(1) == 2\n"
            "    for i in range(3):\n        assert candidate(i)\n    pass\ncheck(f)",
            Suite("METADATA = {}", ("assert f(1) == 2", "for i in range(3):\n    assert f(i)")),
            id="check function",
        ),
        pytest.param(
            "def check(f):\n    if f(1):\n        return\n    assert f(2)",
            Suite("", ("def check(f):\n    if f(1):\n        return\n    assert f(2)\ncheck(f)",)),
            id="check function that cannot be split",
        ),
        pytest.param(
            "assert f(1)\nf(2)\n", Suite("", ("assert f(1)\nf(2)",)), id="the rest belongs to the last assertion"
        ),
    ],
)
def test_tests_are_split(source: str, suite: Suite) -> None:
    assert split_tests(source, "f") == suite


@pytest.mark.parametrize(
    ("source", "message"), [("assert f(", "no Python"), ("f(1)", "assert nothing"), ("assert True", "assert nothing")]
)
def test_what_tests_nothing_is_refused(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_tests(source, "f")


@pytest.mark.parametrize(
    ("examples", "tests"),
    [
        pytest.param(
            ">>> f(1)\n    2\n    >>> f('a') \n    'b'", ("assert f(1) == 2", "assert f('a') == 'b'"), id="two"
        ),
        pytest.param("f(1) => 2", (), id="another notation"),
        pytest.param(">>> f(1)\n    two", (), id="result that is no literal"),
        pytest.param(">>> x = f(1)", (), id="no expression"),
        pytest.param(">>> g(1)\n    2", (), id="about something else"),
        pytest.param(">>> f(one)\n    2", (), id="with a name that is nowhere defined"),
        pytest.param(">>> round(f(1), 2)\n    2", ("assert round(f(1), 2) == 2",), id="with a built-in function"),
        pytest.param(">>> f(1)\n  2", (), id="white space that doctest does not read"),
    ],
)
def test_examples_of_a_docstring_become_tests(examples: str, tests: tuple[str, ...]) -> None:
    assert docstring_tests(f'def f(x):\n    """Does it.\n\n    {examples}\n    """\n', "f") == tests


def test_a_prompt_that_is_no_python_has_no_examples() -> None:
    assert docstring_tests("def f(", "f") == ()
    assert docstring_tests("x = 1", "f") == ()
