"""What a user probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_FEW = 12


def suggest(word: str, known: Iterable[str]) -> str | None:
    """A hint for an unknown name: the one most like it, else all that are known when those are few."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known are {', '.join(names)}." if 0 < len(names) <= _FEW else None
