"""Errors of running: models, stores, runs."""

from __future__ import annotations

from typing import Literal, TypeAlias

from archloom.tools.errors import ArchloomError, UsageError

FailureClass: TypeAlias = Literal[
    "timeout",
    "stall",
    "rate_limit",
    "server",
    "connection",
    "malformed",
    "empty",
    "auth",
    "bad_request",
    "context_length",
    "content_filter",
    "budget",
]

RETRYABLE: frozenset[str] = frozenset({"timeout", "stall", "rate_limit", "server", "connection", "malformed", "empty"})
"""Classes of failure that may pass by themselves."""


class ModelCallError(ArchloomError):
    """One request to a model failed.

    Attributes:
        failure: Class of the failure; decides whether it is tried again.
        retry_after_s: What the server asked us to wait, if it did.
        used: Prompt and completion tokens that the server says the failed call used; ``None`` when it does not say.
    """

    code = "E300"

    def __init__(
        self,
        message: str,
        *,
        failure: FailureClass,
        retry_after_s: float | None = None,
        used: tuple[int, int] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.failure: FailureClass = failure
        self.retry_after_s = retry_after_s
        self.used = used


class ModelUnavailableError(ArchloomError):
    """A model cannot be used at all: no weights, no engine, nothing answers at its address."""

    code = "E301"


class ChecksumError(ModelUnavailableError):
    """Downloaded or stored weights are not the bytes the registry names."""

    code = "E302"


class ReplayMissError(ArchloomError):
    """A replay needs a sample that the store does not hold."""

    code = "E311"
    exit_code = 2


class StoreError(ArchloomError):
    """The sample store cannot be read or written."""

    code = "E310"


class RunLogError(ArchloomError):
    """A run folder holds something else than this run, or its log cannot be read."""

    code = "E320"
    exit_code = 2


class OpenChoicesError(UsageError):
    """A workflow with holes cannot be run; search it, or set the choices."""

    code = "E032"


class SearchBudgetError(ArchloomError):
    """The budget of the whole search or evaluation is used up; what was observed is kept."""

    code = "E330"
    exit_code = 3
