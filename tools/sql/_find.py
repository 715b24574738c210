"""SQL in what a model wrote."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*```[ \t]*(?P<tag>[\w+-]*)[^\n]*\n(?P<body>.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_TAGS = frozenset({"sql", "sqlite", "sqlite3", "postgres", "postgresql", "psql"})
_START = r"(?:select|with|values)\b"
_QUERY = re.compile(_START, re.IGNORECASE)
_INLINE = re.compile(rf"`\s*(?P<sql>{_START}[^`\n]*)`", re.IGNORECASE)
_PLAIN_START = r"(?:select\b|with\s+(?:recursive\s+)?[\w\"]+\s*(?:\([^()]*\)\s*)?as\b)"
_REST = r"(?:'[^']*'|\"[^\"]*\"|(?!\n[ \t]*\n)[^;'\"])*"
_LABEL = r"^[ \t>*#]*(?:[\w ]{0,40}:)?[ \t*]*"
_PLAIN = re.compile(rf"{_LABEL}(?P<sql>{_PLAIN_START}{_REST})", re.IGNORECASE | re.MULTILINE)
_LONGEST = 1_000_000


def find_sql(text: str, *, complete: bool = True) -> str | None:
    """The SQL that a text holds, or ``None``.

    In this order: the last closed block marked as SQL, the last unmarked block that starts like a query, the last
    query between backticks unless the text itself starts like one, and the last line that starts like one, to the
    end of its paragraph or its semicolon. A block may hold more than one statement, and something other than a
    query: it is what the model wrote. A text of more than a million characters is taken as it is.

    Args:
        text: What the model wrote; reasoning up to ``</think>`` is left out.
        complete: False for a text cut by ``max_tokens``: only a closed block counts.
    """
    text = text.rpartition("</think>")[2].strip()
    if "<think>" in text:
        return None
    if len(text) > _LONGEST:
        return text if complete else None
    blocks = list(_FENCE.finditer(text))
    marked = [block["body"] for block in blocks if block["tag"].lower() in _TAGS]
    unmarked = [block["body"] for block in blocks if not block["tag"] and _QUERY.match(block["body"].strip())]
    if marked or unmarked:
        return (marked or unmarked)[-1].strip() or None
    if not complete:
        return None
    text = _FENCE.sub("\n", text)
    inline = [] if _QUERY.match(text) else [match["sql"] for match in _INLINE.finditer(text)]
    found = inline or [match["sql"] for match in _PLAIN.finditer(text)]
    return found[-1].strip() if found else None
