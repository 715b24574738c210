"""A cell: the result of one configuration on one task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from archloom.graphs import Measure
from archloom.orchestrator._outcome import RunResult

FAILED_SCORE = 0.0
FAILURE_RULE = "A failed cell counts as score 0, and what it used counts as cost. Cells never observed count nowhere."
"""How failures enter every figure; reports print it beside the number of failed cells."""


@dataclass(frozen=True)
class Cell:
    """What one configuration did on one task, at deployed cost.

    Attributes:
        config: Id of the configuration.
        task: Id of the task.
        score: 0 to 1; ``None`` when the run failed. A failure is never silently a wrong answer.
        tokens: Prompt and completion tokens of all its calls.
        cost_usd: Their price.
        latency_s: Recorded seconds along the longest path.
        calls: Model calls.
        answer: The final answer in canonical form.
        error: Code of the failure.
        truncated: A budget ended before the work did.
        replicate: Which independent repetition this is.
        flops: Floating-point operations of all its calls; ``None`` unless the shape of every model is known.
        memory_bytes: Bytes that they read from memory; known when the FLOPs are.
        endings: How many calls did not end by themselves, by how they ended: ``length``, ``empty``, ``late``, a class
            of failure.
    """

    config: str
    task: str
    score: float | None
    tokens: int
    cost_usd: float
    latency_s: float
    calls: int
    answer: str | None = None
    error: str | None = None
    truncated: bool = False
    replicate: int = 0
    flops: float | None = None
    memory_bytes: float | None = None
    endings: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, result: RunResult, score: float | None, *, replicate: int = 0, shapes_known: bool = False) -> Cell:
        """The cell of a run with this score.

        Args:
            result: The run.
            score: Its score; ``None`` when it failed.
            replicate: Which independent repetition it is.
            shapes_known: The shape of every model that it may have used is known, so its FLOPs are all counted.
        """
        return cls(
            config=result.configuration,
            task=result.task,
            score=score,
            tokens=result.usage.tokens,
            cost_usd=round(result.usage.cost_usd, 12),
            latency_s=round(result.latency_s, 6),
            calls=result.usage.calls,
            answer=result.answer,
            error=result.error,
            truncated=result.truncated,
            replicate=replicate,
            flops=round(result.usage.flops) if shapes_known else None,
            memory_bytes=round(result.usage.memory_bytes) if shapes_known else None,
            endings={how: count for how, count in sorted(result.endings.items()) if how != "stop"},
        )

    @property
    def failed(self) -> bool:
        """True when there is no score."""
        return self.score is None

    @property
    def value(self) -> float:
        """The score, or what a failed cell counts as."""
        return FAILED_SCORE if self.score is None else self.score

    def measure(self, measure: Measure) -> float:
        """The value of a measure; the score of a failed cell is 0, and what is not known is NaN."""
        value = self.value if measure == "score" else getattr(self, measure)
        return math.nan if value is None else float(value)

    @property
    def key(self) -> tuple[str, str, int]:
        """Which cell it is."""
        return (self.config, self.task, self.replicate)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def cells_file(cells: list[Cell]) -> bytes:
    """Cells as JSON lines in one fixed order: equal cells give equal bytes, in whatever order they came."""
    ordered = sorted(cells, key=lambda cell: cell.key)
    return b"".join(orjson.dumps(cell.to_json(), option=orjson.OPT_SORT_KEYS) + b"\n" for cell in ordered)
