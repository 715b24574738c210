"""The graph in Mermaid's language."""

from __future__ import annotations

from itertools import count

from archloom.graphs._drawing import HEAT_COLOUR, Drawing, DrawnNode, opacity, printable


def mermaid(drawing: Drawing) -> str:
    """The graph as a Mermaid flowchart, which GitHub and many editors render; a body is a subgraph."""
    chart = _Chart()
    ids = chart.graph(drawing, "  ")
    if drawing.output in ids:
        chart.styles.append(f"  style {ids[drawing.output]} stroke-width:3px")
    return "\n".join(["flowchart TD", *chart.lines, *chart.styles]) + "\n"


class _Chart:
    """Lines that are written so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.styles: list[str] = []
        self._numbers = count()

    def graph(self, drawing: Drawing, indent: str) -> dict[str, str]:
        """Writes a graph; the ids of its nodes by name."""
        ids = {node.name: f"n{next(self._numbers)}" for node in drawing.nodes}
        for node in drawing.nodes:
            self._node(node, ids[node.name], indent)
        self.lines += [f"{indent}{ids[a]} --> {ids[b]}" for a, b in drawing.arrows]
        return ids

    def _node(self, node: DrawnNode, id: str, indent: str) -> None:
        label = "<br>".join(map(_text, node.words))
        if node.bodies:
            self.lines.append(f'{indent}subgraph {id} ["{label}"]')
            for body in node.bodies:
                if body.name:
                    self.lines.append(f'{indent}  subgraph n{next(self._numbers)} ["{_text(body.name)}"]')
                    self.graph(body.drawing, indent + "    ")
                    self.lines.append(f"{indent}  end")
                else:
                    self.graph(body.drawing, indent + "  ")
            self.lines.append(f"{indent}end")
        else:
            self.lines.append(f'{indent}{id}("{label}")')
        if node.heat is not None:
            self.styles.append(f"  style {id} fill:{HEAT_COLOUR},fill-opacity:{opacity(node.heat)}")


def _text(text: str) -> str:
    # Everything that Mermaid, Markdown or HTML could read as markup goes as a Mermaid entity.
    return "".join(c if c.isalnum() or c in " _-.,:=/×·" else f"#{ord(c)};" for c in printable(text))
