"""What a run gives: per node, and as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archloom.nodes import Candidate, Candidates
from archloom.orchestrator._ledger import ZERO, Usage


@dataclass(frozen=True)
class Note:
    """Something a node had to say: an unparsed reply, a tie, a policy that was applied."""

    what: str
    fields: Mapping[str, object]


@dataclass(frozen=True)
class NodeOutcome:
    """What one node did.

    Attributes:
        node: Its name.
        candidates: What it gave; empty when it failed.
        usage: Its deployed cost: every distinct sample it used, whoever paid for it.
        start_s: Recorded time at which its inputs were ready, in seconds from the start of the task.
        finish_s: Recorded time at which it was done.
        truncated: A budget kept it from doing all it wanted.
        error: Code of the error that ended it, or ``None``.
        message: The error in words.
        notes: What it noted.
        endings: How many of its calls ended how: a finish reason, a class of failure, or ``late``.
        given: Ids of the candidates that it was given.
        inner: Of a composite node, what the nodes of its bodies did, run after run; ``usage`` and ``endings``
            count them in.
    """

    node: str
    candidates: Candidates = ()
    usage: Usage = ZERO
    start_s: float = 0.0
    finish_s: float = 0.0
    truncated: bool = False
    error: str | None = None
    message: str = ""
    notes: tuple[Note, ...] = ()
    endings: Mapping[str, int] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    inner: tuple[NodeOutcome, ...] = ()

    def walk(self) -> Iterator[NodeOutcome]:
        """All inside this outcome, and then the outcome itself."""
        for outcome in self.inner:
            yield from outcome.walk()
        yield self

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for LangGraph and the run log."""
        return {
            "node": self.node,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "usage": vars(self.usage),
            "start_s": self.start_s,
            "finish_s": self.finish_s,
            "truncated": self.truncated,
            "error": self.error,
            "message": self.message,
            "notes": [{"what": note.what, **note.fields} for note in self.notes],
            "endings": dict(self.endings),
            "given": list(self.given),
            "inner": [outcome.to_json() for outcome in self.inner],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NodeOutcome:
        """The inverse of :meth:`to_json`."""
        return cls(
            node=data["node"],
            candidates=tuple(map(Candidate.from_json, data["candidates"])),
            usage=Usage(**data["usage"]),
            start_s=data["start_s"],
            finish_s=data["finish_s"],
            truncated=data["truncated"],
            error=data["error"],
            message=data["message"],
            notes=tuple(Note(n["what"], {k: v for k, v in n.items() if k != "what"}) for n in data["notes"]),
            endings=data.get("endings", {}),
            given=tuple(data.get("given", ())),
            inner=tuple(map(cls.from_json, data.get("inner", ()))),
        )


@dataclass(frozen=True)
class RunResult:
    """The answer to one task, and how it came to be.

    Attributes:
        task: Id of the task.
        configuration: Id of the configuration.
        candidate: The first candidate of the output node; ``None`` when the run failed.
        usage: Deployed cost: what the task costs with an empty store.
        latency_s: Recorded seconds along the longest path.
        truncated: A budget ended before the work did; the candidate is the best so far.
        error: Code of the error of the node that sank the run, or ``None``.
        message: That error in words.
        nodes: Outcome of each node, in canonical order.
    """

    task: str
    configuration: str
    candidate: Candidate | None
    usage: Usage
    latency_s: float
    truncated: bool
    error: str | None
    message: str
    nodes: tuple[NodeOutcome, ...] = field(repr=False, default=())

    @property
    def endings(self) -> dict[str, int]:
        """How many calls of all nodes ended how."""
        return dict(sum((Counter(outcome.endings) for outcome in self.nodes), Counter[str]()))

    @property
    def text(self) -> str:
        """The answer as written, or the empty string when the run failed."""
        return self.candidate.text if self.candidate else ""

    @property
    def answer(self) -> str | None:
        """The final answer in canonical form; ``None`` when there is none."""
        return self.candidate.answer if self.candidate else None
