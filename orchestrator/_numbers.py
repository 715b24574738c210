"""Figures as people read them. One rule for each kind, so that no two tables disagree."""

from __future__ import annotations

from math import floor, log10

MINUS = "\u2212"


def number(value: float) -> str:
    """Three significant digits or all of the integer part: ``1,204``, ``12.4``, ``0.00012``, ``8``."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return _signed(f"{value:,.0f}")
    if size >= 1:
        return _signed(f"{value:.{1 if size >= 10 else 2}f}")
    return _signed(f"{value:.{1 - floor(log10(size))}f}")


def percent(score: float) -> str:
    """A score from 0 to 1 in percent, without the sign: ``95.8``, ``100``."""
    text = f"{100 * score:.1f}"
    return _signed("100" if text == "100.0" else text)


def points(difference: float) -> str:
    """A difference of scores in percentage points: ``+10.4``, ``−3.1``, ``0.0``."""
    text = f"{100 * difference:+.1f}"
    return _signed("0.0" if text in {"+0.0", "-0.0"} else text)


def _signed(text: str) -> str:
    return text.replace("-", MINUS)
