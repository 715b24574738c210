"""The workflow document: YAML with positions, checked as a whole, with or without holes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path as FilePath
from typing import TypeAlias, cast, get_args

from pydantic import TypeAdapter, ValidationError

from archloom.graphs._configuration import Configuration
from archloom.graphs._construction import Broken, ancestors, check_construction
from archloom.graphs._fields import pydantic_problems
from archloom.graphs._holes import BadHole, Hole, find_holes
from archloom.graphs._library import inline
from archloom.graphs._models import ModelSpec
from archloom.graphs._override import apply_override
from archloom.graphs._search_spec import SearchSpec
from archloom.graphs._yaml import Json, Located, Path, dotted, load
from archloom.graphs.errors import DocumentError, InvalidConfigurationError, Problem
from archloom.nodes import Budget, ModelNode, Node, check_template, node_types
from archloom.tools import AnswerFormat, suggest

Assignment: TypeAlias = Mapping[str, object]
"""A chosen option for each hole, by :attr:`Hole.name`."""

_TOP = ("archloom", "name", "doc", "answer", "models", "budget", "nodes", "output", "search")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_STRUCTURES = 512
_model_adapter: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)


@dataclass(frozen=True)
class Document:
    """A checked workflow document.

    Attributes:
        source: File name, for messages.
        data: Its data after library graphs were put in; holes still open.
        holes: Its open choices in reading order; empty for a workflow that can run.
        search: The ``search:`` block.
        folder: Folder that relative paths in it start from.
    """

    source: str
    data: dict[str, Json]
    holes: tuple[Hole, ...]
    search: SearchSpec
    folder: FilePath = field(default_factory=FilePath)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, overrides: Sequence[str] = ()) -> Document:
        """Reads and checks a file.

        Args:
            path: The file.
            overrides: Entries to replace before checking, each written ``nodes.draft.samples=4``.

        Raises:
            DocumentError: it cannot be read, or anything in it is wrong; all problems at once.
        """
        file = FilePath(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise DocumentError([Problem("E010", "", f"cannot be read: {why}.", source=str(file))]) from exc
        return cls.parse(text, source=str(file), folder=file.parent, overrides=overrides)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        source: str = "<document>",
        folder: FilePath | None = None,
        overrides: Sequence[str] = (),
    ) -> Document:
        """Checks a document given as text.

        Raises:
            DocumentError: anything in it is wrong; all problems at once.
        """
        located = load(text, source)
        for override in overrides:
            apply_override(located, override)
        return _Checker(located, source).document(folder or FilePath())

    @property
    def name(self) -> str:
        """Its name, by default that of the file."""
        return str(self.data.get("name") or FilePath(self.source).stem)

    def configure(self, assignment: Assignment | None = None) -> Configuration:
        """The workflow with these choices made.

        Args:
            assignment: An option for every hole.

        Raises:
            InvalidConfigurationError: an option is missing or not offered, or the construction rules forbid
                this combination.
        """
        chosen = dict(assignment or {})
        for hole in self.holes:
            if hole.name not in chosen:
                raise InvalidConfigurationError(f"{self.source}: {hole.name} is still open.")
            if chosen[hole.name] not in hole.options:
                raise InvalidConfigurationError(f"{self.source}: {hole.name} does not offer {chosen[hole.name]!r}.")
        data = _filled(self.data, self.holes, chosen)
        models = {name: _model_adapter.validate_python(spec) for name, spec in _map(data["models"]).items()}
        nodes, output = _built(data)
        broken = check_construction(nodes, models, output, all_lead_to_output=False)
        if broken:
            first = broken[0]
            raise InvalidConfigurationError(f"{self.source}: {dotted(first.path)}: {first.message}", hint=first.hint)
        leading = ancestors(nodes, output)
        return Configuration(
            name=self.name,
            models=models,
            nodes={name: node for name, node in nodes.items() if name in leading},
            output=output,
            budget=Budget.model_validate(data.get("budget") or {}),
            answer=cast(AnswerFormat, data.get("answer") or "text"),
            doc=str(data.get("doc") or ""),
        )


def _map(data: Json) -> dict[str, Json]:
    return cast(dict[str, Json], data)


def _filled(data: dict[str, Json], holes: tuple[Hole, ...], chosen: Mapping[str, object]) -> dict[str, Json]:
    """A copy with every hole replaced; nodes that are left out are gone and their neighbours joined."""
    out = deepcopy(data)
    left_out: set[str] = set()
    for hole in holes:
        option = cast(Json, chosen[hole.name])
        if hole.kind != "optional":
            for place in hole.places:
                _put(out, place, deepcopy(option))
        elif not option:
            left_out.add(str(hole.path[1]))
    nodes = _map(out["nodes"])
    for spec in nodes.values():
        _map(spec).pop("optional", None)
    _leave_out(out, [name for name in nodes if any(name == gone or name.startswith(f"{gone}.") for gone in left_out)])
    return out


def _put(data: Json, path: Path, value: Json) -> None:
    for part in path[:-1]:
        data = data[part]  # type: ignore[index]  # the path was found in this data
    data[path[-1]] = value  # type: ignore[index]


def _after(spec: Json) -> list[str]:
    after = _map(spec).get("after", [])
    return [after] if isinstance(after, str) else list(cast(list[str], after))


def _leave_out(data: dict[str, Json], names: list[str]) -> None:
    """Takes nodes out and joins their neighbours; what led to one of them now leads to its predecessors."""
    nodes = _map(data["nodes"])
    end: dict[str, Json] = {"after": data["output"]}
    for name in names:
        parents = _after(nodes.pop(name))
        for spec in (*map(_map, nodes.values()), end):
            if name in (after := _after(spec)):
                at = after.index(name)
                spec["after"] = list(dict.fromkeys([*after[:at], *parents, *after[at + 1 :]]))
    if len(last := _after(end)) == 1:  # else no single node is left to give the answer: the rules will say so
        data["output"] = last[0]


def _built(data: dict[str, Json]) -> tuple[dict[str, Node], str]:
    types = node_types()
    nodes = {name: types[str(_map(spec)["type"])].model_validate(spec) for name, spec in _map(data["nodes"]).items()}
    return nodes, str(data["output"])


class _Checker:
    """Collects everything that is wrong with a document."""

    def __init__(self, located: Located, source: str) -> None:
        self.located, self.source = located, source
        self.problems: list[Problem] = list(located.problems)
        self.bad_holes: set[Path] = set()

    def report(self, code: str, path: Path, message: str, hint: str | None = None) -> None:
        place = self.located.position(path)
        problem = Problem(code, dotted(path), message, hint or "", self.source, place.line, place.column)
        if problem not in self.problems:
            self.problems.append(problem)

    def document(self, folder: FilePath) -> Document:
        if self.problems and self.located.data is None:
            raise DocumentError(self.problems)
        if not isinstance(self.located.data, dict):
            self.report(
                "E013",
                (),
                "a workflow document is a mapping with 'archloom: 1', 'models', 'nodes' and 'output'.",
            )
            raise DocumentError(self.problems)
        data = self.located.data
        self._top(data)
        inline(self.located, self.report)
        holes = self._holes(data)
        search = self._spec(SearchSpec, data.get("search"), ("search",)) or SearchSpec()
        for budget in _variants(data.get("budget"), ("budget",), holes):
            self._spec(Budget, budget, ("budget",))
        outputs = _variants(data.get("output", ""), ("output",), holes)
        if ("output",) not in self.bad_holes and not all(isinstance(output, str) for output in outputs):
            self.report("E013", ("output",), "must name a node.")
        models = self._models(data.get("models"))
        self._nodes(data.get("nodes"), holes)
        if not self.problems:
            self._construction(data, holes, models)
        if self.problems:
            raise DocumentError(self.problems)
        return Document(self.source, data, tuple(holes), search, folder)

    def _top(self, data: dict[str, Json]) -> None:
        for key in data:
            if key not in _TOP:
                self.report("E012", (key,), "unknown field.", suggest(key, list(_TOP)))
        if data.get("archloom") != 1:
            self.report("E025", ("archloom",), "the first line of a document is 'archloom: 1', its format version.")
        for key in ("models", "nodes", "output"):
            if key not in data:
                self.report("E014", (), f"{key!r} is missing.")
            elif key != "output" and (not isinstance(data[key], dict) or not data[key]):
                self.report("E013", (key,), "must be a mapping of names.")
        if data.get("answer", "text") not in get_args(AnswerFormat):
            hint = suggest(str(data.get("answer")), list(get_args(AnswerFormat)))
            self.report("E013", ("answer",), f"{data.get('answer')!r} is no answer format.", hint)
        for key in ("name", "doc"):
            if not isinstance(data.get(key, ""), str):
                self.report("E013", (key,), "must be text.")

    def _holes(self, data: dict[str, Json]) -> list[Hole]:
        found = find_holes(data)
        for bad in found:
            if isinstance(bad, BadHole):
                self.report("E022", bad.path, f"{bad.why}.")
                self.bad_holes.add(bad.path)
        return [hole for hole in found if isinstance(hole, Hole)]

    def _spec(self, cls, value, path: Path):  # type: ignore[no-untyped-def]  # one pydantic class in, its instance out
        try:
            return cls.model_validate({} if value is None else value)
        except ValidationError as exc:
            self._add(exc, path, cls)
            return None

    def _add(self, exc: ValidationError, path: Path, cls: type | None) -> None:
        for code, inner, message, hint in pydantic_problems(exc, cls):
            if (*path, *inner) not in self.bad_holes:
                self.report(code, (*path, *inner), message, hint)

    def _models(self, models: Json) -> dict[str, ModelSpec]:
        out: dict[str, ModelSpec] = {}
        for name, spec in models.items() if isinstance(models, dict) else ():
            path: Path = ("models", name)
            if not _NAME.fullmatch(name):
                self.report("E013", path, f"{name!r} is no name: letters, digits, '_', '-' and '.', letter first.")
            if not isinstance(spec, dict):
                self.report("E013", path, "must be a mapping with 'provider' and 'model'.")
                continue
            cls = _provider(spec)
            try:
                out[name] = _model_adapter.validate_python(spec)
            except ValidationError as exc:
                self._add(exc, path, cls)
        return out

    def _nodes(self, nodes: Json, holes: list[Hole]) -> None:
        types = node_types()
        for name, spec in nodes.items() if isinstance(nodes, dict) else ():
            path: Path = ("nodes", name)
            if not _NAME.fullmatch(name):
                self.report("E013", path, f"{name!r} is no name: letters, digits, '_', '-' and '.', letter first.")
            if not isinstance(spec, dict):
                self.report("E013", path, "must be a mapping with a 'type'.")
            elif "type" not in spec:
                self.report("E014", path, "'type' is missing.", suggest("", list(types)))
            elif not isinstance(spec["type"], str) or spec["type"] not in types:
                hint = suggest(str(spec["type"]), list(types))
                self.report("E015", (*path, "type"), f"there is no node type {spec['type']!r}.", hint)
            else:
                self._node(path, spec, types[spec["type"]], holes)

    def _node(self, path: Path, spec: dict[str, Json], cls: type[Node], holes: list[Hole]) -> None:
        """Checks the node with each option of each hole, the other holes at their first option."""
        for data in _variants(spec, path, holes):
            _map(data).pop("optional", None)
            try:
                node = cls.model_validate(data)
            except ValidationError as exc:
                self._add(exc, path, cls)
                continue
            self._template(node, path)

    def _template(self, node: Node, path: Path) -> None:
        if (
            isinstance(node, ModelNode)
            and node.prompt is not None
            and (why := check_template(node.prompt, node.template_names))
        ):
            self.report("E024", (*path, "prompt"), f"{why}.")

    def _construction(self, data: dict[str, Json], holes: list[Hole], models: dict[str, ModelSpec]) -> None:
        """A workflow must keep the construction rules; a space must hold at least one workflow that does.

        Names that do not exist are errors wherever they are offered.
        """
        structural = [hole for hole in holes if hole.structural]
        fixed = {hole.name: hole.options[0] for hole in holes}
        structures = product(*(hole.options for hole in structural))
        outcomes: list[list[Broken]] = []
        for options in islice(structures, _STRUCTURES):
            chosen = {
                **fixed,
                **{hole.name: option for hole, option in zip(structural, options, strict=True)},
            }
            nodes, output = _built(_filled(data, tuple(holes), chosen))
            outcomes.append(check_construction(nodes, models, output, all_lead_to_output=not structural))
        wrong_names = [rule for broken in outcomes for rule in broken if rule.code in {"E016", "E021"}]
        for rule in wrong_names or (outcomes[0] if all(outcomes) else ()):
            self.report(rule.code, rule.path, rule.message, rule.hint)
        self._model_options(holes, models)

    def _model_options(self, holes: list[Hole], models: dict[str, ModelSpec]) -> None:
        for hole in holes:
            if hole.path[-1] == "model" and hole.path[0] == "nodes":
                for option in hole.options:
                    if option not in models:
                        self.report(
                            "E021",
                            hole.path,
                            f"there is no model {option!r}.",
                            suggest(str(option), list(models)),
                        )


def _variants(part: Json, path: Path, holes: list[Hole]) -> Iterator[Json]:
    """This part of a document with each option of each hole in it, the other holes at their first option."""
    here = [
        (place[len(path) :], hole.options)
        for hole in holes
        if hole.kind != "optional"
        for place in hole.places
        if place[: len(path)] == path
    ]
    first = {place: options[0] for place, options in here}
    for chosen in (first, *({**first, place: option} for place, options in here for option in options[1:])):
        whole: Json = {"part": deepcopy(part)}
        for place, option in chosen.items():
            _put(whole, ("part", *place), deepcopy(option))
        yield _map(whole)["part"]


def _provider(spec: dict[str, Json]) -> type | None:
    union = get_args(get_args(ModelSpec)[0])
    return next((cls for cls in union if cls.model_fields["provider"].default == spec.get("provider")), None)
