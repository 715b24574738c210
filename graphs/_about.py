"""What the library says about each of its graphs, beside what the graph is: source, needs, cost, when it helps."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue, StringConstraints, ValidationError

from archloom.graphs._library import library_graph
from archloom.nodes import Spec

TechniqueGroup: TypeAlias = Literal[
    "Voting", "Stopping early", "Selecting", "Verifying", "Refining", "Composing", "Text2SQL", "Archon"
]
Said: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class CallRange(NamedTuple):
    """The fewest and the most calls of one task, where no reply has to be asked for again."""

    fewest: int
    most: int


class About(Spec):
    """The facts of the catalogue. They say nothing about what a workflow does, and are no part of its identity."""

    group: TechniqueGroup
    """Where the catalogue lists it."""
    source: Annotated[Said, StringConstraints(pattern=r"et al\., .+, (19|20)\d\d\.$")]
    """Authors, title and year of what it is taken from."""
    needs: Said
    """What tasks and models must offer."""
    cost: Said
    """Calls of one task in terms of the parameters."""
    calls: CallRange
    """What that comes to with the defaults."""
    helps: Said
    """When it is worth its cost."""
    hurts: Said
    """When it is not, and what to watch for."""


class Parameter(Spec):
    """A value that a use of the graph gives under ``with``."""

    doc: Said
    """What it means."""
    default: JsonValue = None
    """What it is when left out."""

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return "default" not in self.model_fields_set


class Technique(Spec):
    """A graph of the library as the catalogue describes it."""

    name: Said
    """What stands behind ``library/``."""
    doc: Said
    """What it does."""
    parameters: dict[str, Parameter]
    """By name, in the order in which they are listed."""
    about: About
    """Its facts."""


@cache
def library_technique(name: str) -> Technique:
    """What the library says about one of :func:`library_names`.

    Raises:
        ValueError: something is not said, is empty, or is unknown; the message names the file.
    """
    data = library_graph(name)
    described = {key: value for key, value in data.items() if key not in {"archloom", "nodes", "output"}}
    try:
        return Technique.model_validate(described)
    except ValidationError as exc:
        raise ValueError(f"graphs/{name}.yaml: {exc}") from exc
