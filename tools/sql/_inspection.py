"""What prompts say of a database, read once in a process: its schema, some values, and an index of its texts."""

from __future__ import annotations

from functools import lru_cache

from archloom.tools.sql._open import open_database
from archloom.tools.sql._render import Samples, sample_values
from archloom.tools.sql._schema import Schema
from archloom.tools.sql._values import ValueIndex

_SCHEMAS, _INDEXES = 256, 32


@lru_cache(maxsize=_SCHEMAS)
def schema_of(location: str) -> Schema:
    """Tables and views of the database at a location.

    Raises:
        ToolError: it cannot be read.
    """
    return open_database(location).schema()


@lru_cache(maxsize=_SCHEMAS)
def samples_of(location: str, each: int) -> Samples:
    """So many values of each column of the database at a location.

    Raises:
        ToolError: it cannot be read.
    """
    return sample_values(open_database(location), schema_of(location), each=each)


@lru_cache(maxsize=_INDEXES)
def values_of(location: str) -> ValueIndex:
    """The texts of the database at a location, to be searched for what a question names.

    Raises:
        ToolError: it cannot be read.
    """
    return ValueIndex.build(open_database(location), schema_of(location))
