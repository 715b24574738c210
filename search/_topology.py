"""The space of free topologies: every DAG of some roles and models within limits, up to isomorphism."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import product
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from archloom.graphs import Configuration, Document, DocumentError, InvalidConfigurationError, Problem
from archloom.graphs._topology import Grammar, Graph, Place, Topology, canonical, check_topology
from archloom.graphs._yaml import dotted
from archloom.search._graph_draws import drawn, grown, pick
from archloom.search._graph_edits import edits
from archloom.search._graph_features import feature_names, features, shape
from archloom.search._graph_traits import graph_traits, traits_of_graph
from archloom.search._graph_words import graph_words, read_graph
from archloom.search._of_document import DocumentSpace
from archloom.search._space import Axis, Point
from archloom.search.errors import EmptySpaceError

_TRIES = 100


class TopologySpace(DocumentSpace):
    """A space whose points are graphs, and the choices of the document's holes.

    The graph has numbered places in one fixed order. Three kinds of axes describe it: the role of a place, or ``None``
    for one that is left out; the model of a place; and for two places whether the later one reads the earlier. Places
    that nobody reads lead to the output. The normal point of a graph is that of its canonical form, so isomorphic
    graphs are one configuration.

    Args:
        document: A workflow; its nodes say how the nodes of their role are set.
        topology: Roles, models and limits.

    Raises:
        DocumentError: the two do not fit together; all problems at once.
    """

    def __init__(self, document: Document, topology: Topology) -> None:
        self.topology = topology
        self._holes = len(document.holes)
        self._grammar = lru_cache(maxsize=1024)(self._grammar_of)
        self._row = lru_cache(maxsize=8192)(self._encoded)
        roles = (None, *topology.roles)
        places = range(topology.max_nodes)
        axes = [
            axis
            for i in places
            for axis in (
                Axis(f"topology.{i + 1}.role", roles),
                Axis(f"topology.{i + 1}.model", topology.models),
                *(Axis(f"topology.{i + 1}.after.{j + 1}", (False, True)) for j in range(i)),
            )
        ]
        self._check(document)
        super().__init__(document, more=axes)
        ends = np.cumsum([0, *(2 + i for i in places)]) + self._holes
        self._at = [int(end) for end in ends[:-1]]

    def _check(self, document: Document) -> None:
        if structural := [hole for hole in document.holes if hole.structural]:
            broken = [(hole.name, "the edges of a free topology are no hole.") for hole in structural]
            raise DocumentError([Problem("E022", path, why, source=document.source) for path, why in broken])
        base = document.configure({hole.name: hole.options[0] for hole in document.holes})
        if found := check_topology(base.nodes, base.models, base.output, self.topology):
            raise DocumentError(
                [Problem(each.code, dotted(each.path), each.message, each.hint, document.source) for each in found]
            )

    def _grammar_of(self, chosen: Point) -> Grammar:
        options = {h.name: h.options[index] for h, index in zip(self.document.holes, chosen, strict=True)}
        return Grammar.of(self.document.configure(options), self.topology)

    def grammar(self, point: Point) -> Grammar:
        """The grammar at this point: the choices of the document's holes are made, the graph is open."""
        return self._grammar(point[: self._holes])

    def graph(self, point: Point) -> Graph:
        """The graph of a point."""
        places: list[Place] = []
        number: dict[int, int] = {}
        for i, at in enumerate(self._at):
            if point[at]:
                after = tuple(number[j] for j in range(i) if point[at + 2 + j] and j in number)
                number[i] = len(places)
                places.append(Place(self.topology.roles[point[at] - 1], self.topology.models[point[at + 1]], after))
        return tuple(places)

    def point_of(self, graph: Graph, holes: Point = ()) -> Point:
        """The normal point of a graph that keeps the rules.

        Args:
            graph: Its places.
            holes: A point with the options of the document's holes; by default the first ones.

        Raises:
            InvalidConfigurationError: it has too many places.
        """
        if len(graph) > self.topology.max_nodes:
            raise InvalidConfigurationError(f"A graph of {len(graph)} nodes has more than {self.topology.max_nodes}.")
        point = list(self._chosen(graph, holes[: self._holes] or (0,) * self._holes))
        shaped = canonical(graph)
        for i in range(self.topology.max_nodes):
            if i < len(shaped):
                place = shaped[i]
                point += [1 + self.topology.roles.index(place.role), self.topology.models.index(place.model)]
                point += [int(j in place.after) for j in range(i)]
            else:
                point += [0] * (2 + i)
        return tuple(point)

    def _chosen(self, graph: Graph, holes: Point) -> Point:
        """The holes' options; those of roles that are not in the graph at their first."""
        present = {place.role for place in graph}
        return tuple(
            index if role is None or role in present else 0 for role, index in zip(self._owners, holes, strict=True)
        )

    @cached_property
    def _owners(self) -> tuple[str | None, ...]:
        """For each hole of the document the role whose template it stands in."""
        nodes = cast("Mapping[str, Mapping[str, str]]", self.document.data["nodes"])
        output = self.document.data["output"]
        return tuple(
            str(nodes[str(hole.path[1])]["type"]) if hole.path[0] == "nodes" and hole.path[1] != output else None
            for hole in self.document.holes
        )

    @property
    def written(self) -> Point | None:
        """The workflow as it is written, with the first option of each hole, where it is one of this space."""
        graph = self._grammar((0,) * self._holes).written()
        return None if graph is None else self.point_of(graph)

    def _configure(self, point: Point) -> Configuration | None:
        return self.grammar(point).configuration(self.graph(point)) if self._valid(point) else None

    def _valid(self, point: Point) -> bool:
        return self.grammar(point).allows(self.graph(point))

    def _key(self, point: Point) -> str | None:
        if point not in self._keys:
            if not self._valid(point):
                self._keys[point] = None
            elif (normal := self._simplified(point)) == point:
                self._keys[point] = self._canonical(point)
            else:
                self._keys[point] = self._key(normal)
        return self._keys[point]

    def _simplified(self, point: Point) -> Point:
        return self.point_of(self.graph(point), point[: self._holes])

    @cached_property
    def _points(self) -> tuple[Point, ...]:
        every = product(*(range(len(axis.options)) for axis in self.axes))
        normal = dict.fromkeys(self._simplified(point) for point in every if self._valid(point))
        if not normal:
            raise EmptySpaceError("The construction rules forbid every graph of this topology.")
        for point in normal:
            self._normal[str(self._key(point))] = point
        return tuple(normal)

    def active(self, point: Point) -> tuple[bool, ...]:
        """For each axis of a normal point whether it matters."""
        graph = self.graph(point)
        present = {place.role for place in graph}
        out = [role is None or role in present for role in self._owners]
        for i in range(self.topology.max_nodes):
            out += [True, *[i < len(graph)] * (1 + i)]
        return tuple(out)

    def sample(self, rng: np.random.Generator) -> Point:
        """A random configuration, of a space that can be listed any with the same chance; else as by :meth:`scattered`.

        Raises:
            EmptySpaceError: no valid graph was found.
        """
        if self.listable:
            return super().sample(rng)
        for point in self.scattered(rng, _TRIES):
            return self.normal(point)
        raise EmptySpaceError(f"{_TRIES} random graphs of this topology were all forbidden by construction rules.")

    def scattered(self, rng: np.random.Generator, draws: int) -> Iterator[Point]:
        """The valid ones of so many random graphs: number of nodes, layers, roles, models and edges are drawn in turn.

        Each size is as likely as any other, though there are far more large graphs than small ones.
        """
        for _ in range(draws):
            holes = tuple(int(rng.integers(len(axis.options))) for axis in self.axes[: self._holes])
            grammar = self._grammar(holes)
            if grammar.allows(graph := grown(grammar, rng)):
                yield self.point_of(graph, holes)

    @cached_property
    def traits(self) -> tuple[Axis, ...]:
        """The document's choices; then number of nodes, depth, width, and how many there are of each role and model."""
        return (*self.axes[: self._holes], *graph_traits(self.topology))

    def traits_of(self, point: Point) -> Point:
        """The values of :attr:`traits`, by their places among the options."""
        return (*point[: self._holes], *traits_of_graph(self.topology, self.graph(point)))

    def neighbours(self, point: Point) -> tuple[Point, ...]:
        """The other configurations that are one edit away: a node, an edge, a role, a model, or an option of a hole."""
        near = dict.fromkeys((*self._edited(point), *self._with_other_holes(point)))
        near.pop(point, None)
        for each in near:
            self.key(each)
        return tuple(near)

    def _edited(self, point: Point) -> Iterator[Point]:
        grammar = self.grammar(point)
        for _, graph in edits(self.graph(point), self.topology.roles, self.topology.models):
            if grammar.allows(graph):
                yield self.point_of(graph, point)

    def _with_other_holes(self, point: Point) -> Iterator[Point]:
        matters = self.active(point)
        for axis in range(self._holes):
            if matters[axis]:
                for index in self._steps(point, axis):
                    near = (*point[:axis], index, *point[axis + 1 :])
                    if self.valid(near):
                        yield self.normal(near)

    def mutate(self, point: Point, rng: np.random.Generator) -> Point:
        """Another configuration close to this one: one edit, of a kind drawn first, and now and then a second one."""
        here = self.key(point)
        for _ in range(_TRIES):
            near = point
            for _ in range(1 + (rng.random() < 0.25)):
                near = self._edited_once(near, rng)
            if self.valid(near) and self.key(near) != here:
                return self.normal(near)
        return self.sample(rng)

    def _edited_once(self, point: Point, rng: np.random.Generator) -> Point:
        others = list(self._with_other_holes(point)) if self._holes else []
        if others and rng.random() < 0.2:
            return others[int(rng.integers(len(others)))]
        kinds: dict[str, list[Graph]] = {}
        for kind, graph in edits(self.graph(point), self.topology.roles, self.topology.models):
            kinds.setdefault(kind, []).append(graph)
        grammar = self.grammar(point)
        for _ in range(_TRIES):
            graphs = list(kinds.values())[int(rng.integers(len(kinds)))]
            graph = graphs[int(rng.integers(len(graphs)))]
            if grammar.allows(graph):
                return self.point_of(graph, point)
        return point

    def draw(self, chances: Sequence[NDArray[np.float64]], rng: np.random.Generator) -> Point:
        """A random configuration whose choices are drawn one by one, in the order of the axes.

        A role that cannot come first is not drawn where nothing is before it, and an edge that the roles forbid is
        skipped. What still breaks a rule is drawn again as a whole; when that goes on, as by :meth:`sample`.
        """
        for _ in range(_TRIES):
            holes = tuple(pick(own, rng) for own in chances[: self._holes])
            grammar = self._grammar(holes)
            if grammar.allows(graph := drawn(grammar, chances[self._holes :], rng)):
                return self.normal(self.point_of(graph, holes))
        return self.sample(rng)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column of :meth:`encode` stands for: those of the axes, then what the graph is like."""
        return (*super().columns, *(name for names in feature_names(self.topology) for name in names))

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The columns of each hole, of all places and edges, and of each kind of feature of the graph."""
        axes = super().blocks
        holes = axes[: self._holes]
        ends = np.cumsum([axes[-1].stop, *map(len, feature_names(self.topology))]).tolist()
        return (*holes, slice(axes[self._holes].start, axes[-1].stop), *map(slice, ends[:-1], ends[1:]))

    def encode(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """A row of numbers per normal point, a column per name in :attr:`columns`.

        Behind the axes stand features of the graph: counts of each role and model, one-hot size, depth and width, and
        counts of Weisfeiler-Lehman labels (a place with what it reads, two rounds) in 32 hashed columns. Each kind has
        length 1 in every row, and so have the axes of places and edges together: a graph is one choice.
        """
        if not points:
            return super().encode(points)
        return np.array([self._row(point) for point in points])

    def _encoded(self, point: Point) -> NDArray[np.float64]:
        row = super().encode([point])[0]
        graph = slice(super().blocks[self._holes].start, len(row))
        row[graph] /= np.linalg.norm(row[graph])
        return np.concatenate([row, features(self.topology, self.graph(point))])

    def describe(self, point: Point) -> str:
        """The graph in words, such as ``2 generator solver + fuser tiny · depth 2``, and the holes that matter."""
        graph = self.graph(point)
        counts = Counter((place.role, place.model) for place in graph)
        parts = [f"{n if n > 1 else ''} {role} {model}".strip() for (role, model), n in counts.items()]
        words = f"{' + '.join(parts)} · depth {shape(graph)[0]}"
        holes = [
            f"{axis.name.removeprefix('nodes.')} {axis.options[index]}"
            for axis, index, matters in zip(self.axes[: self._holes], point, self.active(point), strict=False)
            if matters
        ]
        return " · ".join([words, *holes])

    def words(self, point: Point) -> dict[str, JsonValue]:
        """A configuration as JSON that a model can read and write: its nodes, and the choices of holes that matter."""
        holes = {
            axis.name: cast(JsonValue, axis.options[index])
            for axis, index, matters in zip(self.axes[: self._holes], point, self.active(point), strict=False)
            if matters
        }
        return graph_words(self.graph(point), holes)

    def offers(self) -> dict[str, JsonValue]:
        """What :meth:`read` understands, for a model: roles, models and limits, and the options of holes."""
        limits = cast("dict[str, JsonValue]", self.topology.model_dump(mode="json"))
        first = [role for role in self.topology.roles if self.grammar((0,) * len(self.axes)).can_follow(role, [])]
        choices = {axis.name: cast(JsonValue, list(axis.options)) for axis in self.axes[: self._holes]}
        rules = f"A node reads earlier nodes, numbered from 1; only {', '.join(first)} may read nothing."
        return {**limits, "rules": rules, **({"choices": choices} if choices else {})}

    def read(self, words: object) -> Point:
        """The configuration that a model wrote.

        Raises:
            InvalidConfigurationError: it is none of this space.
        """
        graph, choices = read_graph(words, self.topology)
        holes = tuple(axis.option(choices.pop(axis.name, axis.options[0])) for axis in self.axes[: self._holes])
        if choices:
            raise InvalidConfigurationError(f"There is no choice {next(iter(choices))!r}.")
        point = self.point_of(graph, holes)
        self.key(point)
        return point
