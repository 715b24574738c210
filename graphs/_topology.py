"""Free topology: graphs that a search builds out of roles and models, instead of the edges that were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, NamedTuple, Self, TypeAlias, TypeVar

from pydantic import Field, model_validator

from archloom.graphs._configuration import Configuration
from archloom.graphs._construction import Broken
from archloom.nodes import ModelNode, Node, Spec, node_types
from archloom.tools import suggest

_Most: TypeAlias = Annotated[int, Field(ge=1, le=16)]


class Topology(Spec):
    """The graphs of a free topology; the node that ``output`` names collects what no other node reads."""

    roles: Annotated[tuple[str, ...], Field(min_length=1)] = ("generator", "fuser", "critic", "verifier")
    """Node types to build with. A node of such a type under ``nodes`` says how all of its role are set."""
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    """Entries of ``models`` to build with."""
    max_nodes: _Most = 8
    """The most nodes, the output not counted."""
    max_width: _Most = 4
    """The most nodes that are equally far from the start."""
    max_depth: _Most = 4
    """The most nodes one after the other, the output not counted."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for names in (self.roles, self.models):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{twice[0]!r} is named twice")
        return self


class Place(NamedTuple):
    """A node of a free graph.

    Attributes:
        role: Its node type.
        model: The model it asks.
        after: Numbers of the earlier places whose candidates it is given, ascending.
    """

    role: str
    model: str
    after: tuple[int, ...] = ()


Graph: TypeAlias = tuple[Place, ...]
"""Places in an order in which each comes after those it reads."""
_C = TypeVar("_C", tuple[int, str, str], tuple[int, tuple[int, ...], tuple[int, ...]])


def depths(graph: Graph) -> list[int]:
    """Places on the longest path that ends before each place: 0 for one that reads nothing."""
    found: list[int] = []
    for place in graph:
        found.append(1 + max((found[parent] for parent in place.after), default=-1))
    return found


def leaves(graph: Graph) -> list[int]:
    """The places that no other one reads."""
    read = {parent for place in graph for parent in place.after}
    return [number for number in range(len(graph)) if number not in read]


@lru_cache(maxsize=65_536)
def canonical(graph: Graph) -> Graph:
    """The same graph with its places in an order that depends on its shape alone, nearest to the start first.

    Colours (depth, role, model) are refined by those of the neighbours, as Weisfeiler and Leman do. Where that leaves
    places alike, each of them is tried as the first, except among twins, which read the same and are read by the same.
    """
    children: list[set[int]] = [set() for _ in graph]
    for number, place in enumerate(graph):
        for parent in place.after:
            children[parent].add(number)
    start = _ranks([(depth, place.role, place.model) for depth, place in zip(depths(graph), graph, strict=True)])

    def written(colours: Sequence[int]) -> Graph:
        order = sorted(range(len(graph)), key=colours.__getitem__)
        at = {number: position for position, number in enumerate(order)}
        return tuple(graph[n]._replace(after=tuple(sorted(at[parent] for parent in graph[n].after))) for n in order)

    def finest(colours: list[int]) -> Graph:
        count = 0
        while len(set(colours)) > count:
            count = len(set(colours))
            colours = _ranks(
                [
                    (own, tuple(sorted(colours[p] for p in place.after)), tuple(sorted(colours[c] for c in below)))
                    for own, place, below in zip(colours, graph, children, strict=True)
                ]
            )
        alike = [number for number in range(len(graph)) if colours.count(colours[number]) > 1]
        if not alike:
            return written(colours)
        first = min(colours[number] for number in alike)
        twins = {
            (graph[n].after, tuple(sorted(children[n]))): n for n in reversed(alike) if colours[n] == first
        }.values()
        return min(finest([2 * own - (number == one) for number, own in enumerate(colours)]) for one in twins)

    return finest(start)


def _ranks(keys: Sequence[_C]) -> list[int]:
    rank = {key: place for place, key in enumerate(sorted(set(keys)))}
    return [rank[key] for key in keys]


@dataclass(frozen=True)
class Grammar:
    """Which graphs make sense, and the workflows that they are.

    Attributes:
        topology: Limits.
        templates: How the nodes of each role are set.
        base: The workflow as written; everything but its graph is kept.
    """

    topology: Topology
    templates: Mapping[str, ModelNode]
    base: Configuration

    @classmethod
    def of(cls, base: Configuration, topology: Topology) -> Self:
        """The grammar of a workflow for which :func:`check_topology` finds nothing wrong."""
        written = {node.type: node for name, node in base.nodes.items() if name != base.output}
        default = {"model": topology.models[0]}
        templates = {
            role: written.get(role) or node_types()[role].model_validate({"type": role, **default})
            for role in topology.roles
        }
        return cls(topology, templates, base)  # type: ignore[arg-type]  # every role is a node that asks a model

    @property
    def sink(self) -> Node:
        """The node that gives the answer."""
        return self.base.nodes[self.base.output]

    def can_follow(self, role: str, parents: Sequence[str]) -> bool:
        """Whether a node of this role can read nodes of these roles, all of them."""
        template = self.templates[role]
        if not parents:
            return not template.needs_input
        return all(self.templates[parent].gives & template.takes for parent in parents)

    def can_ask(self, role: str, model: str) -> bool:
        """Whether this model, and all that stand in for it, can do what nodes of this role ask for."""
        needed = self.templates[role].capabilities
        return all(needed <= self.base.models[name].capabilities for name in self.base.chain(model))

    def allows(self, graph: Graph) -> bool:
        """Whether a graph is within the limits and keeps the construction rules."""
        found = depths(graph)
        limits = self.topology
        return (
            0 < len(graph) <= limits.max_nodes
            and max(found) < limits.max_depth
            and max(Counter(found).values()) <= limits.max_width
            and all(self.can_ask(place.role, place.model) for place in graph)
            and all(self.can_follow(place.role, [graph[parent].role for parent in place.after]) for place in graph)
            and all(self.templates[graph[leaf].role].gives & self.sink.takes for leaf in leaves(graph))
        )

    def configuration(self, graph: Graph) -> Configuration:
        """The workflow that a graph is; equal for graphs of the same shape."""
        graph = canonical(graph)
        names = self._names(graph)
        nodes: dict[str, Node] = {
            name: self.templates[place.role].model_copy(
                update={"model": place.model, "after": tuple(names[parent] for parent in place.after)}
            )
            for name, place in zip(names, graph, strict=True)
        }
        last = tuple(names[leaf] for leaf in leaves(graph))
        nodes[self.base.output] = self.sink.model_copy(update={"after": last})
        return replace(self.base, nodes=nodes)

    def _names(self, graph: Graph) -> list[str]:
        """The role, with a number where there are several of it, and never the name of the output."""
        count, seen = Counter(place.role for place in graph), Counter[str]()
        names = []
        for place in graph:
            seen[place.role] += 1
            short = place.role.rpartition("/")[2]
            name = short if count[place.role] == 1 else f"{short}{seen[place.role]}"
            names.append(f"{name}_" if name == self.base.output else name)
        return names

    def written(self) -> Graph | None:
        """The graph of the workflow as written, where it is one of these."""
        order = [name for name in self.base.order if name != self.base.output]
        at = {name: number for number, name in enumerate(order)}
        nodes = [self.base.nodes[name] for name in order]
        if any(self.base.output in node.after for node in nodes):
            return None
        graph = tuple(
            Place(node.type, str(getattr(node, "model", "")), tuple(sorted(at[parent] for parent in node.after)))
            for node in nodes
        )
        known = all(place.role in self.templates and place.model in self.topology.models for place in graph)
        return canonical(graph) if known and self.allows(graph) else None


def check_topology(nodes: Mapping[str, Node], models: Collection[str], output: str, topology: Topology) -> list[Broken]:
    """Everything that is wrong with a free topology over these nodes and models; empty when it can be searched."""
    templates = {name: node.type for name, node in nodes.items() if name != output}
    return [*_wrong_names(models, topology), *_wrong_templates(templates, topology)]


def _wrong_names(models: Collection[str], topology: Topology) -> Iterator[Broken]:
    types = node_types()
    for number, role in enumerate(topology.roles):
        if role not in types:
            path = ("search", "topology", "roles", number)
            yield Broken("E015", path, f"there is no node type {role!r}.", suggest(role, types) or "")
        elif not issubclass(types[role], ModelNode):
            path = ("search", "topology", "roles", number)
            yield Broken("E013", path, f"a {role} asks no model.", "Roles are node types that have a 'model'.")
    for number, model in enumerate(topology.models):
        if model not in models:
            path = ("search", "topology", "models", number)
            yield Broken("E021", path, f"there is no model {model!r}.", suggest(model, models) or "")
    if not any(role in types and not types[role].needs_input for role in topology.roles):
        hint = "Add 'generator'."
        yield Broken("E013", ("search", "topology", "roles"), "no role here can come first.", hint)


def _wrong_templates(templates: Mapping[str, str], topology: Topology) -> Iterator[Broken]:
    seen: dict[str, str] = {}
    for name, role in templates.items():
        if role not in topology.roles:
            hint = "Add its type to 'search.topology.roles', or take it out."
            yield Broken("E013", ("nodes", name), f"a {role} is none of the roles of the free topology.", hint)
        elif role in seen:
            hint = "One node says how all of its role are set."
            yield Broken("E013", ("nodes", name), f"is a second {role} beside {seen[role]!r}.", hint)
        seen.setdefault(role, name)
