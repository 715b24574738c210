"""What a report shows, as the caller computed it from the run log."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from archloom.graphs import Drawing

Role: TypeAlias = Literal["winner", "front", "baseline", "tried"]
Amount: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Interval(_Part):
    """A confidence interval, in units of score (0 to 1)."""

    low: float
    high: float


class Row(_Part):
    """One configuration as the page lists it."""

    name: str
    config_id: str
    summary: str = ""
    """The choices made, in words: ``samples 8 · T 0.6 · check``."""
    role: Role
    tasks: Count
    """Held-out tasks with a result."""
    missing: Count = 0
    """Cells without one."""
    score: float | None
    """Mean score on the held-out tasks, 0 to 1; ``None`` where the search dropped it before them."""
    interval: Interval | None = None
    tokens: Amount
    """Deployed, per task; likewise the next three."""
    cost_usd: Amount
    latency_s: Amount
    calls: Amount
    matched: str | None = None
    """The baseline at the same tokens that this configuration is compared with."""
    matched_difference: float | None = None
    """Score minus that baseline's."""
    matched_interval: Interval | None = None
    searched_score: float | None = None
    """Mean score on the search tasks; the selection saw it, so it flatters."""
    searched_tasks: Count = 0


class ConvergencePoint(_Part):
    """The best score on the search tasks once this much had been paid."""

    tokens: Count
    """Charged so far; likewise the cost."""
    cost_usd: Amount
    best_score: float
    cells: Count


class TaskRow(_Part):
    """What each configuration made of one task."""

    id: str
    question: str
    scores: dict[str, float | None]
    """By the configuration's name; ``None`` is a failed cell."""
    answers: dict[str, str] = {}


class Dropped(_Part):
    """A configuration that the search gave up."""

    name: str
    reason: str
    tasks: Count
    """Tasks it had seen by then."""


class ReportData(_Part):
    """Everything the page shows."""

    title: str
    subtitle: str = ""
    created: str
    objective: str
    rule_for_failures: str
    verdict: str
    """One or two sentences: what won, by how much, with intervals, against what."""
    rows: tuple[Row, ...] = ()
    front: tuple[str, ...] = ()
    """Names of the configurations on the Pareto front, as chosen on the search tasks."""
    convergence: tuple[ConvergencePoint, ...] = ()
    winner_drawing: Drawing | None = None
    winner_yaml: str = ""
    heat_note: str = ""
    """What the colours of the drawing mean."""
    tasks: tuple[TaskRow, ...] = ()
    noise_floor: float | None = None
    """By how much the best of equally good configurations would seem to lead, in units of score."""
    noise_floor_note: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_agree(self) -> ReportData:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"two rows share a name: {names}")
        if unknown := set(self.front).difference(names):
            raise ValueError(f"the front names configurations without a row: {sorted(unknown)}")
        return self

    @property
    def winner(self) -> Row | None:
        """The first row with that role."""
        return next((row for row in self.rows if row.role == "winner"), None)

    @property
    def scored(self) -> tuple[str, ...]:
        """Configurations that the per-task table has columns for: those of the rows first, in their order."""
        seen = dict.fromkeys(name for task in self.tasks for name in task.scores)
        listed = [row.name for row in self.rows if row.name in seen]
        return tuple(dict.fromkeys([*listed, *seen]))
