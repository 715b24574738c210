"""One error out of an exception group."""

from __future__ import annotations

from archloom.tools.errors import ArchloomError


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain exception of a group: archloom's own errors before foreign ones."""
    leaves: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        else:
            leaves.append(current)
    return next((leaf for leaf in leaves if isinstance(leaf, ArchloomError)), leaves[0])
