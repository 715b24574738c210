"""Everything that can be wrong with a document, found in one go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import islice, product
from typing import NamedTuple, cast, get_args

from pydantic import TypeAdapter, ValidationError

from archloom.graphs._bodies import Graph, bodies_of, graphs_in
from archloom.graphs._construction import Broken, check_construction
from archloom.graphs._fields import pydantic_problems
from archloom.graphs._filling import built, filled, mapping, put
from archloom.graphs._holes import BadHole, Hole, find_holes
from archloom.graphs._library import inline
from archloom.graphs._models import ModelSpec
from archloom.graphs._search_spec import SearchSpec
from archloom.graphs._topology import Topology, check_topology
from archloom.graphs._yaml import Json, Located, Path, dotted
from archloom.graphs.errors import DocumentError, Problem
from archloom.nodes import Budget, ModelNode, Node, check_template, node_types
from archloom.tools import AnswerFormat, suggest

_TOP = ("archloom", "name", "doc", "answer", "models", "budget", "nodes", "output", "search")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_STRUCTURES = 512
_SECRET = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{\w+\}")
_model_adapter: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)


class Checked(NamedTuple):
    """What a good document holds: its data with library graphs put in, its open choices, its ``search`` block."""

    data: dict[str, Json]
    holes: tuple[Hole, ...]
    search: SearchSpec


class Checker:
    """Collects everything that is wrong with a document."""

    def __init__(self, located: Located, source: str) -> None:
        self.located, self.source = located, source
        self.problems: list[Problem] = list(located.problems)
        self.bad_holes: set[Path] = set()

    def report(self, code: str, path: Path, message: str, hint: str | None = None) -> None:
        """Notes a problem at this place; the same one only once."""
        place = self.located.position(path)
        problem = Problem(code, dotted(path), message, hint or "", self.source, place.line, place.column)
        if problem not in self.problems:
            self.problems.append(problem)

    def check(self) -> Checked:
        """Goes through all of it.

        Raises:
            DocumentError: anything is wrong; all problems at once.
        """
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
        for graph in graphs_in(data):
            self._nodes(graph, holes)
        if not self.problems:
            self._construction(data, holes, models)
        if not self.problems and search.topology is not None:
            self._topology(data, holes, models, search.topology)
        if self.problems:
            raise DocumentError(self.problems)
        return Checked(data, tuple(holes), search)

    def _topology(
        self, data: dict[str, Json], holes: list[Hole], models: dict[str, ModelSpec], topology: Topology
    ) -> None:
        """A free topology fits to the nodes and models that are written."""
        for hole in holes:
            if hole.structural:
                self.report("E022", hole.path, "the edges of a free topology are no hole.")
        nodes, output = built(filled(data, tuple(holes), {hole.name: hole.options[0] for hole in holes}))
        for broken in check_topology(nodes, models, output, topology):
            self.report(broken.code, broken.path, broken.message, broken.hint)

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

    def _add(self, exc: ValidationError, path: Path, cls: type | None, *, but: Sequence[Path] = ()) -> None:
        for code, inner, message, hint in pydantic_problems(exc, cls):
            place = (*path, *inner)
            if place not in self.bad_holes and not any(place[: len(other)] == other for other in but):
                self.report(code, place, message, hint)

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
            else:
                self._secrets(path, out[name])
        for name, model in out.items():
            self._fallbacks(("models", name, "fallback"), name, model, cast(dict[str, Json], models))
        return out

    def _secrets(self, path: Path, model: ModelSpec) -> None:
        """Documents are shared, and a search writes new ones: a key stays in the environment."""
        secrets: dict[Path, str | None] = {("api_key",): getattr(model, "api_key", None)}
        headers: dict[str, str] = getattr(model, "headers", {})
        secrets |= {("headers", name): value for name, value in headers.items() if _SECRET.search(name)}
        for place, value in secrets.items():
            if value and not _VARIABLE.search(value):
                hint = "Put it into an environment variable NAME, and write ${NAME} here."
                self.report("E027", (*path, *place), "holds the key itself.", hint)

    def _fallbacks(self, path: Path, name: str, model: ModelSpec, models: dict[str, Json]) -> None:
        for other in model.fallback:
            if other not in models:
                self.report("E021", path, f"there is no model {other!r}.", suggest(other, list(models)))
            elif other == name:
                self.report("E021", path, "a model cannot stand in for itself.")

    def _nodes(self, graph: Graph, holes: list[Hole]) -> None:
        """Checks the nodes of one graph by themselves; the graphs inside them are checked in their own turn."""
        types = node_types()
        for name, spec in graph.nodes.items():
            path = graph.place(name)
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
        inside = self._inside(path, spec, holes)
        for data in _variants(spec, path, holes):
            for each in (data, *(node for _, body in bodies_of(data) for node in _nodes_in(body))):
                if isinstance(each, dict):
                    each.pop("optional", None)
            try:
                node = cls.model_validate(data)
            except ValidationError as exc:
                self._add(exc, path, cls, but=inside)
                continue
            self._template(node, path)

    def _inside(self, path: Path, spec: dict[str, Json], holes: list[Hole]) -> list[Path]:
        """Places of the nodes in the bodies of this node; which nodes there are is no hole."""
        places: list[Path] = []
        for inner, body in bodies_of(spec):
            graph = Graph((*path, *inner), body)
            places += [graph.place(name) for name in graph.nodes]
            for hole in holes:
                if hole.path in (graph.path, (*graph.path, "nodes")):
                    self.report("E022", hole.path, "a body is no hole; its nodes can have holes, and be optional.")
        return places

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
            nodes, output = built(filled(data, tuple(holes), chosen))
            outcomes.append(check_construction(nodes, models, output, all_lead_to_output=not structural))
        wrong_names = [rule for broken in outcomes for rule in broken if rule.code in {"E016", "E021", "E026"}]
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
            put(whole, ("part", *place), deepcopy(option))
        yield mapping(whole)["part"]


def _nodes_in(body: dict[str, Json]) -> Iterator[Json]:
    """The nodes of a body and of the bodies inside it."""
    for graph in graphs_in(body):
        yield from graph.nodes.values()


def _provider(spec: dict[str, Json]) -> type | None:
    union = get_args(get_args(ModelSpec)[0])
    return next((cls for cls in union if cls.model_fields["provider"].default == spec.get("provider")), None)
