"""Pictures of a workflow's graph: Mermaid, Graphviz dot, plain ASCII for terminals, SVG for pages.

All four take the same ``Drawing`` and depend on nothing else, so the same graph gives the same bytes. Names
come from documents that other people wrote: each format escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from archloom.graphs._dot import dot
from archloom.graphs._drawing import Drawing, DrawnBody, DrawnNode, columns, printable
from archloom.graphs._mermaid import mermaid
from archloom.graphs._svg import svg

__all__ = ["Drawing", "DrawnNode", "ascii", "dot", "mermaid", "svg"]


def ascii(drawing: Drawing) -> str:
    """The graph for a terminal, read downwards like ``git log --graph``, with ``@`` at the output.

    Each vertical line leads to one node. ``+`` is where a line leaves a node or joins another line, ``.``
    where a line begins, ``'`` where a node's own column ends; ``-|-`` passes behind. A body is drawn below its
    node, further in.
    """
    rows = list(_rows(drawing))
    gutter = max(len(graph) for graph, _ in rows)
    named = max(columns(node.name) for node in drawing.nodes)
    typed = max(columns(node.type) for node in drawing.nodes)
    lines = []
    for graph, shown in rows:
        words = f"    {shown}" if isinstance(shown, str) else ""
        if isinstance(shown, DrawnNode):
            words = f"  {_pad(shown.name, named)}  {_pad(shown.type, typed)}  {printable(shown.detail)}"
        lines.append((graph.ljust(gutter) + words).rstrip() + "\n")
    return "".join(lines)


def _rows(drawing: Drawing) -> Iterator[tuple[str, DrawnNode | str | None]]:
    """Each row's graph part, and the node or the line of a body that it shows, if any."""
    after: dict[str, list[str]] = {node.name: [] for node in drawing.nodes}
    waiting = dict.fromkeys(after, 0)
    for a, b in drawing.arrows:
        after[a].append(b)
        waiting[b] += 1
    sources = [name for name in reversed(after) if not waiting[name]]
    nodes = {node.name: node for node in drawing.nodes}
    lanes: list[str | None] = []
    for _ in nodes:
        # Following the leftmost line that may go on keeps chains together and the picture narrow.
        name = next((lane for lane in lanes if lane is not None and not waiting[lane]), None)
        if name is None:
            name = sources.pop()
            lanes[_free(lanes)] = name
        mark = "@" if name == drawing.output else "*"
        yield " ".join(mark if lane == name else "|" if lane else " " for lane in lanes).rstrip(), nodes[name]
        passing = " ".join("|" if lane and (lane != name or after[name]) else " " for lane in lanes).rstrip()
        yield from ((passing, line) for body in nodes[name].bodies for line in _body(body))
        for target in after[name]:
            waiting[target] -= 1
        if link := _link(lanes, lanes.index(name), after[name]):
            yield link, None


def _body(body: DrawnBody) -> Iterator[str]:
    """The lines of a graph inside a node."""
    if body.name:
        yield f"{printable(body.name)}:"
    yield from (line if not body.name else f"  {line}" for line in ascii(body.drawing).splitlines())


def _free(lanes: list[str | None]) -> int:
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)


def _link(lanes: list[str | None], column: int, targets: list[str]) -> str:
    """Leads the lines of a drawn node to its targets: updates the lanes, returns the row below it."""
    lanes[column] = None
    before = list(lanes)
    ends: set[int] = set()
    for target in targets:
        if target not in lanes:
            lanes[column if lanes[column] is None else _free(lanes)] = target
        ends.add(lanes.index(target))
    if not ends:
        return ""
    first, last = min(ends | {column}), max(ends | {column})
    before += [None] * (len(lanes) - len(before))
    row = ""
    for i, lane in enumerate(lanes):
        if first == last == i:
            mark = "|"
        elif i == column:
            mark = "+" if lane else "'"
        elif i in ends:
            mark = "+" if before[i] else "."
        else:
            mark = "|" if lane else "-" if first < i < last else " "
        row += mark + ("-" if first <= i < last else " ")
    return row.rstrip()


def _pad(text: str, width: int) -> str:
    return printable(text) + " " * (width - columns(text))
