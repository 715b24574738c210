"""Construction rules: which graphs of well-formed nodes make sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from archloom.graphs._models import ModelSpec
from archloom.graphs._yaml import Path
from archloom.nodes import ModelNode, Node
from archloom.tools import suggest


@dataclass(frozen=True)
class Broken:
    """A rule that does not hold, and where."""

    code: str
    path: Path
    message: str
    hint: str = ""


def check_construction(
    nodes: Mapping[str, Node], models: Mapping[str, ModelSpec], output: str, *, all_lead_to_output: bool
) -> list[Broken]:
    """Everything that is wrong with how these nodes are joined; empty when the graph can run."""
    broken = [*_references(nodes, models, output)]
    if broken:
        return broken
    if cycle := find_cycle(nodes):
        loop = " -> ".join((*cycle, cycle[0]))
        hint = "A workflow is a DAG; 'after' must lead back to nodes that come first."
        return [Broken("E017", ("nodes", cycle[0], "after"), f"nodes wait for each other: {loop}.", hint)]
    broken.extend(_inputs(nodes))
    if all_lead_to_output:
        leading = ancestors(nodes, output)
        broken.extend(
            Broken(
                "E018",
                ("nodes", name),
                f"no path leads from here to the output {output!r}.",
                "Name it in some 'after', or remove it.",
            )
            for name in nodes
            if name not in leading
        )
    return broken


def ancestors(nodes: Mapping[str, Node], name: str) -> set[str]:
    """The node and all that it depends on."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (current := waiting.pop()) not in found:
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


def _references(nodes: Mapping[str, Node], models: Mapping[str, ModelSpec], output: str) -> Iterator[Broken]:
    for name, node in nodes.items():
        for parent in node.after:
            if parent not in nodes:
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


def _inputs(nodes: Mapping[str, Node]) -> Iterator[Broken]:
    for name, node in nodes.items():
        path: Path = ("nodes", name, "after") if node.after else ("nodes", name)
        if node.needs_input and not node.after:
            yield Broken(
                "E019",
                path,
                f"a {node.type} works on candidates and is given none.",
                "Say which nodes it comes 'after'.",
            )
        for parent in node.after:
            if not nodes[parent].gives & node.takes:
                gives, takes = "/".join(sorted(nodes[parent].gives)), "/".join(sorted(node.takes))
                yield Broken("E020", path, f"takes {takes} candidates, and {parent!r} gives {gives}.")
