"""Databases by where they are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from archloom.tools.sql._database import Database
from archloom.tools.sql._postgres import PostgresDatabase
from archloom.tools.sql._sqlite import SQLiteDatabase

_OPEN = 64
_POSTGRES = ("postgresql://", "postgres://")


@lru_cache(maxsize=_OPEN)
def open_database(location: str) -> Database:
    """The database at a location: the path of an SQLite file, or a ``postgresql://`` URL.

    Nothing is read yet: that a database is missing shows when it is first used.
    """
    if location.startswith(_POSTGRES):
        return PostgresDatabase(location)
    return SQLiteDatabase(Path(location))
