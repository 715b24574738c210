"""YAML with positions: plain data, and where each of its parts stands in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from archloom.graphs.errors import Problem

Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Path: TypeAlias = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "map", "seq"))


@dataclass(frozen=True)
class Position:
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass
class Located:
    """A document as plain data.

    Attributes:
        data: JSON values.
        positions: Where each key (for entries of a mapping) or value stands, by path.
        problems: What kept parts of it from being read.
    """

    data: Json
    positions: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def position(self, path: Path) -> Position:
        """Place of the path, or of the nearest part around it."""
        for end in range(len(path), -1, -1):
            if (found := self.positions.get(path[:end])) is not None:
                return found
        return Position(1, 1)


def load(text: str, source: str) -> Located:
    """Reads YAML 1.1 without tags, so that a document can only ever be data.

    Syntax errors, duplicate keys and foreign tags are reported in ``problems``, not raised.
    """
    located = Located(None)

    def problem(code: str, message: str, mark: yaml.Mark | None, path: Path = ()) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        located.problems.append(Problem(code, dotted(path), message, "", source, line, column))

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is not None:
            located.data = _build(loader, root, (), located, problem, frozenset())
    except yaml.MarkedYAMLError as exc:
        what = " ".join(part for part in (exc.context, exc.problem) if part)
        problem("E010", f"not YAML: {what}", exc.problem_mark or exc.context_mark)
    except yaml.YAMLError as exc:
        problem("E010", f"not YAML: {exc}", None)
    except RecursionError:
        problem("E010", "not a document: nested too deeply", None)
    finally:
        loader.dispose()
    return located


def _build(loader, node, path, located, problem, above):  # type: ignore[no-untyped-def]  # recursion over yaml nodes
    located.positions.setdefault(path, Position(node.start_mark.line + 1, node.start_mark.column + 1))
    if id(node) in above:
        problem("E010", "an alias that contains itself", node.start_mark, path)
        return None
    above = above | {id(node)}
    if node.tag not in _PLAIN and node.tag != _TAG + "timestamp":
        problem(
            "E010",
            f"tag {node.tag!r} is not allowed; a document holds plain data only",
            node.start_mark,
            path,
        )
        return None
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(loader, item, (*path, i), located, problem, above) for i, item in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        out: dict[str, Json] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                problem("E010", "a key must be a plain word", key_node.start_mark, path)
                continue
            if key in out:
                problem("E011", f"key {key!r} stands twice", key_node.start_mark, (*path, key))
                continue
            mark = key_node.start_mark
            located.positions[(*path, key)] = Position(mark.line + 1, mark.column + 1)
            out[key] = _build(loader, value_node, (*path, key), located, problem, above)
        return out
    if node.tag == _TAG + "timestamp":
        return node.value
    return loader.construct_object(node)


def dotted(path: Path) -> str:
    """``nodes.draft.after[0]``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else (f".{part}" if out else part)
    return out


def dump(data: Mapping[str, object]) -> str:
    """The data as YAML: keys in the given order, short lists on one line, text readable."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Block style for mappings, flow style for lists of scalars, ``|`` for text of several lines."""


def _list(dumper: yaml.SafeDumper, data: list[object]) -> yaml.Node:
    flat = all(not isinstance(item, list | dict | tuple) for item in data)
    return dumper.represent_sequence(_TAG + "seq", data, flow_style=flat)


def _str(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    style = "|" if "\n" in data.strip("\n") else None
    return dumper.represent_scalar(_TAG + "str", data, style=style)


_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)
_Dumper.add_representer(str, _str)
