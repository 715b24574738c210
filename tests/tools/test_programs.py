"""Programs in what models write."""

from __future__ import annotations

import pytest

from archloom.tools import find_program


@pytest.mark.parametrize(
    ("text", "program"),
    [
        pytest.param("Here:\n```python\nprint(1)\n```\nDone.", "print(1)\n", id="marked block"),
        pytest.param("```py\nx = 1\n```", "x = 1\n", id="marked block counts whatever it does"),
        pytest.param("```python\na\n```\n```python\nb\n```", "b\n", id="last block"),
        pytest.param("```python\na\n```\n```\nprint(2)\n```", "a\n", id="marked before unmarked"),
        pytest.param("```\nimport math\n```", "import math\n", id="unmarked block that acts"),
        pytest.param("def f():\n    return 1", "def f():\n    return 1", id="whole text"),
        pytest.param("```\n45\n```", None, id="unmarked block that does not act"),
        pytest.param("```bash\nprint 1\n```", None, id="another language"),
        pytest.param("```python\nprint(1)", None, id="block cut short"),
        pytest.param("45", None, id="number"),
        pytest.param("Paris", None, id="word"),
        pytest.param("maybe (yes)", None, id="prose that parses as a call"),
        pytest.param("", None, id="empty"),
        pytest.param("print(" * 2000, None, id="nested too deep"),
    ],
)
def test_program_is_found(text: str, program: str | None) -> None:
    assert find_program(text) == program
