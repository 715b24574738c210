"""Where a workflow file comes from, in its head."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from archloom.graphs import SearchSpec
from archloom.orchestrator import Cell, cells_file
from archloom.orchestrator.report import Row
from archloom.tasks import TaskSet


@dataclass(frozen=True)
class Provenance:
    """What all files of one search have in common; the same in every replay, so nothing that depends on the store.

    Attributes:
        spec: How it was searched.
        search: Tasks that the search saw.
        report: Tasks that only the report saw.
        versions: Of archloom and what its results depend on, as the run log has them.
        cells: All observed cells.
    """

    spec: SearchSpec
    search: TaskSet
    report: TaskSet
    versions: Mapping[str, str]
    cells: Sequence[Cell]

    def of(self, row: Row) -> str:
        """The lines for one configuration.

        The cost is the deployed cost of all cells: what they would cost one by one. What was charged is less, for
        samples are shared, and nothing at all in a replay; the report has it.
        """
        score = "not compared on held-out tasks"
        if row.score is not None and row.interval is not None:
            low, high = row.interval.low, row.interval.high
            score = f"score {row.score:.3f} [{low:.3f}, {high:.3f}] on {row.tasks} held-out tasks"
            score += f", {row.tokens:.1f} tokens per task"
        tokens, cost_usd = sum(cell.tokens for cell in self.cells), fsum(cell.cost_usd for cell in self.cells)
        digest = hashlib.sha256(cells_file(list(self.cells))).hexdigest()
        return "\n".join(
            (
                f"Found by archloom search: {row.name}",
                score,
                f"tasks: {self.spec.tasks}",
                f"digests: search {self.search.digest[:16]}, report {self.report.digest[:16]}",
                f"optimizer {self.spec.optimizer}, seed {self.spec.seed}, configuration {row.config_id}",
                f"evidence: {len(self.cells):,} cells, sha256 of cells.jsonl {digest[:16]}",
                f"cost of these cells one by one: {tokens:,} tokens, ${cost_usd:.4f}; shared samples are paid once",
                "versions: " + ", ".join(f"{name} {version}" for name, version in self.versions.items()),
            )
        )
