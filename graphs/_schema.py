"""The JSON schema of workflow documents, with all installed node types, for editors."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

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

    def plain(model: Any) -> dict[str, Any]:
        schema = TypeAdapter(model).json_schema(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        return schema

    def opened(model: type[BaseModel]) -> dict[str, Any]:
        schema = model.model_json_schema(ref_template="#/$defs/open_{model}")
        definitions.update({f"open_{name}": _open(part) for name, part in schema.pop("$defs", {}).items()})
        return _open(schema)

    nodes = [_node(opened(cls), name) for name, cls in node_types().items()]
    _own_nodes(definitions["open_Body"])
    models = plain(ModelSpec)
    for option in models["oneOf"]:
        named = definitions[option["$ref"].rpartition("/")[2]]
        named["required"] = sorted({*named.get("required", []), "provider"})
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
            "models": {"type": "object", "minProperties": 1, "additionalProperties": models},
            "budget": opened(Budget),
            "nodes": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [*nodes, _use()]},
            },
            "output": {
                "anyOf": [{"type": "string"}, {"$ref": "#/$defs/hole_choose"}],
                "description": "The node that gives the answer.",
            },
            "search": plain(SearchSpec),
        },
        "$defs": definitions,
    }


def _open(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema in which every field may be a hole."""
    if "properties" not in schema:  # any JSON value
        return schema
    holes = [{"$ref": f"#/$defs/hole_{name}"} for name in _HOLES]
    properties = {
        field: {"anyOf": [value, *holes], "description": value.get("description", "")}
        for field, value in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _node(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """A node type's schema with what a document adds to its fields; its type is fixed."""
    properties = {
        **schema["properties"],
        "type": {"const": name, "description": schema["properties"]["type"]["description"]},
        "optional": {"type": "boolean", "description": "A search may leave this node out."},
    }
    return {**schema, "properties": properties, "required": sorted({*schema.get("required", []), "type"})}


def _own_nodes(body: dict[str, Any]) -> None:
    """Lets a body hold any node; which nodes it has is no hole."""
    nodes = body["properties"]["nodes"]["anyOf"][0]
    body["properties"]["nodes"] = {**nodes, "additionalProperties": {"$ref": "#/properties/nodes/additionalProperties"}}


def _use() -> dict[str, Any]:
    return {
        "title": "use",
        "type": "object",
        "additionalProperties": False,
        "required": ["use"],
        "properties": {
            "use": {"enum": list(library_names()), "description": "Graph of the library."},
            "with": {"type": "object", "description": "Values of its parameters; holes are allowed."},
            "after": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}},
                    {"$ref": "#/$defs/hole_choose"},
                    {"$ref": "#/$defs/hole_subset"},
                ],
                "description": "Nodes whose candidates it is given.",
            },
            "optional": {"type": "boolean", "description": "A search may leave it out, with all nodes it stands for."},
        },
    }
