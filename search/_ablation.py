"""Parts of a workflow: without one node, or up to a judge."""

from __future__ import annotations

from dataclasses import replace

from archloom.graphs import Configuration, ancestors, check_construction
from archloom.nodes import Check, Verifier


def without(configuration: Configuration, name: str) -> Configuration | None:
    """The workflow as it would be had this node not been written: whoever came after it comes after its predecessors.

    Returns:
        ``None`` where nothing that can run is left: a vote without drafts, an output with several predecessors.
    """
    gone, output = configuration.nodes[name], configuration.output
    if name == output:
        if len(gone.after) != 1:
            return None
        output = gone.after[0]
    nodes = {}
    for other, node in configuration.nodes.items():
        after = [p for parent in node.after for p in (gone.after if parent == name else (parent,))]
        nodes[other] = node.model_copy(update={"after": tuple(dict.fromkeys(after))})
    nodes = {other: node for other, node in nodes.items() if other in ancestors(nodes, output)}
    if check_construction(nodes, configuration.models, output, all_lead_to_output=True):
        return None
    return replace(configuration, name=f"{configuration.name} without {name}", nodes=nodes, output=output)


def judges(configuration: Configuration) -> tuple[str, ...]:
    """The nodes that accept or reject single candidates."""
    return tuple(name for name in configuration.order if isinstance(configuration.nodes[name], Verifier | Check))


def up_to_judge(configuration: Configuration, name: str) -> Configuration:
    """The workflow up to this judge, which passes on all that it judged, with its verdicts."""
    all_pass = {"keep": "all", "on_none": "pass"}
    node = configuration.nodes[name]
    judge = node.model_copy(update={field: value for field, value in all_pass.items() if hasattr(node, field)})
    leading = ancestors(configuration.nodes, name)
    nodes = {other: each for other, each in configuration.nodes.items() if other in leading} | {name: judge}
    return replace(configuration, nodes=nodes, output=name)
