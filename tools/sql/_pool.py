"""The pool of warm worker processes for queries that may try anything; see ``_child.py``."""

from __future__ import annotations

import atexit
import os
from functools import cache
from pathlib import Path

from archloom.tools._workers import WorkerPool

_CHILD = Path(__file__).with_name("_child.py")


class QueryPool(WorkerPool):
    """Workers that query SQLite databases.

    Args:
        size: How many work at once; further requests wait.
    """

    def __init__(self, size: int) -> None:
        super().__init__(_CHILD, size)


@cache
def shared_pool() -> QueryPool:
    """The pool of this process, a worker for each core; stopped when the process ends."""
    pool = QueryPool(os.cpu_count() or 1)
    atexit.register(pool.close)
    return pool
