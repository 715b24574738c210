"""Queries like a gold one: wrong in the ways that models are, right in other words, or none at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from sqlglot import exp, parse_one
from sqlglot.expressions import Expr

Edit: TypeAlias = Callable[[Expr], Expr | None]
"""Changes a tree, which is its own to change; ``None`` where there is nothing to change."""


class Mutant(NamedTuple):
    """A query made of a gold one.

    Attributes:
        kind: What was changed.
        sql: The query.
    """

    kind: str
    sql: str


def mutants(gold: str, others: Sequence[str]) -> Iterator[Mutant]:
    """Each different text once, the gold first.

    Args:
        gold: The accepted query.
        others: Golds of other questions to the same database.
    """
    seen: set[str] = set()
    for mutant in (*_texts(gold), *_edited(gold), *(Mutant("another gold", other) for other in others)):
        if mutant.sql not in seen:
            seen.add(mutant.sql)
            yield mutant


def _texts(gold: str) -> Iterator[Mutant]:
    """What is done to the text."""
    bare = gold.rstrip("; \n")
    yield Mutant("itself", gold)
    yield Mutant("in lower case", _outside_strings(str.lower, gold))
    yield Mutant("with a comment", f"{bare} -- {len(bare)} characters")
    yield Mutant("spaced operator", re.sub(r"([<>!])=", r"\1 =", gold))
    yield Mutant("as a table", f"SELECT * FROM ({bare})")
    yield Mutant("twice", f"SELECT * FROM ({bare}) UNION ALL SELECT * FROM ({bare})")
    yield Mutant("without rows", f"SELECT * FROM ({bare}) WHERE 1 = 0")
    yield Mutant("cut off", bare.rpartition(" ")[0] + " (")
    yield Mutant("unknown column", f"SELECT no_such_column FROM ({bare})")
    yield Mutant("two statements", f"{bare}; SELECT 1")
    yield Mutant("no statement", "-- " + " ".join(bare.split()))
    yield Mutant("a write", "DROP TABLE no_such_table")


def _edited(gold: str) -> Iterator[Mutant]:
    """What is done to the tree."""
    tree = parse_one(gold, dialect="sqlite")
    yield Mutant("written anew", tree.sql(dialect="sqlite"))
    for kind, edit in _EDITS.items():
        changed = edit(tree.copy())
        if changed is not None:
            yield Mutant(kind, changed.sql(dialect="sqlite"))


def _outside_strings(change: Callable[[str], str], sql: str) -> str:
    parts = re.split(r"""('[^']*'|"[^"]*")""", sql)
    return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))


def _first(tree: Expr, *kinds: type[Expr]) -> Expr | None:
    return next(iter(tree.find_all(*kinds)), None)


def _replaced(old: Expr | None, tree: Expr, new: Callable[[Expr], Expr]) -> Expr | None:
    """The tree with one part of it replaced."""
    if old is None:
        return None
    made = new(old)
    if old is tree:
        return made
    old.replace(made)
    return tree


def _toggled_distinct(tree: Expr) -> Expr | None:
    select = _first(tree, exp.Select)
    if select is not None:
        select.set("distinct", None if select.args.get("distinct") else exp.Distinct())
    return select and tree


def _counted_distinct(tree: Expr) -> Expr | None:
    count = _first(tree, exp.Count)
    if count is None or isinstance(count.this, exp.Star):
        return None
    inside = count.this
    count.set("this", inside.expressions[0] if isinstance(inside, exp.Distinct) else exp.Distinct(expressions=[inside]))
    return tree


def _counted_rows(tree: Expr) -> Expr | None:
    return _replaced(_first(tree, exp.Count), tree, lambda _: exp.Count(this=exp.Star()))


def _items(change: Callable[[list[Expr]], list[Expr]]) -> Edit:
    """Changes what the first SELECT lists, where that is more than one item."""

    def edit(tree: Expr) -> Expr | None:
        select = _first(tree, exp.Select)
        if select is None or len(select.expressions) < 2:
            return None
        select.set("expressions", change(select.expressions))
        return tree

    return edit


def _cast(to: str) -> Edit:
    def edit(tree: Expr) -> Expr | None:
        select = _first(tree, exp.Select)
        if select is None or isinstance(select.expressions[0], exp.Star):
            return None
        item = select.expressions[0]
        item.replace(exp.cast(item.unalias().copy(), to, dialect="sqlite"))
        return tree

    return edit


def _dropped(clause: str) -> Edit:
    def edit(tree: Expr) -> Expr | None:
        owner = next((each for each in tree.find_all(exp.Query) if each.args.get(clause)), None)
        if owner is not None:
            owner.set(clause, None)
        return owner and tree

    return edit


def _flipped_order(tree: Expr) -> Expr | None:
    ordered = list(tree.find_all(exp.Ordered))
    for each in ordered:
        each.set("desc", not each.args.get("desc"))
        each.set("nulls_first", not each.args["desc"])  # SQLite's own, so that nothing is written of NULLs
    return tree if ordered else None


def _added_order(tree: Expr) -> Expr | None:
    if not isinstance(tree, exp.Select) or tree.args.get("order"):
        return None
    return tree.order_by("1 DESC", dialect="sqlite")


def _added_limit(tree: Expr) -> Expr | None:
    return tree.limit(2) if isinstance(tree, exp.Query) else None


def _without_condition(tree: Expr) -> Expr | None:
    found = _first(tree, exp.And)
    return _replaced(found, tree, lambda old: old.this.copy()) if found else _dropped("where")(tree)


def _comparison(old: Expr) -> Expr:
    """Another operator between the same sides."""
    return _OPERATORS[type(old)](this=old.this.copy(), expression=old.expression.copy())


def _condition(tree: Expr, *kinds: type[Expr]) -> Expr | None:
    """The first of WHERE or HAVING."""
    clauses = tree.find_all(exp.Where, exp.Having)
    return next((found for clause in clauses for found in clause.find_all(*kinds)), None)


def _quoted_string(tree: Expr) -> Expr | None:
    """What many golds write in double quotes: SQLite takes it for a string where it is no column."""
    return next(
        (each for each in tree.find_all(exp.Column) if not each.table and each.this.args.get("quoted")),
        None,
    )


def _without_join_condition(tree: Expr) -> Expr | None:
    join = _first(tree, exp.Join)
    if join is None or len(list(tree.find_all(exp.Join))) > 1:
        return None
    join.set("on", None)
    return tree


def _left_join(tree: Expr) -> Expr | None:
    join = _first(tree, exp.Join)
    if join is not None:
        join.set("side", "LEFT")
    return join and tree


def _sides(old: Expr) -> Expr:
    return type(old)(this=old.expression.copy(), expression=old.this.copy(), distinct=old.args.get("distinct"))


_OPERATORS: dict[type[Expr], type[Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.GT: exp.GTE,
    exp.GTE: exp.GT,
    exp.LT: exp.LTE,
    exp.LTE: exp.LT,
    exp.And: exp.Or,
    exp.Or: exp.And,
}
_AGGREGATES: dict[type[Expr], type[Expr]] = {exp.Max: exp.Min, exp.Min: exp.Max, exp.Sum: exp.Avg, exp.Avg: exp.Sum}
_SETS: dict[type[Expr], type[Expr]] = {exp.Intersect: exp.Union, exp.Except: exp.Union, exp.Union: exp.Intersect}
_EDITS: dict[str, Edit] = {
    "DISTINCT added or dropped": _toggled_distinct,
    "DISTINCT in a count": _counted_distinct,
    "count(*)": _counted_rows,
    "columns reversed": _items(lambda items: items[::-1]),
    "column dropped": _items(lambda items: items[:-1]),
    "column repeated": _items(lambda items: [*items, items[0].copy()]),
    "as a real": _cast("REAL"),
    "as a text": _cast("TEXT"),
    "order dropped": _dropped("order"),
    "order flipped": _flipped_order,
    "order added": _added_order,
    "limit dropped": _dropped("limit"),
    "limit added": _added_limit,
    "group dropped": _dropped("group"),
    "having dropped": _dropped("having"),
    "condition dropped": _without_condition,
    "AND for OR": lambda tree: _replaced(_condition(tree, exp.And, exp.Or), tree, _comparison),
    "other operator": lambda tree: _replaced(
        _condition(tree, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), tree, _comparison
    ),
    "other number": lambda tree: _replaced(
        next((each for each in tree.find_all(exp.Literal) if not each.is_string), None),
        tree,
        lambda old: exp.Literal.number(float(old.name) + 1 if "." in old.name else int(old.name) + 1),
    ),
    "other text": lambda tree: _replaced(
        next((each for each in tree.find_all(exp.Literal) if each.is_string), None) or _quoted_string(tree),
        tree,
        lambda old: exp.Literal.string(old.name + "x"),
    ),
    "string in single quotes": lambda tree: _replaced(
        _quoted_string(tree), tree, lambda old: exp.Literal.string(old.name)
    ),
    "other aggregate": lambda tree: _replaced(
        _first(tree, *_AGGREGATES), tree, lambda old: _AGGREGATES[type(old)](this=old.this.copy())
    ),
    "outer join": _left_join,
    "join without its condition": _without_join_condition,
    "other set operation": lambda tree: _replaced(
        _first(tree, *_SETS),
        tree,
        lambda old: _SETS[type(old)](this=old.this.copy(), expression=old.expression.copy(), distinct=True),
    ),
    "sides of a set operation swapped": lambda tree: _replaced(_first(tree, *_SETS), tree, _sides),
}
