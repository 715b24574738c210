"""SQL: queries of unknown origin run safely, results compared, schemas and values found for prompts."""

from archloom.tools.sql._canonical import canonical_sql, stated_query
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
from archloom.tools.sql._inspection import samples_of, schema_of, values_of
from archloom.tools.sql._key import result_key
from archloom.tools.sql._open import open_database
from archloom.tools.sql._pool import QueryPool
from archloom.tools.sql._postgres import PostgresDatabase
from archloom.tools.sql._render import Samples, approximate_tokens, quoted, render_schema, sample_values
from archloom.tools.sql._schema import Column, ColumnRef, ForeignKey, Schema, Table
from archloom.tools.sql._show import LONGEST_SHOWN, show_result
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
    "LONGEST_SHOWN",
    "PostgresDatabase",
    "QueryPool",
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
    "approximate_tokens",
    "canonical_sql",
    "find_sql",
    "is_ordered",
    "open_database",
    "quoted",
    "read_statement",
    "render_schema",
    "result_key",
    "sample_values",
    "samples_of",
    "schema_of",
    "show_result",
    "stated_query",
    "values_of",
]
