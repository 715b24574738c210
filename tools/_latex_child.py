"""The worker process of :mod:`archloom.tools._latex`: reads mathematics that a model wrote.

Reading and simplifying an expression may take for ever, or all memory, so it happens here, where it can be killed.
Only LaTeX is read: the reader of plain Python expressions would evaluate them.
"""

from __future__ import annotations

import json
import logging
import resource
import sys

from math_verify import LatexExtractionConfig, parse, verify  # type: ignore[import-untyped]
from sympy import Basic, Eq, Expr, I, MatrixBase, Rational, Symbol, expand, latex, simplify  # type: ignore[import-untyped]

MEMORY_BYTES = 2 << 30
_READ = [LatexExtractionConfig(boxed_match_priority=0)]


def read(text: str) -> list[object]:
    """What a LaTeX text stands for, and the text itself; empty when it cannot be read.

    Symbols lose the assumptions that the reader makes by their surroundings, which would tell ``6-5i`` from
    ``6 - 5 i``; and ``i`` is the imaginary unit. Of ``x = 5`` it is the right-hand side that counts.
    """
    found = parse(f"\\boxed{{{text}}}", extraction_config=_READ, parsing_timeout=None)
    return [_plain(value) if isinstance(value, Basic) else value for value in found]


def _plain(value: Basic) -> Basic:
    if isinstance(value, Eq) and isinstance(value.lhs, Symbol):
        value = value.rhs
    names = {symbol: I if symbol.name == "i" else Symbol(symbol.name) for symbol in value.atoms(Symbol)}
    return value.xreplace(names)


def canonical(text: str) -> str | None:
    """One way to write what this LaTeX stands for."""
    value = next(iter(read(text)), None)
    if isinstance(value, Symbol) and len(value.name) > 1 and value.name.isalpha():
        value = value.name
    if isinstance(value, str):
        return f"\\text{{{value.strip()}}}" if value.strip() else None
    if isinstance(value, Expr):
        value = expand(value) if value.free_symbols and value.is_polynomial() else simplify(value)
    if isinstance(value, Rational):
        return f"{value.p}/{value.q}"
    return str(latex(value)) if isinstance(value, Basic | MatrixBase) else None


def same(gold: str, answer: str) -> bool:
    """Whether an answer stands for what the reference answer stands for (math-verify)."""
    return bool(verify(read(gold), read(answer), timeout_seconds=None))


def main() -> None:
    """Answers until there are no more requests."""
    logging.disable(logging.CRITICAL)  # they say at each call that there is no time limit here: the parent has it
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    out = sys.stdout.buffer
    while head := sys.stdin.buffer.read(8):
        request = json.loads(sys.stdin.buffer.read(int.from_bytes(head)))
        try:
            reply: object = canonical(*request) if len(request) == 1 else same(*request)
        except (MemoryError, RecursionError):
            reply = None
        data = json.dumps(reply).encode()
        out.write(len(data).to_bytes(8) + data)
        out.flush()


if __name__ == "__main__":
    main()
