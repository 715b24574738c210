"""Arithmetic: the expression a question states, and its exact value."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

from archloom.tools._notation import plain
from archloom.tools.errors import ToolError

_WORDS = (
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile(r"\bplus\b", re.IGNORECASE), "+"),
    (re.compile(r"\bminus\b", re.IGNORECASE), "-"),
    (re.compile(r"\b(?:times|multiplied by)\b", re.IGNORECASE), "*"),
    (re.compile(r"\bdivided by\b", re.IGNORECASE), "/"),
    (re.compile(r"(?<=\d) ?[xX] ?(?=\d)(?<!\b0x)"), "*"),
    (re.compile(r"\^"), "**"),
)
_RUN = re.compile(r"(?<![\w.%/])[-+(.\d][-+*/().\d \t]*")
_KIND = r"arithmetic|multiplication|addition|subtraction|division"
_ASKS = re.compile(
    r"\b(?:what(?:'s|’s| is| are)|how much (?:is|are)|calculate|compute|evaluate|solve|simplify|find|"
    rf"work out|answer|{_KIND})\b(?:\W|\b(?:the|following|this|to|of|final|result|value|sum|difference|"
    rf"product|quotient|expression|problem|calculation|operation|{_KIND})\b)*$",
    re.IGNORECASE,
)
_EMPTY_RESULT = re.compile(r"[\s$*`]*=[\s$*`]*[?_.]*\s*(?:\n|$)")
_NOT_EXACT = re.compile(
    r"round|nearest|approximat|decimal|significant|remainder|modul|quotient|base|binary", re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")

_LONGEST_QUESTION = 2000
_LONGEST = 500
_MOST_BITS = 4096
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
}


def find_expression(text: str) -> str | None:
    """The arithmetic expression whose value a question asks for, in Python's notation.

    Strict, so that a verdict built on it is never invented: the text must ask for it ("What is", "Calculate",
    a trailing "=") or be nothing else, hold no other number, and not ask for a rounded or derived value.
    """
    text = plain(text).strip()
    if len(text) > _LONGEST_QUESTION or _NOT_EXACT.search(text) or _DATE.search(text):
        return None
    for pattern, replacement in _WORDS:
        text = pattern.sub(replacement, text)
    asked: dict[str, bool] = {}
    for match in _RUN.finditer(text):
        expression = re.sub(r"[^\d)]+$", "", match[0])
        before, after = text[: match.start()], text[match.start() + len(expression) :]
        if _is_whole(expression, match[0], after):
            is_asked = _ASKS.search(before) or _EMPTY_RESULT.match(after) or text == expression
            asked[expression] = bool(is_asked) or asked.get(expression, False)
    if len(asked) != 1:
        return None
    [(expression, is_asked)] = asked.items()
    is_all = not re.search(r"\d", text.replace(expression, ""))
    return expression if is_asked and is_all else None


def evaluate(expression: str) -> Fraction:
    """The exact value of an arithmetic expression: decimals, ``+ - * / // % **``, signs and parentheses.

    Raises:
        ToolError: it is something else, divides by zero, or has numbers too large to be worth computing.
    """
    expression = expression.strip()
    if len(expression) > _LONGEST:
        raise ToolError(f"not an arithmetic expression of at most {_LONGEST} characters: {expression[:80]!r}")
    try:
        return _value(_parse(expression).body, expression)
    except ZeroDivisionError as exc:
        raise ToolError(f"{expression!r} divides by zero") from exc


def _is_whole(expression: str, run: str, after: str) -> bool:
    """Whether it is a calculation, and not a part of one that goes on with a letter (``3 * 4 * x``)."""
    rest = run[len(expression) :]
    if re.search(r"[-+*/(]", rest) or (not rest and re.match(r"\w", after)):
        return False
    try:
        return any(isinstance(node, ast.BinOp) for node in ast.walk(_parse(expression)))
    except ToolError:
        return False


def _parse(expression: str) -> ast.Expression:
    message = f"not an arithmetic expression: {expression[:80]!r}"
    if re.search(r"[^0-9.()+*/% \t-]", expression):
        raise ToolError(message)
    try:
        return ast.parse(expression, mode="eval")
    except (SyntaxError, MemoryError, RecursionError) as exc:  # the last two are the parser's own depth limit
        raise ToolError(message) from exc


def _value(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.Constant(value=int() | float()):  # and not the three dots
            return _bounded(Fraction(ast.get_source_segment(source, node) or ""), source)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, source)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, source)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, source), _value(right, source), source)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left, source), _value(right, source)), source)
    raise ToolError(f"not arithmetic: {ast.unparse(node)[:80]!r} in {source[:80]!r}")


def _power(base: Fraction, exponent: Fraction, source: str) -> Fraction:
    if exponent.denominator != 1:
        raise ToolError(f"{source[:80]!r} has a power that is not whole, so its value is not exact")
    if abs(exponent) * max(base.numerator.bit_length(), base.denominator.bit_length()) > _MOST_BITS:
        raise ToolError(_too_large(source))
    return base ** int(exponent)


def _bounded(value: Fraction, source: str) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise ToolError(_too_large(source))
    return value


def _too_large(source: str) -> str:
    return f"{source[:80]!r} has numbers of more than {_MOST_BITS} bits"
