"""Results as keys: queries with equal keys gave the same answer."""

from __future__ import annotations

import math
from hashlib import sha256

from archloom.tools.sql._database import Row, Rows, Value


def result_key(result: Rows, *, ordered: bool) -> str:
    """A digest that two results share when they are the same bag of rows, or list of rows where ``ordered``.

    Columns count by their place, their names do not. Numbers are equal by value (``1`` and ``1.0``, ``0.0`` and
    ``-0.0``), exactly; a number is no text and a text no blob; NULL equals NULL, NaN equals NaN. All empty
    results are equal.
    """
    rows = [_row(row) for row in result.rows]
    if not ordered:
        rows.sort()
    digest = sha256()
    for row in rows:
        digest.update(b"%d:" % len(row))
        digest.update(row)
    return digest.hexdigest()


def _row(row: Row) -> bytes:
    values = [_value(value) for value in row]
    return b"".join(b"%d:%b" % (len(value), value) for value in values)


def _value(value: Value) -> bytes:
    match value:
        case None:
            return b"null"
        case bytes():
            return b"b" + value
        case str():
            return b"s" + value.encode("utf-8", "surrogatepass")
        case float() if not math.isfinite(value):
            return f"n{value}".encode()
        case float() if not value.is_integer():
            return f"n{value!r}".encode()
        case _:
            return f"n{int(value)}".encode()
