"""Small edits of a free graph: what lies one step from it. Whether the result makes sense is the grammar's matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archloom.graphs._topology import Graph, Place, leaves


def without(graph: Graph, number: int) -> Graph:
    """The graph with a place taken out; what read it now reads what it read."""
    gone = graph[number].after
    left = []
    for place in graph[:number] + graph[number + 1 :]:
        after = set(place.after)
        if number in after:
            after = after - {number} | set(gone)
        left.append(place._replace(after=tuple(sorted(parent - (parent > number) for parent in after))))
    return tuple(left)


def with_leaf(graph: Graph, role: str, model: str, after: Sequence[int]) -> Graph:
    """The graph with one more place that reads these; nothing reads it but the output."""
    return (*graph, Place(role, model, tuple(sorted(after))))


def with_edge_split(graph: Graph, parent: int, child: int, role: str, model: str) -> Graph:
    """The graph with one more place between two that are joined."""
    moved = [place._replace(after=tuple(p + (p >= child) for p in place.after)) for place in graph[child:]]
    kept = {p for p in moved[0].after if p != parent}
    moved[0] = moved[0]._replace(after=tuple(sorted({*kept, child})))
    return (*graph[:child], Place(role, model, (parent,)), *moved)


def with_edge_flipped(graph: Graph, parent: int, child: int) -> Graph:
    """The graph with an edge more, or with that edge less."""
    after = set(graph[child].after) ^ {parent}
    return (*graph[:child], graph[child]._replace(after=tuple(sorted(after))), *graph[child + 1 :])


def edits(graph: Graph, roles: Sequence[str], models: Sequence[str]) -> Iterator[tuple[str, Graph]]:
    """Every graph that is one edit away, with the kind of the edit.

    A node comes in behind one node, behind all that lead to the output, beside everything, or into an edge.
    """
    size = len(graph)
    for number, place in enumerate(graph):
        if size > 1:
            yield "remove", without(graph, number)
        before, behind = graph[:number], graph[number + 1 :]
        for role in roles:
            if role != place.role:
                yield "role", (*before, place._replace(role=role), *behind)
        for model in models:
            if model != place.model:
                yield "model", (*before, place._replace(model=model), *behind)
        for parent in range(number):
            yield "edge", with_edge_flipped(graph, parent, number)
    ends = leaves(graph)
    for role in roles:
        for model in models:
            for after in dict.fromkeys([(), *((number,) for number in range(size)), tuple(ends)]):
                yield "add", with_leaf(graph, role, model, after)
            for child, place in enumerate(graph):
                for parent in place.after:
                    yield "add", with_edge_split(graph, parent, child, role, model)
