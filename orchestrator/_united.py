"""What reaches a node: the candidates of its predecessors, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archloom.nodes import Candidate, Candidates
from archloom.orchestrator._outcome import NodeOutcome


def united(parents: Sequence[NodeOutcome]) -> Candidates:
    """All their candidates in order. One that came by several ways is one, with all that was said about it."""
    found: dict[str, Candidate] = {}
    for candidate in (candidate for parent in parents for candidate in parent.candidates):
        known = found.get(candidate.id)
        found[candidate.id] = candidate if known is None else _merged(known, candidate)
    return tuple(found.values())


def _merged(first: Candidate, second: Candidate) -> Candidate:
    """One candidate with the annotations of both; where both were judged, the second judgement counts."""
    new = tuple(critique for critique in second.critiques if critique not in first.critiques)
    both = replace(first, critiques=first.critiques + new)
    return both.annotated(
        score=second.score,
        accepted=second.accepted,
        votes=second.votes,
        support=second.support,
        executed=second.executed,
    )
