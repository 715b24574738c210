"""SQL: queries of unknown origin run safely, results compared, schemas and values found for prompts."""

from archloom.tools.sql._database import (
    Database,
    Dialect,
    FailureKind,
    Row,
    Rows,
    SqlFailure,
    SqlLimits,
    SqlResult,
    Value,
)
from archloom.tools.sql._find import find_sql
from archloom.tools.sql._key import result_key
from archloom.tools.sql._open import open_database
from archloom.tools.sql._pool import WorkerPool
from archloom.tools.sql._postgres import PostgresDatabase
from archloom.tools.sql._render import Samples, approximate_tokens, quoted, render_schema, sample_values
from archloom.tools.sql._schema import Column, ColumnRef, ForeignKey, Schema, Table
from archloom.tools.sql._sqlite import SQLiteDatabase
from archloom.tools.sql._statements import Statement, is_ordered, read_statement
from archloom.tools.sql._values import ValueIndex, ValueMatch

__all__ = [
    "Column",
    "ColumnRef",
    "Database",
    "Dialect",
    "FailureKind",
    "ForeignKey",
    "PostgresDatabase",
    "Row",
    "Rows",
    "SQLiteDatabase",
    "Samples",
    "Schema",
    "SqlFailure",
    "SqlLimits",
    "SqlResult",
    "Statement",
    "Table",
    "Value",
    "ValueIndex",
    "ValueMatch",
    "WorkerPool",
    "approximate_tokens",
    "find_sql",
    "is_ordered",
    "open_database",
    "quoted",
    "read_statement",
    "render_schema",
    "result_key",
    "sample_values",
]
