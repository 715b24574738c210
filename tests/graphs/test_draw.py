"""Pictures show every node and every edge, and nothing that a name smuggles in."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import Drawing, DrawnNode, ascii, dot, mermaid, svg
from archloom.graphs._layout import layered

Edges = tuple[tuple[str, str], ...]


def drawing(names: str, edges: str, output: str) -> Drawing:
    """``drawing("a b c", "ab bc", "c")``"""
    return Drawing(
        tuple(DrawnNode(name, "fuser") for name in names.split()),
        tuple((pair[0], pair[1]) for pair in edges.split()),
        output,
    )


CHAIN = Drawing(
    (
        DrawnNode("draft", "generator", "tiny ×8 T=0.7", heat=0.7),
        DrawnNode("best", "ranker", "judge keep 3", heat=0.0),
        DrawnNode("answer", "vote"),
    ),
    (("draft", "best"), ("best", "answer")),
    "answer",
)
TYPICAL = Drawing(
    (
        DrawnNode("plan", "generator", "solver ×1"),
        DrawnNode("draft_small", "generator", "tiny ×8 T=0.7"),
        DrawnNode("draft_large", "generator", "solver ×4 T=0.8"),
        DrawnNode("review", "critic", "judge"),
        DrawnNode("tests", "check", "python"),
        DrawnNode("best", "ranker", "judge keep 3"),
        DrawnNode("answer", "fuser", "judge T=0.2"),
    ),
    (
        *(("plan", draft) for draft in ("draft_small", "draft_large")),
        *((draft, "review") for draft in ("draft_small", "draft_large")),
        *(("draft_large", "tests"), ("review", "best"), ("tests", "best")),
        *(("best", "answer"), ("plan", "answer")),
    ),
    "answer",
)


# --- terminals


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        pytest.param(
            CHAIN,
            """
            *  draft   generator  tiny ×8 T=0.7
            |
            *  best    ranker     judge keep 3
            |
            @  answer  vote
            """,
            id="chain",
        ),
        pytest.param(drawing("a", "", "a"), "@  a  fuser", id="one node"),
        pytest.param(
            drawing("a b c d", "ab ac bd cd", "d"),
            """
            *    a  fuser
            +-.
            * |  b  fuser
            | |
            | *  c  fuser
            +-'
            @    d  fuser
            """,
            id="fork and join",
        ),
        pytest.param(
            drawing("a b c", "ac bc", "c"),
            """
            *    a  fuser
            |
            | *  b  fuser
            +-'
            @    c  fuser
            """,
            id="two sources",
        ),
        pytest.param(
            drawing("a b c d e", "ab ac ad bd ce de", "e"),
            """
            *      a  fuser
            +-.-.
            * | |  b  fuser
            '-|-+
              * |  c  fuser
              | |
              | *  d  fuser
              +-'
              @    e  fuser
            """,
            id="lines that pass behind",
        ),
        pytest.param(
            TYPICAL,
            """
            *      plan         generator  solver ×1
            +-.-.
            * | |  draft_small  generator  tiny ×8 T=0.7
            | | |
            | * |  draft_large  generator  solver ×4 T=0.8
            +-+ |
            * | |  review       critic     judge
            | | |
            | * |  tests        check      python
            +-' |
            *   |  best         ranker     judge keep 3
            '---+
                @  answer       fuser      judge T=0.2
            """,
            id="typical",
        ),
    ],
)
def test_a_terminal_shows_the_graph_like_a_git_log(graph: Drawing, expected: str) -> None:
    assert ascii(graph) == dedent(expected).strip("\n") + "\n"


def read_back(picture: str) -> tuple[list[str], set[tuple[str, str]]]:
    """Follows the lines of an ASCII picture, as a reader would: the nodes, and the edges between them."""
    nodes: list[str] = []
    edges: set[tuple[str, str]] = set()
    lines: dict[int, set[str]] = {}  # who each vertical line comes from
    column = 0
    for row in picture.splitlines():
        if node := re.match(r"([| ]*)([*@])[| ]*  (\w+)  ", row + "  "):
            column, name = len(node[1]), node[3]
            nodes.append(name)
            edges |= {(source, name) for source in lines.pop(column, ())}
        else:
            joints = {i for i, char in enumerate(row) if char in "+."} | ({column} if row[column] == "|" else set())
            for joint in joints:
                lines.setdefault(joint, set()).add(nodes[-1])
    assert lines == {}, "a line leads nowhere"
    return nodes, edges


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,14}", fullmatch=True), min_size=1, max_size=7, unique=True))
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    edges = draw(st.permutations(pairs))[: draw(st.integers(0, len(pairs)))]
    edges += edges[: draw(st.integers(0, 2))]  # said twice
    listed = draw(st.permutations(names))  # documents may list nodes in any order
    heat = st.none() | st.floats(0, 1)
    nodes = tuple(DrawnNode(name, draw(st.sampled_from(["vote", "generator"])), "", draw(heat)) for name in listed)
    return Drawing(nodes, tuple(edges), draw(st.sampled_from(names)))


@given(drawings())
def test_the_edges_can_be_read_back_from_a_terminal_picture(graph: Drawing) -> None:
    nodes, edges = read_back(ascii(graph))
    assert sorted(nodes) == sorted(node.name for node in graph.nodes)
    assert edges == set(graph.edges)


def test_a_typical_graph_fits_80_columns() -> None:
    assert max(map(len, ascii(TYPICAL).splitlines())) <= 80


# --- all formats


@given(drawings())
def test_every_format_draws_every_graph(graph: Drawing) -> None:
    for draw in (mermaid, dot, ascii, svg):
        picture = draw(graph)
        assert all(node.name in picture for node in graph.nodes)
    for draw, arrow in ((mermaid, " --> "), (dot, " -> ")):
        assert draw(graph).count(arrow) == len(set(graph.edges))
    assert svg(graph).count('class="al-edge"') == len(set(graph.edges))


def test_mermaid() -> None:
    assert mermaid(CHAIN) == dedent("""\
        flowchart TD
          n0("draft<br>generator<br>tiny ×8 T=0.7")
          n1("best<br>ranker<br>judge keep 3")
          n2("answer<br>vote")
          n0 --> n1
          n1 --> n2
          style n0 fill:#d55e00,fill-opacity:0.438
          style n1 fill:#d55e00,fill-opacity:0.06
          style n2 stroke-width:3px
        """)


def test_dot() -> None:
    assert (
        dot(CHAIN)
        == dedent(r"""
        digraph workflow {
          node [shape=box, style="rounded,filled", fillcolor=white, fontname=Helvetica];
          n0 [label="draft\ngenerator\ntiny ×8 T=0.7", fillcolor="#d55e0070"];
          n1 [label="best\nranker\njudge keep 3", fillcolor="#d55e000f"];
          n2 [label="answer\nvote", penwidth=2];
          n0 -> n1;
          n1 -> n2;
        }
        """).lstrip()
    )


HOSTILE = {
    "quotes": '"]; n9["x',
    "script": "</text></svg><script>alert(1)</script>",
    "markdown": "`code` **bold** <br>",
    "backslash": "ends in \\",
    "comment": "%% // # --> ]]>",
    "entity": "&lt; #35; &quot;",
    "line break": "two\nlines\r\u2028three",
    "terminal": "\x1b[31mred\x07\x00",
    "surrogate": "\ud800",
    "right to left": "\u202egnp.exe",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
class TestHostileNames:
    @pytest.fixture
    def graph(self, name: str) -> Drawing:
        return Drawing((DrawnNode(name, name, name), DrawnNode("b", "vote")), ((name, "b"),), name)

    def test_cannot_leave_a_mermaid_label(self, graph: Drawing) -> None:
        label = mermaid(graph).splitlines()[1]
        assert re.fullmatch(r'  n0\("(([\w .,:=/-]|#\d+;)+(<br>)?){3}"\)', label)
        assert len(mermaid(graph).splitlines()) == len(mermaid(CHAIN).splitlines()) - 4

    def test_cannot_leave_a_dot_label(self, graph: Drawing) -> None:
        lines = dot(graph).splitlines()
        assert re.fullmatch(r'  n0 \[label="([^"\\\n]|\\["\\n])*", penwidth=2\];', lines[2])
        assert len(lines) == 6

    def test_cannot_move_a_cursor(self, graph: Drawing) -> None:
        picture = ascii(graph)
        assert picture.replace("\n", "").isprintable()
        assert len(picture.splitlines()) == 3

    def test_stay_text_in_an_svg(self, graph: Drawing, name: str) -> None:
        picture = ElementTree.fromstring(svg(graph))
        shown = "".join(char if char.isprintable() else "\ufffd" for char in name)
        assert [e.text for e in picture.iter() if e.get("class") == "al-name"] == [shown, "b"]
        assert {e.tag.rpartition("}")[2] for e in picture.iter()} == {
            "svg",
            "style",
            "g",
            "title",
            "path",
            "rect",
            "text",
        }


# --- SVG


def boxes(graph: Drawing) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom by name."""
    found = {}
    for group in ElementTree.fromstring(svg(graph)).iter("{http://www.w3.org/2000/svg}g"):
        _, rect, name, *_ = group
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        found[name.text or ""] = (x, y, x + width, y + height)
    return found


@given(drawings())
def test_boxes_lie_apart_inside_the_picture_and_edges_lead_down(graph: Drawing) -> None:
    placed = boxes(graph)
    _, _, width, height = map(float, ElementTree.fromstring(svg(graph)).attrib["viewBox"].split())
    for left, top, right, bottom in placed.values():
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
    spots = list(placed.values())
    for i, (left, top, right, bottom) in enumerate(spots):
        assert not any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in spots[i + 1 :]
        )
    for source, target in graph.edges:
        assert placed[source][3] < placed[target][1]


@given(drawings())
def test_an_edge_passes_boxes_at_a_distance(graph: Drawing) -> None:
    widths = {node.name: 40.0 + 7 * len(node.name) for node in graph.nodes}
    layout = layered(widths, graph.arrows, gap=20)
    for row in layout.layers:
        for left, right in pairwise(row):
            half = sum(widths[slot.node] / 2 for slot in (left, right) if not slot.towards)
            assert layout.x[right] - layout.x[left] >= half + 20 - 1e-6


def test_a_chain_is_straight_and_a_fork_is_symmetric() -> None:
    chain = [(left + right) / 2 for left, _, right, _ in boxes(CHAIN).values()]
    assert max(chain) - min(chain) < 0.2
    fork = {
        name: (left + right) / 2 for name, (left, _, right, _) in boxes(drawing("a b c d", "ab ac bd cd", "d")).items()
    }
    assert fork["a"] == pytest.approx((fork["b"] + fork["c"]) / 2, abs=0.2)
    assert fork["a"] == pytest.approx(fork["d"], abs=0.2)


def test_branches_are_ordered_so_that_edges_do_not_cross() -> None:
    placed = boxes(drawing("a b c d e", "ac bd ce de", "e"))
    assert (placed["a"][0] < placed["b"][0]) == (placed["c"][0] < placed["d"][0])
    swapped = boxes(drawing("a b d c e", "ac bd ce de", "e"))
    assert (swapped["a"][0] < swapped["b"][0]) == (swapped["c"][0] < swapped["d"][0])


def test_heat_colours_only_the_nodes_that_have_one() -> None:
    rects = [e for e in ElementTree.fromstring(svg(CHAIN)).iter() if e.tag.endswith("rect")]
    assert ["al-heat" in r.attrib["class"] for r in rects] == [True, True, False]
    assert rects[0].attrib["style"] == "fill-opacity:0.438"


# --- what cannot be drawn


@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(lambda: drawing("a a", "", "a"), "share a name", id="one name twice"),
        pytest.param(lambda: drawing("a b", "ax", "b"), r"name no node of it: \['x'\]", id="edge to nowhere"),
        pytest.param(lambda: drawing("a b", "ab ba", "b"), "cycle", id="cycle"),
        pytest.param(lambda: drawing("a", "aa", "a"), "cycle", id="loop"),
    ],
)
def test_a_drawing_of_no_graph_is_refused(build: Callable[[], Drawing], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_an_open_output_marks_no_node() -> None:
    graph = drawing("a b", "ab", "a|b")
    assert "@" not in ascii(graph)
    assert "stroke-width:3px" not in mermaid(graph)
    assert "penwidth" not in dot(graph)
    assert "al-box al-output" not in svg(graph)
