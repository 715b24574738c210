"""Construction rules: which graphs of well-formed nodes make sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import get_args

from archloom.graphs._bodies import kinds_given, kinds_taken, needs_input
from archloom.graphs._models import ModelSpec
from archloom.graphs._yaml import Path
from archloom.nodes import INPUT, Composite, Kind, ModelNode, Node, Repeat
from archloom.tools import suggest


@dataclass(frozen=True)
class Broken:
    """A rule that does not hold, and where."""

    code: str
    path: Path
    message: str
    hint: str = ""


def check_construction(
    nodes: Mapping[str, Node],
    models: Mapping[str, ModelSpec],
    output: str,
    *,
    all_lead_to_output: bool,
    at: Path = (),
    inputs: frozenset[Kind] | None = None,
) -> list[Broken]:
    """Everything that is wrong with how these nodes are joined, bodies included; empty when the graph can run.

    Args:
        nodes: The nodes of a graph.
        models: Models that they may ask.
        output: The node whose candidates are those of the graph.
        all_lead_to_output: A node from which no path leads to the output is wrong.
        at: Where the graph stands in the document.
        inputs: Kinds of candidates that a body is given, none when nothing comes before it; ``None`` for no body.
    """
    broken = [*_references(nodes, models, output, body=inputs is not None)]
    if not broken and (cycle := find_cycle(nodes)):
        loop = " -> ".join((*cycle, cycle[0]))
        hint = "A workflow is a DAG; 'after' must lead back to nodes that come first."
        broken.append(Broken("E017", ("nodes", cycle[0], "after"), f"nodes wait for each other: {loop}.", hint))
    if not broken:
        broken.extend(_inputs(nodes, inputs or frozenset()))
        leading = ancestors(nodes, output)
        broken.extend(
            Broken(
                "E018",
                ("nodes", name),
                f"no path leads from here to the output {output!r}.",
                "Name it in some 'after', or remove it.",
            )
            for name in nodes
            if name not in leading and all_lead_to_output
        )
    inside: list[Broken] = []
    for name, node in nodes.items():
        if isinstance(node, Composite):
            kinds = frozenset(get_args(Kind)) if broken else _handed_on(node, nodes, inputs or frozenset())
            for rule in _bodies(node, models, kinds, all_lead_to_output=all_lead_to_output):
                inside.append(replace(rule, path=("nodes", name, *rule.path)))
    return [replace(rule, path=(*at, *rule.path)) for rule in (*broken, *inside)]


def _handed_on(node: Node, nodes: Mapping[str, Node], inputs: frozenset[Kind]) -> frozenset[Kind]:
    """Kinds of candidates that reach a node; none when nothing comes before it."""
    given = (inputs if parent == INPUT else kinds_given(nodes[parent]) for parent in node.after)
    return frozenset[Kind]().union(*given)


def _bodies(
    node: Composite, models: Mapping[str, ModelSpec], kinds: frozenset[Kind], *, all_lead_to_output: bool
) -> Iterator[Broken]:
    """What is wrong inside a node that is given candidates of these kinds."""
    gives = {part.label: kinds_given(part.body.nodes.get(part.body.output)) for part in node.parts} | {INPUT: kinds}
    for part in node.parts:
        yield from check_construction(
            part.body.nodes,
            models,
            part.body.output,
            all_lead_to_output=all_lead_to_output,
            at=part.path,
            inputs=frozenset[Kind]().union(*(gives[label] for label in part.given)),
        )
    if isinstance(node, Repeat) and node.rounds > 1 and (last := kinds_given(node)) and not last & kinds_taken(node):
        takes = "/".join(sorted(kinds_taken(node)))
        yield Broken(
            "E020", ("body", "output"), f"gives {'/'.join(sorted(last))} candidates, and the next round takes {takes}."
        )


def ancestors(nodes: Mapping[str, Node], name: str) -> set[str]:
    """The node and all that it depends on in its graph."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (current := waiting.pop()) not in found and current in nodes:
            found.add(current)
            waiting.extend(nodes[current].after)
    return found


def find_cycle(nodes: Mapping[str, Node]) -> tuple[str, ...] | None:
    """Some cycle of the graph in the order of its edges, from the node written first; or ``None``."""
    try:
        TopologicalSorter({name: node.after for name, node in nodes.items()}).prepare()
    except CycleError as exc:
        cycle = list(exc.args[1])[:-1]  # each node before the one that waits for it
    else:
        return None
    written = list(nodes)
    first = cycle.index(min(cycle, key=written.index))
    return (*cycle[first:], *cycle[:first])


def _references(
    nodes: Mapping[str, Node], models: Mapping[str, ModelSpec], output: str, *, body: bool
) -> Iterator[Broken]:
    for name, node in nodes.items():
        for parent in node.after:
            if parent not in nodes and not (body and parent == INPUT):
                hint = suggest(parent, [other for other in nodes if other != name]) or ""
                yield Broken("E016", ("nodes", name, "after"), f"there is no node {parent!r} to come after.", hint)
        if len(set(node.after)) < len(node.after):
            yield Broken("E016", ("nodes", name, "after"), "a node is named twice.")
        model = getattr(node, "model", None)
        if model is not None and model not in models:
            hint = suggest(model, models) or "Declare it under 'models'."
            yield Broken("E021", ("nodes", name, "model"), f"there is no model {model!r}.", hint)
        elif isinstance(node, ModelNode):
            yield from _capabilities(name, node, models)
    if output not in nodes:
        yield Broken(
            "E018",
            ("output",),
            f"there is no node {output!r} to be the output.",
            suggest(output, nodes) or "",
        )


def _capabilities(name: str, node: ModelNode, models: Mapping[str, ModelSpec]) -> Iterator[Broken]:
    for model in (node.model, *models[node.model].fallback):
        spec = models[model]
        if lacking := sorted(node.capabilities - spec.capabilities):
            yield Broken(
                "E026",
                ("nodes", name),
                f"asks for {', '.join(lacking)}, which model {model!r} (provider {spec.provider!r}) does not give.",
                "Leave it out, or use a model of another provider.",
            )


def _inputs(nodes: Mapping[str, Node], inputs: frozenset[Kind]) -> Iterator[Broken]:
    for name, node in nodes.items():
        path: Path = ("nodes", name, "after") if node.after else ("nodes", name)
        parents = [parent for parent in node.after if parent in nodes or inputs]  # a body may be given nothing
        comes = {parent: kinds_given(nodes[parent]) if parent in nodes else inputs for parent in parents}
        takes = kinds_taken(node)
        if needs_input(node) and not parents:
            yield Broken(
                "E019",
                path,
                f"a {node.type} works on candidates and is given none.",
                "Nothing comes before the node it is in." if node.after else "Say which nodes it comes 'after'.",
            )
        for parent, kinds in comes.items():
            if not kinds & takes:
                gives = "/".join(sorted(kinds))
                yield Broken("E020", path, f"takes {'/'.join(sorted(takes))} candidates, and {parent!r} gives {gives}.")
        if parents and (lacking := sorted(node.needs.difference(*comes.values()))):
            hint = "Let it come after a node that gives them."
            yield Broken("E020", path, f"needs {'/'.join(lacking)} candidates, and nothing before it gives any.", hint)
