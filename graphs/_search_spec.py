"""The ``search:`` block of a document: what to look for, on which tasks, and what it may cost."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from archloom.graphs._topology import Topology
from archloom.nodes import Budget, Spec

Measure: TypeAlias = Literal["score", "tokens", "cost_usd", "latency_s", "calls", "flops", "memory_bytes"]
"""What a configuration is measured by, per task; all but the score are deployed costs. FLOPs and memory traffic are
known where the shape of each model is."""


class Limits(Spec):
    """Highest mean deployed cost per task that a recommended configuration may have."""

    tokens: Annotated[float, Field(gt=0)] | None = None
    """Tokens per task."""
    cost_usd: Annotated[float, Field(gt=0)] | None = None
    """US dollars per task."""
    latency_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds per task along the longest path."""
    calls: Annotated[float, Field(gt=0)] | None = None
    """Model calls per task."""
    flops: Annotated[float, Field(gt=0)] | None = None
    """Floating-point operations per task; each model needs a ``shape``."""
    memory_bytes: Annotated[float, Field(gt=0)] | None = None
    """Bytes read from memory per task, weights and attention; each model needs a ``shape``."""


class Objective(Spec):
    """The best score within limits, or the front of all good trade-offs.

    A failed cell counts as score 0; reports print that rule and the number of failed cells.
    """

    maximize: Literal["score"] = "score"
    """What is to be as high as possible."""
    within: Limits = Limits()
    """Limits of the recommended configuration."""
    pareto: tuple[Measure, ...] = ()
    """Measures of the front; the score is one of them and goes up, the others go down. Empty: no front wanted."""

    @model_validator(mode="after")
    def _front_has_score(self) -> Objective:
        if self.pareto and ("score" not in self.pareto or len(set(self.pareto)) < max(2, len(self.pareto))):
            raise ValueError("'pareto' needs 'score' and at least one other measure, each once")
        return self


class SearchSpec(Spec):
    """How to search; the command line can override each entry."""

    tasks: str | None = None
    """Task set, such as ``reasoning_gym:products?size=80`` or ``questions.jsonl``."""
    search_tasks: Annotated[int, Field(ge=2)] = 40
    """Tasks the search may look at."""
    report_tasks: Annotated[int, Field(ge=2)] = 40
    """Other tasks, which only the final report uses."""
    objective: Objective = Objective(pareto=("score", "tokens"))
    """What to look for."""
    budget: Budget = Budget()
    """Hard limits of the whole search, in charged usage (what the store already has is free)."""
    optimizer: str = "race"
    """Name of an optimizer."""
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Options of the optimizer."""
    seed: int = 0
    """Seed of the split, the optimizer and the samples' order."""
    topology: Topology | None = None
    """Search the graph, too: any DAG of these roles and models, in place of the edges that are written."""
