"""Spider's exact set match: the same clauses, whatever their order and their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from archloom.tasks.text2sql._execution import Databases
from archloom.tasks.text2sql._verdict import Gold, SqlScorer, Verdict
from archloom.tasks.text2sql._wording import spider_wording
from archloom.tools import ToolError
from archloom.tools.sql import ColumnRef, Schema, SqlFailure, SqlLimits, open_database, read_statement

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

Shape: TypeAlias = tuple[object, ...]
"""A query without what the metric ignores: values, DISTINCT, aliases, join conditions, the order of items."""


@dataclass(frozen=True)
class ExactSetMatch(SqlScorer):
    """Compares the queries' texts by clauses; nothing is run but what reads the schema."""

    databases: Databases

    @property
    def name(self) -> str:
        """The metric's."""
        return "exact_set_match"

    def verdict(self, sql: str, gold: Gold) -> Verdict:
        """1 when some gold has the same shape."""
        try:
            keys = _keys(self.databases[gold.db_id][0])
        except (KeyError, ToolError) as exc:
            return Verdict(0.0, "gold_failed", str(exc))
        shapes = [keys.shape(query) for query in gold.queries]
        golds = [shape for shape in shapes if not isinstance(shape, SqlFailure)]
        given = keys.shape(sql)
        if not golds:
            return Verdict(0.0, "gold_failed", str(shapes[0]))
        if isinstance(given, SqlFailure):
            return Verdict(0.0, given.outcome, given.message)
        return Verdict.of(float(given in golds))


@lru_cache(maxsize=256)
def _keys(location: str) -> Keys:
    return Keys(open_database(location).schema())


class Keys:
    """Columns of a schema, where those that foreign keys join are one."""

    def __init__(self, schema: Schema) -> None:
        self._columns = {(table.name.lower(), each.name.lower()) for table, each in schema.columns()}
        self._same: dict[tuple[str, str], tuple[str, str]] = {}
        for table in schema.tables:
            for key in table.foreign_keys:
                for own, target in zip(key.columns, key.targets, strict=True):
                    self._join((table.name.lower(), own.lower()), (key.table.lower(), target.lower()))

    def shape(self, sql: str) -> Shape | SqlFailure:
        """What is compared of a query, in which Spider allows ``> =`` for ``>=``."""
        longest = SqlLimits().sql_bytes
        statement = read_statement(sql if len(sql) > longest else spider_wording(sql, keep_distinct=True), "sqlite")
        return statement if isinstance(statement, SqlFailure) else _shape(statement.tree, self)

    def resolve(self, name: str, tables: list[str]) -> ColumnRef | None:
        """The column of this name in the first of some tables that has it."""
        for table in tables:
            if (table.lower(), name.lower()) in self._columns:
                return ColumnRef(*self._root((table.lower(), name.lower())))
        return None

    def _root(self, column: tuple[str, str]) -> tuple[str, str]:
        while column in self._same:
            column = self._same[column]
        return column

    def _join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        first, last = sorted((self._root(one), self._root(other)))
        if first != last:
            self._same[last] = first


def _shape(tree: Expr, keys: Keys) -> Shape:
    """A query: its own clauses, and what a set operation adds, with its operator."""
    from sqlglot import exp

    while isinstance(tree, exp.Subquery):
        tree = tree.this
    if isinstance(tree, exp.SetOperation):
        # Written as a chain it is read from the left here; order and limit belong to its last query, as written.
        left = tree.left
        rest: list[object] = [(_operator(tree), _shape(tree.right, keys))]
        while isinstance(left, exp.SetOperation):
            rest.insert(0, (_operator(left), _shape(left.right, keys)))
            left = left.left
        return ("set", _shape(left, keys), tuple(rest), _order(tree, _Scope(left, keys)))
    scope = _Scope(tree, keys)
    having = tree.args.get("having")
    where = tree.args.get("where")
    group = tree.args.get("group")
    return (
        tuple(sorted(scope.text(each) for each in tree.expressions)),
        tuple(sorted(map(repr, scope.sources()))),
        tuple(sorted(map(repr, scope.conditions(where.this)))) if where else (),
        scope.connectors(where),
        tuple(scope.text(each) for each in group.expressions) if group else (),
        tuple(scope.conditions(having.this)) if having else (),
        scope.connectors(having),
        _order(tree, scope),
    )


def _operator(tree: Expr) -> Shape:
    """UNION, INTERSECT or EXCEPT, and whether it keeps repetitions (``UNION ALL``)."""
    return (tree.key, bool(tree.args.get("distinct")))


def _order(tree: Expr, scope: _Scope) -> Shape:
    """Items of ORDER BY and its one direction, the last that is written; whether there is a LIMIT."""
    order = tree.args.get("order")
    items = order.expressions if order else []
    written = [each.args["desc"] for each in items if each.args.get("desc") is not None]
    return (
        tuple(scope.text(each.this) for each in items),
        bool(written[-1]) if written else False,
        tree.args.get("limit") is not None,
    )


class _Scope:
    """One SELECT with the tables that its names may mean."""

    def __init__(self, tree: Expr, keys: Keys) -> None:
        from sqlglot import exp

        self._keys = keys
        start = tree.args.get("from_")
        self._sources = [("", start.this)] if start else []
        self._sources += [(join.side, join.this) for join in tree.args.get("joins") or []]
        tables = [each for _, each in self._sources if isinstance(each, exp.Table)]
        self._aliases = {each.alias_or_name.lower(): each.name for each in tables}

    def sources(self) -> Iterator[object]:
        """Tables by name, and derived tables by their shapes, with the side of an outer join."""
        from sqlglot import exp

        for side, source in self._sources:
            yield side, source.name.lower() if isinstance(source, exp.Table) else _shape(source, self._keys)

    def text(self, tree: Expr) -> str:
        """An expression with canonical columns, without aliases and DISTINCT."""
        from sqlglot import exp

        def without_distinct(node: Expr) -> Expr:
            alone = isinstance(node, exp.Distinct) and len(node.expressions) == 1
            return node.expressions[0] if alone else node

        def canonical(node: Expr) -> Expr:
            return self._column(node) if isinstance(node, exp.Column) else node

        plain = tree.unalias().transform(without_distinct).transform(canonical)
        return str(plain.sql(dialect="sqlite", comments=False)).lower()

    def conditions(self, tree: Expr) -> Iterator[Shape]:
        """Conditions, however AND, OR and parentheses join them: operator, negation, left side, subqueries."""
        from sqlglot import exp

        if isinstance(tree, (exp.And, exp.Or)):
            yield from self.conditions(tree.left)
            yield from self.conditions(tree.right)
        elif isinstance(tree, exp.Paren):
            yield from self.conditions(tree.this)
        else:
            inner, negated = tree, False
            while isinstance(inner, (exp.Not, exp.Paren)):
                inner, negated = inner.this, negated or isinstance(inner, exp.Not)
            negated = negated or bool(inner.args.get("negate"))
            left = inner.this if isinstance(inner.this, exp.Expr) and not isinstance(inner, exp.Exists) else inner
            nested = [each for each in inner.find_all(exp.Subquery, exp.Query) if not _inside_query(each, inner)]
            shapes = tuple(_shape(each, self._keys) for each in nested)
            yield (inner.key, negated, "" if nested and left in nested else self._left(left), shapes)

    def connectors(self, clause: Expr | None) -> Shape:
        """Which of AND and OR join the conditions of a clause."""
        from sqlglot import exp

        found = clause.find_all(exp.And, exp.Or) if clause else ()
        return tuple(sorted({each.key for each in found if clause is not None and not _inside_query(each, clause)}))

    def _left(self, tree: Expr) -> str:
        from sqlglot import exp

        return (
            "exists" if isinstance(tree, exp.Exists) else "value" if isinstance(tree, exp.Literal) else self.text(tree)
        )

    def _column(self, column: Expr) -> Expr:
        from sqlglot import exp

        qualifier = str(getattr(column, "table", "")).lower()
        tables = [self._aliases.get(qualifier, qualifier)] if qualifier else list(self._aliases.values())
        found = self._keys.resolve(column.name, tables)
        return exp.column(found.column, found.table) if found else exp.column(column.name.lower())


def _inside_query(tree: Expr, top: Expr) -> bool:
    """Whether a query lies between an expression and the one it is looked for in."""
    from sqlglot import exp

    above = tree.parent
    while above is not None and above is not top:
        if isinstance(above, (exp.Subquery, exp.Query)):
            return True
        above = above.parent
    return False
