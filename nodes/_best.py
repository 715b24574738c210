"""Best: the candidates with the highest number, without asking a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._markers import doubts
from archloom.nodes._node import Node
from archloom.nodes._registry import register
from archloom.nodes._selection import Voter, voters, worth
from archloom.nodes._task import Task


@register("best")
class Best(Node):
    """Orders candidates by something they carry and keeps the first ones.

    ``score`` is what a verifier, ranker or scorer gave (best-of-N), ``logprob`` the mean token log-probability,
    ``shortest`` and ``longest`` go by completion tokens, and ``markers`` by few doubts: length, hedging and thinking
    words, standardised within the task (Wang et al., Think Deep, Think Fast, 2025). ``agreement`` is the mean
    similarity of its text to the others' (minimum Bayes risk, with the normalised edit similarity as utility), for
    answers in free text that cannot be voted on.

    Candidates without an answer never win; when none has one, all pass on unchanged and the log says
    ``no_consensus``. One without the number is not 0: it comes after those that have it and is noted as ``unscored``;
    when none has it, all pass on unchanged. Ties go to the higher score, then fewer tokens, then draw order, and are
    noted. Cost: no calls.
    """

    type: Literal["best"] = "best"
    """Keeps the candidates with the highest number."""
    by: Literal["score", "logprob", "shortest", "longest", "markers", "agreement"] = "score"
    """What is compared."""
    keep: Annotated[int, Field(ge=1)] = 1
    """How many are passed on, best first."""

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Compares and cuts."""
        able = voters(given, ctx)
        if not able:
            return given
        numbers = self._numbers(able)
        known = {voter.place: number for voter, number in zip(able, numbers, strict=True) if number is not None}
        if len(known) < len(able):
            ctx.note("unscored", by=self.by, candidates=len(able) - len(known))
        if not known:
            return given
        ranked = sorted(able, key=lambda voter: (-known.get(voter.place, -math.inf), voter.tie_key))
        kept, rest = ranked[: self.keep], ranked[self.keep :]
        if rest and known.get(rest[0].place) == known.get(kept[-1].place):
            ctx.note("tie", by=self.by, candidates=[kept[-1].candidate.id, rest[0].candidate.id])
        return tuple(voter.candidate for voter in kept)

    def _numbers(self, able: Sequence[Voter]) -> Sequence[float | None]:
        match self.by:
            case "score" | "logprob":
                return [worth(voter.candidate, self.by) for voter in able]
            case "shortest":
                return [-float(voter.candidate.tokens) for voter in able]
            case "longest":
                return [float(voter.candidate.tokens) for voter in able]
            case "markers":
                return [-doubt for doubt in doubts([voter.candidate for voter in able])]
            case "agreement":
                return agreements([voter.candidate.text for voter in able])


def agreements(texts: Sequence[str]) -> list[float]:
    """Mean similarity of each text to the others, 0 to 1; 1 for a text alone. A text is not compared with itself."""
    from rapidfuzz import fuzz, process  # takes longer to import than a document without it takes to check

    if len(texts) == 1:
        return [1.0]
    table = process.cdist(texts, texts, scorer=fuzz.ratio)
    return [round((float(row.sum()) - 100.0) / (100.0 * (len(texts) - 1)), 6) for row in table]
