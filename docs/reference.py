"""The generated tables of the guide, made from the classes that check workflow documents."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast, get_args

import yaml
from claims import WITHOUT, claims_of
from pydantic import BaseModel

from archloom.graphs import (
    ModelBase,
    ModelSpec,
    SearchSpec,
    Technique,
    TechniqueGroup,
    library_names,
    library_technique,
)
from archloom.nodes import Budget, ModelNode, Node, node_types
from archloom.search.optimizers import optimizer_types

Schema = Mapping[str, Any]


class Field(NamedTuple):
    """A line of a table: what may be written, what it is by default, and what it means."""

    name: str
    kind: str
    default: str
    meaning: str


def nodes() -> str:
    """What all nodes take, what those with a model take, and each node type."""
    parts = ["### All nodes", _table(_fields(Node))]
    parts += ["### Nodes that ask a model", _table(_fields(ModelNode, without=_fields(Node)))]
    for name, cls in node_types().items():
        base = ModelNode if issubclass(cls, ModelNode) else Node
        parts += [f"### `{name}`", _doc(cls), _table(_fields(cls, without=_fields(base)))]
    return "\n\n".join(part for part in parts if part)


def models() -> str:
    """What all models take, and each provider."""
    parts = ["### All models", _table(_fields(ModelBase))]
    for cls in cast("tuple[type[ModelBase], ...]", get_args(get_args(ModelSpec)[0])):
        own = _fields(cls, without=_fields(ModelBase))
        name = own.pop("provider").default.strip("`")
        parts += [f"### `{name}`", _doc(cls), _table(own)]
    return "\n\n".join(part for part in parts if part)


def library() -> str:
    """The names of the graphs that ship, by group, each a link into the catalogue."""
    lines = [
        f"- {group}: " + ", ".join(f"[`{each.name}`](techniques.md#{_anchor(each.name)})" for each in members)
        for group, members in _catalogue().items()
    ]
    return "\n".join(lines)


def techniques() -> str:
    """The catalogue: each graph that ships, with its facts, its claim tests and its parameters."""
    parts = []
    for group, members in _catalogue().items():
        parts.append(f"## {group}")
        for technique in members:
            rows = {
                name: Field(f"`{name}`", "", "required" if each.required else _written(each.default), each.doc)
                for name, each in technique.parameters.items()
            }
            table = "\n".join(
                ["| parameter | default | meaning |", "|---|---|---|"]
                + [f"| {row.name} | {row.default} | {row.meaning} |" for row in rows.values()]
            )
            parts += [f"### `{technique.name}`", technique.doc, _facts(technique), table]
    return "\n\n".join(parts)


def _catalogue() -> Mapping[str, list[Technique]]:
    groups: dict[str, list[Technique]] = {group: [] for group in get_args(TechniqueGroup)}
    for name in library_names():
        technique = library_technique(name)
        groups[technique.about.group].append(technique)
    return groups


def _facts(technique: Technique) -> str:
    about = technique.about
    fewest, most = about.calls
    number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    lines = {
        "Source": about.source,
        "Needs": about.needs,
        "Cost": f"{about.cost} With the defaults: {number}.",
        "Helps": about.helps,
        "Hurts": about.hurts,
        "Claims": _claims(technique.name),
    }
    return "\n".join(f"- **{name}:** {text}" for name, text in lines.items())


def _claims(name: str) -> str:
    found = claims_of(name)
    if not found:
        return f"none; {WITHOUT.get(name, 'not yet')}."
    files = {claim.file: [other.statement for other in found if other.file == claim.file] for claim in found}
    said = [
        f"[{file}](../tests/claims/{file})" + "".join(f"; {each}" for each in statements if each).replace(";", ":", 1)
        for file, statements in files.items()
    ]
    return "; ".join(said) + "."


def _anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return heading.replace("/", "")


def optimizers() -> str:
    """Each optimizer with its options."""
    parts = []
    for name, cls in optimizer_types().items():
        parts += [f"### `{name}`", _doc(cast("type", cls)), _table(_fields(cls.Options))]
    return "\n\n".join(part for part in parts if part)


TABLES: Mapping[str, Callable[[], str]] = {
    "budget": lambda: _table(_fields(Budget)),
    "library": library,
    "models": models,
    "nodes": nodes,
    "optimizers": optimizers,
    "search": lambda: _table(_fields(SearchSpec)),
    "techniques": techniques,
}
"""Text of each generated part, by the name in its marker."""


def _fields(cls: type[BaseModel], *, without: Mapping[str, Field] | None = None) -> dict[str, Field]:
    """The fields of a class by name, but for its type and those that a base class has just the same."""
    schema = cls.model_json_schema()
    found = {field.name.strip("`"): field for field in _rows(schema, schema.get("$defs", {}), "")}
    return {name: field for name, field in found.items() if name != "type" and (without or {}).get(name) != field}


def _rows(schema: Schema, definitions: Schema, prefix: str) -> Iterator[Field]:
    """A line per field, and lines for the fields of a field that is a mapping itself."""
    for name, spec in schema["properties"].items():
        options = [option for option in spec.get("anyOf", [spec]) if option.get("type") != "null"]
        kinds = " or ".join(_kind(option) for option in options)
        default = "required" if name in schema.get("required", ()) else _default(spec, options, definitions)
        meaning = " ".join(spec.get("description", "").split()).replace("``", "`").replace("|", "\\|")
        yield Field(f"`{prefix}{name}`", kinds, default, meaning)
        for option in options:
            if "$ref" in option:
                yield from _rows(_definition(option, definitions), definitions, f"{prefix}{name}.")


def _kind(spec: Schema) -> str:
    if "enum" in spec or "const" in spec:
        return ", ".join(f"`{value}`" for value in spec.get("enum", [spec.get("const")]))
    if spec.get("type") == "array":
        return "list" if "prefixItems" in spec else f"list of {_kind(spec['items'])}"
    names = {"object": "mapping", "boolean": "true, false", "string": "text", None: "mapping"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {spec[key]:g}" for key, sign in signs.items() if key in spec)
    return " ".join(part for part in (names.get(spec.get("type"), str(spec.get("type"))), bounds) if part)


def _default(spec: Schema, options: list[Schema], definitions: Schema) -> str:
    value = spec.get("default")
    if isinstance(value, Mapping) and "$ref" in options[0]:
        inner = _definition(options[0], definitions)["properties"]
        said = {key: item for key, item in value.items() if item != inner[key].get("default")}
        value = {key: item for key, item in said.items() if item is not None and not isinstance(item, Mapping)}
    if value is None or value in ({}, []):
        return ""
    return _written(value)


def _written(value: object) -> str:
    """As it stands in YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    return f"`{text}`"


def _definition(reference: Schema, definitions: Schema) -> Schema:
    return cast("Schema", definitions[reference["$ref"].rpartition("/")[2]])


def _doc(cls: type) -> str:
    return (inspect.getdoc(cls) or "").replace("``", "`")


def _table(fields: Mapping[str, Field]) -> str:
    if not fields:
        return ""
    lines = ["| field | takes | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(field)} |" for field in fields.values())])
