"""Bodies of composite nodes are graphs like the document's own: checked, searched, told apart, written, drawn."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft202012Validator

from archloom.graphs import (
    Configuration,
    Document,
    DocumentError,
    InvalidConfigurationError,
    ascii,
    document_schema,
    dot,
    mermaid,
    picture,
    svg,
)
from archloom.nodes import Repeat

GOOD = """\
archloom: 1
name: refined
answer: number
models:
  a: {provider: scripted, model: a}
  b: {provider: scripted, model: b}
nodes:
  draft: {type: generator, model: a}
  refine:
    type: repeat
    after: draft
    rounds: {choose: [1, 2]}
    until: {choose: [accepted, {score: 0.9}]}
    body:
      nodes:
        review: {type: critic, model: b, optional: true}
        again: {type: fuser, model: {choose: [a, b]}, after: review}
        check: {type: verifier, model: a, after: [input, again]}
      output: check
output: refine
"""
CHOSEN = {
    "nodes.refine.rounds": 2,
    "nodes.refine.until": "accepted",
    "nodes.refine.body.nodes.review.optional": True,
    "nodes.refine.body.nodes.again.model": "b",
}


def problems(text: str) -> list[tuple[str, str, int]]:
    with pytest.raises(DocumentError) as caught:
        Document.parse(text)
    return [(problem.code, problem.path, problem.line) for problem in caught.value.problems]


def configured(text: str = GOOD, **others: object) -> Configuration:
    document = Document.parse(text)
    names = {hole.name for hole in document.holes}
    return document.configure({name: option for name, option in (CHOSEN | others).items() if name in names})


BODY = "nodes.refine.body"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("type: critic, model: b", "type: critic, modl: b", [("E014", f"{BODY}.nodes.review"), ("E012", f"{BODY}.nodes.review.modl")]),
        ("type: fuser", "type: fusr", [("E015", f"{BODY}.nodes.again.type")]),
        ("type: critic, ", "", [("E014", f"{BODY}.nodes.review")]),
        ("{choose: [a, b]}", "{choose: [a, c]}", [("E021", f"{BODY}.nodes.again.model")]),
        ("type: verifier, model: a", "type: verifier, model: z", [("E021", f"{BODY}.nodes.check.model")]),
        ("type: verifier, model: a", "type: verifier, model: a, logprobs: 1", [("E026", f"{BODY}.nodes.check")]),
        ("type: verifier, model: a", "type: verifier, model: a, prompt: '{{ all }}'", [("E024", f"{BODY}.nodes.check.prompt")]),
        ("type: verifier", "type: verifier, votes: {choose: [1, 0]}", [("E013", f"{BODY}.nodes.check.votes")]),
        ("[input, again]", "[input, agin]", [("E016", f"{BODY}.nodes.check.after")]),
        ("optional: true", "after: check", [("E017", f"{BODY}.nodes.review.after")]),
        ("output: check", "output: chek", [("E018", f"{BODY}.output")]),
        ("[input, again]", "[]", [("E019", f"{BODY}.nodes.check")]),
        ("    after: draft\n", "", [("E019", f"{BODY}.nodes.review.after")]),
        ("      output: check\n", "", [("E014", BODY)]),
        ("      output: check\n", "      output: check\n      rounds: 2\n", [("E012", f"{BODY}.rounds")]),
        ("        again:", "        input:", [("E013", f"{BODY}.nodes")]),
        ("optional: true", "optional: 1", [("E022", f"{BODY}.nodes.review.optional")]),
        ("{choose: [1, 2]}", "0", [("E013", "nodes.refine.rounds")]),
        ("accepted,", "acepted,", [("E013", "nodes.refine.until")]),
        ("{score: 0.9}", "{scor: 0.9}", [("E014", "nodes.refine.until"), ("E012", "nodes.refine.until.scor")]),
        ("type: verifier, model: a", "use: library/nothing", [("E023", f"{BODY}.nodes.check.use")]),
    ],
    ids=lambda value: value.strip() if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_in_a_body_is_found_at_its_place(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert [(code, path) for code, path, _ in found if code != "E018" or "output" in path] == expected


def test_all_problems_are_reported_at_once_with_their_lines() -> None:
    bad = (
        GOOD.replace("model: b, opt", "modl: b, opt")
        .replace("type: fuser", "type: fusr")
        .replace("output: check", "otput: check")
    )
    assert {(code, line) for code, _, line in problems(bad)} == {("E012", 16), ("E014", 16), ("E015", 17), ("E012", 19), ("E014", 14)}  # fmt: skip


def test_nodes_that_lead_nowhere_are_errors_of_a_body_too() -> None:
    fixed = GOOD.replace("optional: true", "temperature: 0").replace("{choose: [accepted, {score: 0.9}]}", "accepted")
    assert problems(fixed.replace("output: check", "output: again"))[0][:2] == ("E018", f"{BODY}.nodes.check")


def test_a_body_is_no_hole() -> None:
    assert ("E022", BODY) in [(code, path) for code, path, _ in problems(re.sub(r"(?s)body:.*?output: check", "body: {choose: [{nodes: {}, output: x}]}", GOOD))]  # fmt: skip


def test_kinds_are_checked_across_the_border_of_a_body() -> None:
    tests = GOOD.replace("draft: {type: generator", "draft: {type: unit_test_generator")
    assert [(code, path) for code, path, _ in problems(tests)] == [("E020", "nodes.refine.after")]
    looping = GOOD.replace("again: {type: fuser, model: {choose: [a, b]}, after: review}", "t: {type: unit_test_generator, model: a, after: []}").replace("check: {type: verifier, model: a, after: [input, again]}", "u: {type: critic, model: a}").replace("output: check", "output: t").replace("{choose: [1, 2]}", "2")  # fmt: skip
    assert ("E020", f"{BODY}.output") in [(code, path) for code, path, _ in problems(looping)]


def test_holes_inside_a_body_are_axes() -> None:
    assert [hole.name for hole in Document.parse(GOOD).holes] == list(CHOSEN)


def test_a_body_node_that_is_left_out_joins_its_neighbours() -> None:
    refine = configured(**{f"{BODY}.nodes.review.optional": False}).nodes["refine"]
    assert isinstance(refine, Repeat)
    assert list(refine.body.nodes) == ["again", "check"]
    assert refine.body.nodes["again"].after == ("input",)


def test_a_body_of_which_nothing_is_left_is_no_workflow() -> None:
    text = GOOD.replace("after: [input, again]", "after: again").replace("output: check", "output: review").replace("after: review", "after: input")  # fmt: skip
    with pytest.raises(InvalidConfigurationError):
        configured(text, **{f"{BODY}.nodes.review.optional": False})


def test_a_configuration_holds_only_body_nodes_that_lead_to_the_output() -> None:
    text = GOOD.replace("output: check", "output: {choose: [check, again]}")
    one, other = (configured(text, **{f"{BODY}.output": node}) for node in ("check", "again"))
    assert list(other.all_nodes) == ["draft", "refine", "refine[*].review", "refine[*].again"]
    assert one.id != other.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rounds: {choose: [1, 2]}", "rounds: 1"),
        ("votes", "votes"),
        ("check: {type: verifier, model: a", "check: {type: verifier, model: b"),
        ("after: [input, again]", "after: again"),
        ("optional: true", "temperature: 1"),
    ],
    ids=["rounds", "nothing", "a body's model", "a body's edges", "a body's parameter"],
)
def test_what_a_body_is_decides_the_id_and_names_do_not(old: str, new: str) -> None:
    renamed = GOOD.replace("review", "critique").replace("refine", "improve").replace("check", "judged")
    changed = configured(GOOD.replace(old, new))
    assert (changed.id == configured().id) == (old == "votes")
    names = {name.replace("review", "critique").replace("refine", "improve"): o for name, o in CHOSEN.items()}
    assert Document.parse(renamed).configure(names).id == configured().id


def test_a_configuration_is_written_and_read_again() -> None:
    configuration = configured()
    again = Document.parse(configuration.to_yaml()).configure()
    assert again.id == configuration.id
    assert again.nodes == configuration.nodes
    written = yaml.safe_load(configuration.to_yaml())["nodes"]["refine"]["body"]
    assert "after" not in written["nodes"]["review"]
    assert written["nodes"]["check"]["after"] == ["input", "again"]


def test_all_nodes_lists_those_of_bodies_and_their_places() -> None:
    configuration = configured()
    assert list(configuration.all_nodes) == ["draft", "refine", "refine[*].review", "refine[*].again", "refine[*].check"]  # fmt: skip
    assert configuration.places["nodes.refine.body.nodes.again"] == "refine[*].again"
    assert configuration.used_models == ("a", "b")


def test_library_graphs_stand_in_bodies() -> None:
    text = GOOD.replace("again: {type: fuser, model: {choose: [a, b]}, after: review}", "again: {use: library/self_consistency, with: {model: {choose: [a, b]}}, after: review}")  # fmt: skip
    document = Document.parse(text)
    assert "nodes.refine.body.nodes.again.draft.model" in [hole.name for hole in document.holes]
    choices = {hole.name: hole.options[0] for hole in document.holes}
    assert list(document.configure(choices).all_nodes)[2:] == ["refine[*].review", "refine[*].again.draft", "refine[*].again", "refine[*].check"]  # fmt: skip


def test_bodies_nest_and_their_nodes_come_after_what_they_are_given() -> None:
    repeat = Repeat.model_validate({"body": {"nodes": {"r": {"type": "repeat", "body": {"nodes": {"v": {"type": "vote"}}, "output": "v"}}}, "output": "r"}})  # fmt: skip
    assert repeat.body.nodes["r"].after == ("input",)
    assert repeat.parts[0].body.nodes["r"].parts[0].body.nodes["v"].after == ("input",)  # type: ignore[attr-defined]


def test_the_schema_accepts_bodies_and_looks_into_them() -> None:
    schema = Draft202012Validator(document_schema())
    assert schema.is_valid(yaml.safe_load(GOOD))
    for old, new in (("type: fuser", "type: fusr"), ("votes: 1", ""), ("output: check", "otput: check")):
        assert schema.is_valid(yaml.safe_load(GOOD.replace(old, new))) == (old not in GOOD)


def test_a_body_is_drawn_below_its_node_on_a_terminal() -> None:
    text = GOOD.replace("after: [input, again]", "after: again")
    assert ascii(picture(Document.parse(text))) == (
        "*  draft   generator  a\n"
        "|\n"
        "@  refine  repeat     ≤1|2 rounds until accepted|score ≥ 0.9\n"
        "     *  review  critic    b optional\n"
        "     |\n"
        "     *  again   fuser     a|b\n"
        "     |\n"
        "     @  check   verifier  a\n"
    )


def test_what_goes_on_passes_beside_a_body() -> None:
    lines = ascii(picture(configured(GOOD.replace("output: refine", "output: last").replace("  refine:\n", "  last: {type: vote, after: [refine, draft]}\n  refine:\n")))).splitlines()  # fmt: skip
    inside = [line for line in lines if re.search("review|again|check", line)]
    assert len(inside) == 3
    assert all(line.startswith("| |") for line in inside)


def test_mermaid_and_dot_draw_a_body_as_a_frame_around_its_nodes() -> None:
    drawing = picture(configured())
    chart, graph = mermaid(drawing), dot(drawing)
    inside = re.search(r"(?s)subgraph n1 .*?\n  end", chart)
    assert inside is not None
    assert [word in inside[0] for word in ("review", "again", "check", "draft")] == [True, True, True, False]
    assert "n0 --> n1" in chart
    assert "[lhead=cluster_n1]" in graph
    assert graph.count("{") == graph.count("}")


def test_svg_puts_the_boxes_of_a_body_inside_the_box_of_its_node() -> None:
    root = ElementTree.fromstring(svg(picture(configured())))
    boxes = {}
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        rect = group.find("{http://www.w3.org/2000/svg}rect")
        name = group.find("{http://www.w3.org/2000/svg}text")
        assert rect is not None
        assert name is not None
        x, y, width, height = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        boxes[name.text] = (x, y, x + width, y + height)
    outer = boxes["refine"]
    for name in ("review", "again", "check"):
        inner = boxes[name]
        assert outer[0] < inner[0] < inner[2] < outer[2]
        assert outer[1] < inner[1] < inner[3] < outer[3]
    assert boxes["draft"][3] < outer[1]
    assert float(root.attrib["height"]) >= outer[3]
    assert float(root.attrib["width"]) >= outer[2]
