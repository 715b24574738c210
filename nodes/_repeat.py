"""Repeat: runs a graph again and again on what it gave, and keeps the best."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, TypeAdapter, WrapValidator

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._composite import Body, Bound, Composite, Part, dominating
from archloom.nodes._context import Context
from archloom.nodes._node import Spec
from archloom.nodes._registry import register
from archloom.nodes._task import Task


class ScoreReached(Spec):
    """A score that is good enough."""

    score: float
    """The best score of the last round is at least this."""


_Named: TypeAlias = Literal["accepted", "executed", "agree", "unchanged"]
_NAMED: TypeAdapter[_Named] = TypeAdapter(_Named)
_RESULTS = {"ok": 2, "empty": 1}
"""Worth of an outcome; failures have none. An empty result is mostly a mistake, but one that can be right."""


def _one_kind(value: object, both: object) -> _Named | ScoreReached:
    """Read as what it is meant to be, so that a mistake is reported once and not once for each kind."""
    del both
    if isinstance(value, dict | ScoreReached):
        return ScoreReached.model_validate(value)
    return _NAMED.validate_python(value)


Until: TypeAlias = Annotated[_Named | ScoreReached, WrapValidator(_one_kind)]


@register("repeat")
class Repeat(Composite):
    """Runs its body up to ``rounds`` times, each time on what the round before gave.

    In round 1 the body is given what the node is given. ``until`` is looked at before each round, the first
    included, so what is good enough already is not touched: ``accepted`` (a verifier or check accepts some
    candidate), ``executed`` (all were run and ended ``ok``), ``agree`` (two or more candidates, one answer),
    ``unchanged`` (the answers of the round before) or ``{score: 0.9}``. Best is what is accepted, then what
    ran and gave a result, then what ran and found nothing (``empty``), then the higher score, then the later round;
    the node's input takes part.

    A first round that fails is a failure of the node. A later one ends the loop with what there is, and the
    log says ``failed_round``; so does a budget that ends. The rounds of one question draw different samples.
    Cost: ``rounds`` times that of the body, at most.
    """

    bodies_at: ClassVar[tuple[tuple[str, ...], ...]] = (("body",),)

    type: Literal["repeat"] = "repeat"
    """Runs a graph again and again on what it gave."""
    rounds: Annotated[int, Field(ge=1, le=64)] = 3
    """The most rounds."""
    until: Until | None = None
    """Stop early when this holds of the last round."""
    carry: Literal["last", "best", "best_and_worst", "all"] = "last"
    """What the next round is given: the last round's candidates, the best one so far, the best and after it the
    worst (left out where nothing tells them apart), or all so far."""
    keep: Literal["last", "best", "all"] = "last"
    """What the node gives in the end: the last round's candidates, the best one of all rounds, or all."""
    body: Body
    """The graph of one round."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its body, once a round."""
        fewest = self.rounds if self.until is None else 1 if self.until == "unchanged" else 0
        return (Part("*", ("body",), self.body, times=self.rounds, fewest=fewest),)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Round after round; the engine runs the body."""
        [part] = self.parts
        rounds: list[Candidates] = [given] if given else []
        for number in range(self.rounds):
            if self._reached(rounds):
                ctx.note("until", rounds=number)
                break
            done = await ctx.run_body(part, self._carried(rounds), turn=number)
            if done.error is not None:
                if number == 0:
                    raise done.error
                ctx.note("failed_round", round=number + 1, error=done.error.failed, message=done.error.message)
                break
            rounds.append(done.candidates)
            if done.truncated:
                break
        return self._kept(rounds)

    def worst(self, task: Task, given: Candidates, bound: Bound) -> Candidates:
        """All rounds, each given the most that :attr:`carry` can hand on."""
        del task
        [part] = self.parts
        rounds = [given] if given else []
        for _ in range(self.rounds):
            seen = tuple(candidate for one in rounds for candidate in one)
            if self.carry == "all":
                carried = seen
            elif self.carry == "last":
                carried = rounds[-1] if rounds else ()
            else:
                carried = dominating(seen)[: 1 if self.carry == "best" else 2]
            rounds.append(bound(part, carried))
        if self.keep == "all":
            return tuple(candidate for one in rounds for candidate in one)
        return dominating(*rounds)[: 1 if self.keep == "best" else None]

    def _reached(self, rounds: Sequence[Candidates]) -> bool:
        last = rounds[-1] if rounds else ()
        match self.until:
            case "accepted":
                return any(candidate.accepted for candidate in last)
            case "executed":
                return bool(last) and all(_ran(candidate) for candidate in last)
            case "agree":
                return len(last) > 1 and len(_answers(last)) == len(last) and len(set(_answers(last))) == 1
            case "unchanged":
                return len(rounds) > 1 and len(_answers(last)) == len(last) and _answers(last) == _answers(rounds[-2])
            case ScoreReached(score=enough):
                return any(candidate.score is not None and candidate.score >= enough for candidate in last)
            case None:
                return False

    def _carried(self, rounds: Sequence[Candidates]) -> Candidates:
        if not rounds or self.carry == "last":
            return rounds[-1] if rounds else ()
        so_far = _each_once(rounds)
        if self.carry == "all":
            return so_far
        best, worst = _best(rounds), min(so_far, key=_quality)
        two = self.carry == "best_and_worst" and _quality(worst) < _quality(best)
        return (best, worst) if two else (best,)

    def _kept(self, rounds: Sequence[Candidates]) -> Candidates:
        if not rounds or self.keep == "last":
            return rounds[-1] if rounds else ()
        return _each_once(rounds) if self.keep == "all" else (_best(rounds),)


def _ran(candidate: Candidate) -> bool:
    return candidate.executed is not None and candidate.executed.outcome == "ok"


def _answers(candidates: Candidates) -> list[str]:
    """What they agree by, in order of value; those without an answer are missing."""
    return sorted(candidate.group for candidate in candidates if candidate.group is not None)


def _each_once(rounds: Sequence[Candidates]) -> Candidates:
    """All candidates in the order in which they came, with what was last said about them."""
    found: dict[str, Candidate] = {}
    for candidate in (candidate for one in rounds for candidate in one):
        found[candidate.id] = candidate
    return tuple(found.values())


def _quality(candidate: Candidate) -> tuple[bool, int, float]:
    found = 0 if candidate.executed is None else _RESULTS.get(candidate.executed.outcome, 0)
    return (bool(candidate.accepted), found, -inf if candidate.score is None else candidate.score)


def _best(rounds: Sequence[Candidates]) -> Candidate:
    """The best; of equals that of the latest round, because it was made knowing the others, and there the first."""
    known = {candidate.id: candidate for candidate in _each_once(rounds)}
    return max((known[candidate.id] for one in reversed(rounds) for candidate in one), key=_quality)
