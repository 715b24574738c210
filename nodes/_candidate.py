"""A candidate: one proposal, and what was said about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["answer", "plan", "tests", "observation", "subtask", "document", "patch"]
"""What a candidate is. A node's spec says which kinds it takes and gives, so edges are checked before a run."""


@dataclass(frozen=True)
class Executed:
    """What came of it when a candidate's query or program was run.

    Attributes:
        outcome: ``ok``, or how it failed in the words of the tool that ran it.
        key: Equal for equal results; ``None`` when there is no result.
        shown: The result, or the error, as a prompt shows it.
    """

    outcome: str
    key: str | None = None
    shown: str = ""


@dataclass(frozen=True)
class Candidate:
    """One proposal of a node.

    The annotations (``score``, ``critiques``, ``accepted``, ``votes``, ``executed``) belong to this id. A node that
    rewrites the text makes a new candidate, which starts without them: a critique of a text that is gone is never kept.

    Attributes:
        id: ``node#index`` of the node that made it; unique in a run.
        text: What was written.
        answer: The final answer read out of the text in its canonical form; ``None`` when none was found.
        kind: What it is; mostly ``answer``.
        parents: Ids of the candidates it was made from.
        tokens: Completion tokens spent on writing it.
        complete: False when the text was cut by ``max_tokens`` or interrupted by ``pause``.
        logprob: Mean token log-probability, where the model gave one.
        tool_calls: Calls of the task's tools that it wants made.
        score: Higher is better; ``None`` when nobody scored it.
        critiques: What critics wrote about it, oldest first.
        accepted: Verdict of the last verifier or check; ``None`` when there was none.
        votes: How many candidates gave its answer, after a vote.
        support: Share of the vote that its answer got, 0 to 1.
        executed: What came of it when it was run; ``None`` when it was not.
    """

    id: str
    text: str
    answer: str | None = None
    kind: Kind = "answer"
    parents: tuple[str, ...] = ()
    tokens: int = 0
    complete: bool = True
    logprob: float | None = None
    tool_calls: tuple[Mapping[str, object], ...] = ()
    score: float | None = None
    critiques: tuple[str, ...] = ()
    accepted: bool | None = None
    votes: int | None = None
    support: float | None = None
    executed: Executed | None = None

    @property
    def group(self) -> str | None:
        """What it agrees with others by; ``None`` agrees with nobody.

        The result of its execution where it was run, the tools that it calls where it calls some (in any order of the
        calls and of their arguments), else its answer.
        """
        if self.executed is not None:
            return self.executed.key
        return _called(self.tool_calls) if self.tool_calls else self.answer

    def annotated(
        self,
        *,
        score: float | None = None,
        critique: str | None = None,
        accepted: bool | None = None,
        votes: int | None = None,
        support: float | None = None,
        executed: Executed | None = None,
    ) -> Candidate:
        """The same proposal with what was just learnt about it; fields not given stay as they are."""
        return replace(
            self,
            score=self.score if score is None else score,
            critiques=self.critiques if critique is None else (*self.critiques, critique),
            accepted=self.accepted if accepted is None else accepted,
            votes=self.votes if votes is None else votes,
            support=self.support if support is None else support,
            executed=self.executed if executed is None else executed,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the run log and LangGraph checkpoints."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidate:
        """The inverse of :meth:`to_json`; a list where a tuple was is accepted."""
        tuples = {name: tuple(data[name]) for name in ("parents", "critiques", "tool_calls") if name in data}
        executed = data.get("executed")
        run = Executed(**executed) if isinstance(executed, Mapping) else executed
        return cls(**{**data, **tuples, "executed": run})


Candidates: TypeAlias = tuple[Candidate, ...]


def _called(calls: Sequence[Mapping[str, object]]) -> str | None:
    """The calls in one canonical form; ``None`` when the arguments of one are no JSON."""
    canonical = []
    for call in calls:
        function = call.get("function")
        if not isinstance(function, Mapping):
            return None
        try:
            arguments = json.loads(str(function.get("arguments") or "{}"))
        except ValueError:
            return None
        canonical.append(json.dumps([function.get("name"), arguments], sort_keys=True))
    return "\n".join(sorted(canonical))
