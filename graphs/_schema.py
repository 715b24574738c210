"""The JSON schema of workflow documents, with all installed node types, for editors."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import TypeAdapter

from archloom.graphs._library import library_names
from archloom.graphs._models import ModelSpec
from archloom.graphs._search_spec import SearchSpec
from archloom.nodes import Budget, node_types
from archloom.tools import AnswerFormat

_HOLES: dict[str, Any] = {
    "choose": {
        "type": "object",
        "additionalProperties": False,
        "required": ["choose"],
        "description": "One of these.",
        "properties": {"choose": {"type": "array", "minItems": 1, "uniqueItems": True}},
    },
    "range": {
        "type": "object",
        "additionalProperties": False,
        "required": ["range", "step"],
        "description": "A number between two bounds.",
        "properties": {
            "range": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            "step": {"type": "number", "exclusiveMinimum": 0},
        },
    },
    "subset": {
        "type": "object",
        "additionalProperties": False,
        "required": ["subset"],
        "description": "Some of these.",
        "properties": {
            "subset": {"type": "array", "minItems": 1, "maxItems": 12},
            "min": {"type": "integer", "minimum": 0},
            "max": {"type": "integer", "minimum": 0},
        },
    },
}


def document_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a workflow document and of a search space."""
    definitions: dict[str, Any] = {f"hole_{name}": hole for name, hole in _HOLES.items()}
    holes = [{"$ref": f"#/$defs/hole_{name}"} for name in _HOLES]

    def take(schema: dict[str, Any]) -> dict[str, Any]:
        definitions.update(schema.pop("$defs", {}))
        return schema

    def reference(model: Any) -> dict[str, Any]:
        return take(TypeAdapter(model).json_schema(ref_template="#/$defs/{model}"))

    nodes = [
        _node(take(cls.model_json_schema(ref_template="#/$defs/{model}")), name, holes)
        for name, cls in node_types().items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archloom workflow",
        "type": "object",
        "additionalProperties": False,
        "required": ["archloom", "models", "nodes", "output"],
        "properties": {
            "archloom": {"const": 1, "description": "Version of the document format."},
            "name": {"type": "string", "description": "Name for people; by default that of the file."},
            "doc": {"type": "string", "description": "What it is for."},
            "answer": {"enum": list(get_args(AnswerFormat)), "description": "How the final answer is read."},
            "models": {"type": "object", "minProperties": 1, "additionalProperties": reference(ModelSpec)},
            "budget": reference(Budget),
            "nodes": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [*nodes, _use()]},
            },
            "output": {
                "anyOf": [{"type": "string"}, *holes],
                "description": "The node that gives the answer.",
            },
            "search": reference(SearchSpec),
        },
        "$defs": definitions,
    }


def _node(schema: dict[str, Any], name: str, holes: list[dict[str, str]]) -> dict[str, Any]:
    """A node type's schema in which every field but its type may be a hole."""
    properties = {
        field: value if field == "type" else {"anyOf": [value, *holes], "description": value.get("description", "")}
        for field, value in schema["properties"].items()
    }
    properties["type"] = {"const": name, "description": properties["type"].get("description", "")}
    properties["optional"] = {"type": "boolean", "description": "A search may leave this node out."}
    return {**schema, "properties": properties, "required": sorted({*schema.get("required", []), "type"})}


def _use() -> dict[str, Any]:
    return {
        "title": "use",
        "type": "object",
        "additionalProperties": False,
        "required": ["use"],
        "properties": {
            "use": {"enum": list(library_names()), "description": "Graph of the library."},
            "with": {"type": "object", "description": "Values of its parameters; holes are allowed."},
            "after": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "optional": {"type": "boolean"},
        },
    }
