"""YAML with positions: plain data, and where each of its parts stands in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from archloom.graphs.errors import Problem

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Path: TypeAlias = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "map", "seq"))


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
    reader = _Reader(text, source)
    try:
        reader.read()
    except yaml.MarkedYAMLError as exc:
        what = " ".join(part for part in (exc.context, exc.problem) if part)
        reader.problem("E010", f"not YAML: {what}", exc.problem_mark or exc.context_mark)
    except yaml.YAMLError as exc:
        reader.problem("E010", f"not YAML: {exc}", None)
    except RecursionError:
        reader.problem("E010", "not a document: nested too deeply", None)
    return reader.located


class _Reader:
    """From YAML's node tree to data, positions and problems."""

    def __init__(self, text: str, source: str) -> None:
        self.located = Located(None)
        self._loader = yaml.SafeLoader(text)
        self._source = source
        self._open: set[int] = set()
        self._twice: set[int] = set()

    def read(self) -> None:
        root = self._loader.get_single_node()
        if root is not None:
            self._twice = _repeated_keys(root)
            self.located.data = self._value(root, ())

    def problem(self, code: str, message: str, mark: yaml.Mark | None, path: Path = ()) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.located.problems.append(Problem(code, dotted(path), message, "", self._source, line, column))

    def _value(self, node: yaml.Node, path: Path) -> Json:
        mark = node.start_mark
        self.located.positions.setdefault(path, Position(mark.line + 1, mark.column + 1))
        if id(node) in self._open:
            self.problem("E010", "an alias that contains itself", mark, path)
            return None
        if node.tag not in _PLAIN:
            message = f"tag {node.tag!r} is not allowed; a document holds plain data only"
            self.problem("E010", message, mark, path)
            return None
        self._open.add(id(node))
        try:
            return self._inside(node, path)
        finally:
            self._open.discard(id(node))

    def _inside(self, node: yaml.Node, path: Path) -> Json:
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, number)) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if node.tag == _TAG + "timestamp":
            return str(node.value)  # a date is text here
        try:
            value: Json = self._loader.construct_object(node)
        except ValueError:  # what looks like a number and is none, such as '0b_'
            return str(node.value)
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Json]:
        self._loader.flatten_mapping(node)
        out: dict[str, Json] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem("E010", "a key must be a plain word", mark, path)
            elif id(key_node) in self._twice:
                self.problem("E011", f"key {key_node.value!r} stands twice", mark, (*path, key_node.value))
            else:
                place = (*path, key_node.value)
                self.located.positions[place] = Position(mark.line + 1, mark.column + 1)
                out[key_node.value] = self._value(value_node, place)
        return out


def _repeated_keys(root: yaml.Node) -> set[int]:
    """Keys that their own mapping already has; what a merge (``<<``) brings may be overridden."""
    found: set[int] = set()
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        found.add(id(key))
                    keys.add(key.value)
        else:
            waiting += node.value
    return found


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


def _list(dumper: yaml.SafeDumper, data: Sequence[object]) -> yaml.Node:
    flat = all(not isinstance(item, list | dict | tuple) for item in data)
    return dumper.represent_sequence(_TAG + "seq", data, flow_style=flat)


def _str(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    style = "|" if "\n" in data.strip("\n") else '"' if "\n" in data else None
    return dumper.represent_scalar(_TAG + "str", data, style=style)


_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)
_Dumper.add_representer(str, _str)
