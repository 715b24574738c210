"""Scorers: how good an answer is, from 0 to 1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, Protocol

from archloom.tools import UsageError, canonical_answer, same_latex, suggest


@dataclass(frozen=True)
class Target:
    """What an answer is scored against; no node ever sees it.

    Attributes:
        answer: The reference answer in canonical form; ``None`` where there is no single one.
        data: What else a scorer needs.
    """

    answer: str | None
    data: Mapping[str, object] = field(default_factory=dict)


class Scorer(Protocol):
    """Scores an answer. A text without a readable answer is a wrong answer, and no failure.

    A scorer that takes its time (it runs queries or programs) has an attribute ``blocking`` that is true; it is then
    called from threads, several at once.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """From 0 (wrong) to 1 (right).

        Args:
            candidate_answer: The answer read out of the text, canonical; ``None`` when none was found.
            candidate_text: The text itself.
            target: What it is compared with.
        """


@dataclass(frozen=True)
class Exact:
    """1 when the canonical answers are the same text."""

    name: ClassVar[str] = "exact"

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Compares texts."""
        return float(candidate_answer is not None and candidate_answer == target.answer)


@dataclass(frozen=True)
class Numeric:
    """1 when the numbers are equal, as exact fractions.

    Attributes:
        tolerance: Largest absolute difference that is still right.
    """

    name: ClassVar[str] = "numeric"
    tolerance: Fraction = Fraction(0)

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Compares numbers; what is no number is wrong."""
        given = canonical_answer(candidate_answer or "", "number")
        wanted = canonical_answer(target.answer or "", "number")
        if given is None or wanted is None:
            return 0.0
        return float(abs(Fraction(given) - Fraction(wanted)) <= self.tolerance)


@dataclass(frozen=True)
class Choice:
    """1 when the same letter or digit is chosen."""

    name: ClassVar[str] = "choice"

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Compares choices."""
        given = canonical_answer(candidate_answer or "", "choice")
        return float(given is not None and given == canonical_answer(target.answer or "", "choice"))


@dataclass(frozen=True)
class Regex:
    """1 when the target, a regular expression, occurs in the text."""

    name: ClassVar[str] = "regex"

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Searches the whole text, so that an answer need not be read out of it."""
        return float(target.answer is not None and re.search(target.answer, candidate_text) is not None)


@dataclass(frozen=True)
class Latex:
    """1 when both stand for the same by math-verify; what cannot be read, or compared in five seconds, is wrong."""

    name: ClassVar[str] = "latex"
    blocking: ClassVar[bool] = True

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Compares formulas."""
        if candidate_answer is None or target.answer is None:
            return 0.0
        return float(same_latex(target.answer, candidate_answer))


_SCORERS: dict[str, Scorer] = {scorer.name: scorer for scorer in (Exact(), Numeric(), Choice(), Latex(), Regex())}


def scorer_names() -> tuple[str, ...]:
    """Names of the built-in scorers."""
    return tuple(sorted(_SCORERS))


def scorer(name: str) -> Scorer:
    """The scorer of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in _SCORERS:
        raise UsageError(f"there is no scorer {name!r}.", hint=suggest(name, _SCORERS))
    return _SCORERS[name]
