"""What Spider's evaluation does to a query's text before it runs it, done token by token."""

from __future__ import annotations

import re

_ORDER_BY = re.compile(r"order by", re.IGNORECASE)


def asks_for_order(gold: str) -> bool:
    """Spider's rule for when the order of rows counts: ``order by`` occurs anywhere in the gold's text."""
    return _ORDER_BY.search(gold) is not None


def spider_wording(sql: str, *, keep_distinct: bool) -> str:
    """The query with ``> =`` written ``>=``, and without DISTINCT unless it is kept.

    Strings stay as they are, and so does ``IS DISTINCT FROM``. A text that is no SQL is left alone.
    """
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import TokenError

    try:
        tokens = tokenize(sql, dialect="sqlite")
    except TokenError:
        return sql
    dropped: list[tuple[int, int]] = []
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else None
        compared = before is not None and before.text in {"<", ">", "!"}
        if before is not None and compared and token.token_type == TokenType.EQ:
            dropped.append((before.end + 1, token.start))
        operator = before is not None and before.token_type in {TokenType.IS, TokenType.NOT}
        if token.token_type == TokenType.DISTINCT and not keep_distinct and not operator:
            dropped.append((token.start, token.end + 1))
    for start, end in reversed(dropped):
        sql = sql[:start] + sql[end:]
    return sql
