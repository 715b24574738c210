"""How an answer came to be: who wrote it, who judged it, who changed it, who chose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from archloom.nodes import Candidate
from archloom.orchestrator._cell import Cell
from archloom.orchestrator._log import AnyEvent, CellObserved, NodeRan
from archloom.orchestrator._outcome import NodeOutcome


@dataclass(frozen=True)
class Judgement:
    """What a node said about a candidate that it did not write.

    Attributes:
        node: Who said it.
        candidate: Id of the candidate.
        score: The new score; ``None`` when it gave none. The other fields are alike.
        accepted: The verdict.
        votes: How many candidates agreed with it.
        critique: What it wrote about it.
        executed: How running it ended.
    """

    node: str
    candidate: str
    score: float | None = None
    accepted: bool | None = None
    votes: int | None = None
    critique: str | None = None
    executed: str | None = None

    def __str__(self) -> str:
        said = [
            *([] if self.accepted is None else ["accepted" if self.accepted else "rejected"]),
            *([] if self.score is None else [f"scored {self.score:.2f}"]),
            *([] if self.votes is None else [f"{self.votes} vote{'s' * (self.votes != 1)}"]),
            *([] if self.executed is None else [f"executed: {self.executed}"]),
            *([] if self.critique is None else ["criticised"]),
        ]
        return ", ".join(said)

    @property
    def empty(self) -> bool:
        """True when it said nothing."""
        return not str(self)


@dataclass(frozen=True)
class Step:
    """What one node did.

    Attributes:
        outcome: All that is known of it.
        wrote: Candidates that are its own.
        judged: What it said about others'.
        passed: Ids of what it handed on.
        dropped: Ids of what it was given and did not hand on, nor rewrite.
    """

    outcome: NodeOutcome
    wrote: tuple[Candidate, ...]
    judged: tuple[Judgement, ...]
    passed: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def answers(self) -> dict[str | None, int]:
        """How many of the candidates that it wrote have which answer, the most frequent first."""
        return dict(Counter(candidate.answer for candidate in self.wrote).most_common())


@dataclass(frozen=True)
class Explanation:
    """One run, told from its end: the answer, what it was made of, and what each node had to do with it.

    Args:
        outcomes: What the nodes did, each after those before it, the output last.
    """

    outcomes: Sequence[NodeOutcome]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What each node did, in order; the nodes of a body before the node that they are in."""
        known: dict[str, Candidate] = {}
        return tuple(_step(outcome, known) for top in self.outcomes for outcome in top.walk())

    @property
    def answer(self) -> Candidate | None:
        """The candidate that the run gave; ``None`` when it failed."""
        last = self.outcomes[-1].candidates if self.outcomes else ()
        return last[0] if last else None

    @cached_property
    def lineage(self) -> tuple[Candidate, ...]:
        """The answer and all that it was made from, each as it was written, the oldest first."""
        written = {candidate.id: candidate for step in self.steps for candidate in step.wrote}
        wanted = [] if self.answer is None else [self.answer.id]
        for id_ in wanted:
            wanted += [parent for parent in written[id_].parents if parent in written and parent not in wanted]
        return tuple(candidate for id_, candidate in written.items() if id_ in wanted)

    def said_of(self, candidate: str) -> Iterator[Judgement]:
        """All judgements of a candidate, in order."""
        return (each for step in self.steps for each in step.judged if each.candidate == candidate)


def _step(outcome: NodeOutcome, known: dict[str, Candidate]) -> Step:
    """What a node did, given the last known form of every candidate before it; brings these up to date."""
    wrote = tuple(each for each in outcome.candidates if each.id not in known)
    judged = tuple(_judgement(outcome.node, known[each.id], each) for each in outcome.candidates if each.id in known)
    passed = {each.id for each in outcome.candidates}
    used = {parent for each in wrote for parent in each.parents}
    known |= {each.id: each for each in outcome.candidates}
    return Step(
        outcome,
        wrote,
        tuple(each for each in judged if not each.empty),
        tuple(each.id for each in outcome.candidates),
        tuple(id_ for id_ in outcome.given if id_ not in passed | used),
    )


def _judgement(node: str, before: Candidate, after: Candidate) -> Judgement:
    new: Mapping[str, object] = {
        name: value
        for name in ("score", "accepted", "votes")
        if (value := getattr(after, name)) != getattr(before, name)
    }
    critiques = after.critiques[len(before.critiques) :]
    executed = after.executed if after.executed != before.executed else None
    return Judgement(
        node,
        after.id,
        **new,  # type: ignore[arg-type]  # fields of the same name and type
        critique="\n\n".join(critiques) or None,
        executed=executed.outcome if executed else None,
    )


@dataclass(frozen=True)
class LoggedRun:
    """A run of one configuration on one task, as the log of an evaluation or a search has it.

    Attributes:
        cell: Its result.
        outcomes: What each node did.
    """

    cell: Cell
    outcomes: tuple[NodeOutcome, ...]


def logged_runs(events: Iterable[AnyEvent]) -> tuple[LoggedRun, ...]:
    """The runs whose nodes a log tells about, in the order of their cells; of a run that was done again the last."""
    cells: dict[tuple[str, str], Cell] = {}
    nodes: dict[tuple[str, str], dict[str, NodeOutcome]] = {}
    for event in events:
        if isinstance(event, CellObserved):
            cell = Cell(**event.cell)
            cells[cell.config, cell.task] = cell
        elif isinstance(event, NodeRan) and event.config is not None:
            outcome = NodeOutcome.from_json(event.outcome)
            nodes.setdefault((event.config, event.task), {})[outcome.node] = outcome
    return tuple(LoggedRun(cells[key], tuple(nodes[key].values())) for key in cells if key in nodes)
