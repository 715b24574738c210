"""The DAG of a configuration as a networkx graph, for analysis with that library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archloom.graphs._configuration import Configuration

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(configuration: Configuration) -> nx.DiGraph[str]:
    """Nodes carry ``type``, ``model`` and ``signature``; edges run from a node to those that come after it."""
    import networkx as nx  # takes 0.15 s to import, which `archloom validate` should not pay

    graph: nx.DiGraph[str] = nx.DiGraph(name=configuration.name, output=configuration.output)
    for name in configuration.order:
        node = configuration.nodes[name]
        graph.add_node(
            name, type=node.type, model=getattr(node, "model", None), signature=configuration.signatures[name]
        )
        graph.add_edges_from((parent, name) for parent in node.after)
    return graph
