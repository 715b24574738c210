"""Pictures of a workflow's graph: Mermaid, Graphviz dot, plain ASCII for terminals, SVG for pages.

All four take the same ``Drawing`` and depend on nothing else, so the same graph gives the same bytes. Names
come from documents that other people wrote: each format escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from archloom.graphs._drawing import HEAT_COLOUR, Drawing, DrawnNode, columns, opacity, printable
from archloom.graphs._svg import svg

__all__ = ["Drawing", "DrawnNode", "ascii", "dot", "mermaid", "svg"]


def mermaid(drawing: Drawing) -> str:
    """The graph as a Mermaid flowchart, which GitHub and many editors render."""
    ids = {node.name: f"n{i}" for i, node in enumerate(drawing.nodes)}
    lines = ["flowchart TD"]
    for node in drawing.nodes:
        label = "<br>".join(map(_mermaid_text, node.words))
        lines.append(f'  {ids[node.name]}("{label}")')
    lines += [f"  {ids[a]} --> {ids[b]}" for a, b in drawing.arrows]
    lines += [
        f"  style {ids[node.name]} fill:{HEAT_COLOUR},fill-opacity:{opacity(node.heat)}"
        for node in drawing.nodes
        if node.heat is not None
    ]
    if drawing.output in ids:
        lines.append(f"  style {ids[drawing.output]} stroke-width:3px")
    return "\n".join(lines) + "\n"


def dot(drawing: Drawing) -> str:
    """The graph in Graphviz's language."""
    ids = {node.name: f"n{i}" for i, node in enumerate(drawing.nodes)}
    lines = [
        "digraph workflow {",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname=Helvetica];',
    ]
    for node in drawing.nodes:
        label = r"\n".join(map(_dot_text, node.words))
        heat = "" if node.heat is None else f', fillcolor="{HEAT_COLOUR}{round(opacity(node.heat) * 255):02x}"'
        pen = ", penwidth=2" if node.name == drawing.output else ""
        lines.append(f'  {ids[node.name]} [label="{label}"{heat}{pen}];')
    lines += [f"  {ids[a]} -> {ids[b]};" for a, b in drawing.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def ascii(drawing: Drawing) -> str:
    """The graph for a terminal, read downwards like ``git log --graph``, with ``@`` at the output.

    Each vertical line leads to one node. ``+`` is where a line leaves a node or joins another line, ``.``
    where a line begins, ``'`` where a node's own column ends; ``-|-`` passes behind.
    """
    rows = list(_rows(drawing))
    gutter = max(len(graph) for graph, _ in rows)
    named = max(columns(node.name) for node in drawing.nodes)
    typed = max(columns(node.type) for node in drawing.nodes)
    lines = []
    for graph, node in rows:
        words = ""
        if node:
            words = f"  {_pad(node.name, named)}  {_pad(node.type, typed)}  {printable(node.detail)}"
        lines.append((graph.ljust(gutter) + words).rstrip() + "\n")
    return "".join(lines)


def _rows(drawing: Drawing) -> Iterator[tuple[str, DrawnNode | None]]:
    """Each row's graph part, and the node it shows, if any."""
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
        for target in after[name]:
            waiting[target] -= 1
        if link := _link(lanes, lanes.index(name), after[name]):
            yield link, None


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


def _mermaid_text(text: str) -> str:
    # Everything that Mermaid, Markdown or HTML could read as markup goes as a Mermaid entity.
    return "".join(c if c.isalnum() or c in " _-.,:=/×·" else f"#{ord(c)};" for c in printable(text))


def _dot_text(text: str) -> str:
    # Labels also read HTML entities.
    return printable(text).replace("&", "&amp;").replace("\\", r"\\").replace('"', r"\"")
