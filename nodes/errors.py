"""Errors of nodes."""

from __future__ import annotations

from archloom.tools.errors import ArchloomError


class NodeError(ArchloomError):
    """A node could not give what its spec promises; the cell is recorded as failed."""

    code = "E400"


class TooFewSamplesError(NodeError):
    """Fewer samples came back than the node's ``min_success``."""

    code = "E401"


class NoCandidatesError(NodeError):
    """A node that works on candidates was given none."""

    code = "E402"


class UnparsedError(NodeError):
    """A model's reply did not parse, re-asks included, and the node's policy is ``fail``."""

    code = "E403"


class BudgetReachedError(NodeError):
    """A hard limit leaves no room for another call."""

    code = "E410"


class BodyFailedError(NodeError):
    """A body of a composite node failed; a run records the failure of the inner node that sank it.

    Attributes:
        failed: Code of that failure.
    """

    code = "E405"

    def __init__(self, failed: str, message: str) -> None:
        super().__init__(message)
        self.failed = failed
