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
    flops: Amount | None = None
    """``None`` unless the shape of every model is known; likewise the memory traffic."""
    memory_bytes: Amount | None = None
    matched: str | None = None
    """The baseline at the same tokens that this configuration is compared with."""
    matched_difference: float | None = None
    """Score minus that baseline's."""
    matched_interval: Interval | None = None
    matched_p_value: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of the exact McNemar test; ``None`` where some score is neither 0 nor 1."""
    may_be_best: bool | None = None
    """Whether the held-out tasks leave it open that no other configuration of the search is better."""
    searched_score: float | None = None
    """Mean score on the search tasks; the selection saw it, so it flatters."""
    corrected_score: float | None = None
    """The same with the flattery taken out: what it promises on other tasks."""
    searched_tasks: Count = 0


class ConvergencePoint(_Part):
    """What the search would have recommended once this much had been paid."""

    tokens: Count
    """Charged so far; likewise the cost."""
    cost_usd: Amount
    best_score: float
    """Of that configuration on the search tasks, by all that is known in the end."""
    cells: Count
    hypervolume: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of all trade-offs that the front covered then, between a score of 0 at the highest cost of any observed
    configuration and a score of 1 for nothing, likewise; ``None`` where no front was wanted."""


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


class Effect(_Part):
    """How much one choice of the space matters by itself."""

    choice: str
    share: float
    """Of the variance between configurations, 0 to 1."""
    share_interval: Interval
    best: str
    """The option with the highest mean score, and likewise the lowest."""
    worst: str
    gap: float
    """Mean score with the one minus that with the other."""
    gap_interval: Interval


class Ablation(_Part):
    """The winner without one of its nodes, on the held-out tasks."""

    node: str
    score: float
    lost: float
    """Score of the winner minus this one."""
    interval: Interval
    tokens: Amount
    """Deployed, per task."""


class Judge(_Part):
    """A node that accepts or rejects candidates, against the truth."""

    node: str
    configuration: str
    """In which it judged them."""
    right: Count
    """Right candidates that it judged."""
    wrong: Count
    hit: float | None
    """Share of the right ones that it accepted."""
    hit_interval: Interval | None = None
    false_alarm: float | None
    """Share of the wrong ones that it accepted."""
    false_alarm_interval: Interval | None = None
    limit: Count | None = None
    """Samples after which a further acceptance is more likely wrong than right; ``None`` where there is no such
    number, or a rate is not known."""


class Scaling(_Part):
    """How the score of one family of configurations grows with its tokens."""

    family: str
    """What its members share; they differ in one choice."""
    choice: str
    points: Count
    lowest: Amount
    """Tokens per task of the cheapest member, and likewise the dearest."""
    highest: Amount
    ceiling: float
    """Score that the fitted law tends to."""
    error: Amount
    """Root mean square distance of the points from the law, in units of score."""
    saturation: Amount | None
    """Tokens per task from which doubling them gains less than a point; ``None`` where none of the members is
    there."""


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
    cost_models: tuple[tuple[str, str], ...] = ()
    """How the calls of each model are priced, and what their FLOPs follow from, by the model's name."""
    importance: tuple[Effect, ...] = ()
    """The choices of the space, the one that matters most first."""
    ablations: tuple[Ablation, ...] = ()
    """Of the winner's nodes; those whose ablation would have needed new samples are not here."""
    judges: tuple[Judge, ...] = ()
    scaling: tuple[Scaling, ...] = ()
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
