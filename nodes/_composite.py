"""Composite nodes: nodes with graphs inside, which the engine runs for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, TypeAlias

from pydantic import Field, SerializeAsAny, WithJsonSchema, WrapValidator, field_validator

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._node import Node, Spec
from archloom.nodes._registry import node_types
from archloom.nodes._task import Task
from archloom.nodes.errors import BodyFailedError

INPUT = "input"
"""What a node inside a body comes after to be given what is handed to the body."""


def _by_type(value: object, as_node: Callable[[object], Node]) -> Node:
    """Reads a mapping as the node type it names; errors keep their places inside it."""
    if isinstance(value, Mapping):
        types = node_types()
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in types:
            raise ValueError(f"there is no node type {kind!r}")
        return types[kind].model_validate(value)
    return as_node(value)


AnyNode: TypeAlias = Annotated[SerializeAsAny[Node], WrapValidator(_by_type), WithJsonSchema({"type": "object"})]


class Body(Spec):
    """A graph inside a node. Its nodes can come after ``input``, which is what the node hands to it."""

    nodes: Annotated[dict[str, AnyNode], Field(min_length=1)]
    """Nodes by name, as in a document; one without ``after`` comes after ``input``."""
    output: str
    """The node whose candidates are those of the graph."""

    @field_validator("nodes")
    @classmethod
    def _after_input(cls, nodes: dict[str, Node]) -> dict[str, Node]:
        if INPUT in nodes:
            raise ValueError(f"{INPUT!r} is what the graph is given; no node of it can have that name")
        return {
            name: node if "after" in node.model_fields_set else node.model_copy(update={"after": default_after(node)})
            for name, node in nodes.items()
        }


def default_after(node: Node | type[Node]) -> tuple[str, ...]:
    """What a node of a body comes after when it does not say: the input, unless its type takes none."""
    return (INPUT,) if node.takes else ()


@dataclass(frozen=True)
class Part:
    """A body of a composite node, and how often it runs.

    Attributes:
        label: Name of its runs: ``refine[LABEL].draft``. ``*`` stands for the number of the run, from 1.
        path: Where it stands in the node's YAML.
        body: The graph.
        times: The most runs for one task.
        fewest: The fewest runs, when nothing fails.
        alternative: It is one of several of which a single one runs.
        given: Where the candidates that are handed to it come from: the node's input, and other parts by label.
        gives: What it gives is what the node gives.
    """

    label: str
    path: tuple[str, ...]
    body: Body
    times: int = 1
    fewest: int = 1
    alternative: bool = False
    given: tuple[str, ...] = (INPUT,)
    gives: bool = True

    def run_label(self, turn: int) -> str:
        """Name of one run, by its number from 0."""
        return str(turn + 1) if self.label == "*" else self.label


@dataclass(frozen=True)
class BodyRun:
    """What a run of a body gave.

    Attributes:
        candidates: Those of its output node; empty when it failed.
        truncated: A budget kept it from doing all it wanted.
        error: How it failed, with the code of the inner node that sank it.
    """

    candidates: Candidates = ()
    truncated: bool = False
    error: BodyFailedError | None = None


class Bound(Protocol):
    """Counts one more run of a part in the worst case, and says the most that it can give."""

    def __call__(self, part: Part, given: Candidates, about: Task | None = None) -> Candidates:
        """The most, and the longest, candidates of the part for these, asked about another task if one is named."""


class Composite(Node):
    """A node with graphs inside. Their nodes are checked, drawn, searched, budgeted and stored like all others."""

    needs_input: ClassVar[bool] = False
    bodies_at: ClassVar[tuple[tuple[str, ...], ...]]
    """Where in its YAML bodies stand; ``*`` is any name."""

    @property
    def works_on_input(self) -> bool:
        """It cannot be the first node, whatever is in its bodies."""
        return False

    @property
    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """Its bodies, in the order in which they first run."""

    @abstractmethod
    def worst(self, task: Task, given: Candidates, bound: Bound) -> Candidates:
        """Goes through the dearest run that there can be, and returns the most, and the longest, that it can give."""


def dominating(*options: Candidates) -> Candidates:
    """Stand-ins for whichever of these it will be: as many as the most of them, each as long as the longest."""
    longest = max((one for option in options for one in option), key=_length, default=None)
    if longest is None:
        return ()
    return (longest,) * max(map(len, options))


def _length(candidate: Candidate) -> int:
    return len(candidate.text) + sum(map(len, candidate.critiques))
