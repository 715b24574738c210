"""Errors of searching."""

from __future__ import annotations

from archloom.tools.errors import ArchloomError, UsageError


class SearchError(ArchloomError):
    """A search cannot go on."""

    code = "E600"


class NoEvidenceError(SearchError):
    """Nothing has been observed yet, so nothing can be recommended."""

    code = "E601"


class SpaceTooLargeError(SearchError):
    """A space has too many points to list them."""

    code = "E602"


class EmptySpaceError(UsageError):
    """The construction rules forbid every point of a space, or no point was found that they allow."""

    code = "E603"


class UnknownConfigurationError(SearchError):
    """A cell belongs to a configuration that this space has not seen."""

    code = "E604"


class UnknownTaskError(SearchError):
    """A cell belongs to a task that is not among the tasks of this search."""

    code = "E605"


class UnknownOptimizerError(UsageError):
    """There is no optimizer of this name."""

    code = "E606"


class OptimizerOptionsError(UsageError):
    """An optimizer does not have such an option, or not with this value."""

    code = "E607"


class TableError(UsageError):
    """A published table cannot be read."""

    code = "E608"
