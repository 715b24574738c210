"""Documents: what is written comes back, holes mean what they say, and identity is in the content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from archloom.graphs import Configuration, Document, DocumentError, InvalidConfigurationError, document_schema
from archloom.tools.errors import UsageError

# ---- random documents -------------------------------------------------------------------------------------------

_WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12) | st.sampled_from(
    ["two\nlines", "ends\n", "  indented\n more", "yes", "null", "1e3", "0b_", "12:30", "2020-01-01", "- x", "# no", "${HOME}"]
)  # fmt: skip
_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,4}", fullmatch=True) | st.sampled_from(["yes", "null", "on", "NaN"])
_FLOATS = st.integers(1, 20).map(lambda n: n / 10)
_MODELS = st.one_of(
    st.fixed_dictionaries({"provider": st.just("scripted"), "replies": st.lists(_WORDS, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"provider": st.just("simulated"), "tokens": _FLOATS, "seed": st.integers(0, 9)}),
    st.fixed_dictionaries(
        {"provider": st.just("openai"), "model": _WORDS, "api_key": st.just("${SOME_KEY}")},
        optional={"price": st.fixed_dictionaries({"input": _FLOATS, "output": _FLOATS}), "timeout_s": _FLOATS},
    ),
)
_COMMON = {
    "budget": st.fixed_dictionaries({"tokens": st.integers(1, 9)}, optional={"cost_usd": _FLOATS}),
    "on_error": st.sampled_from(["fail", "drop"]),
}
_ASKING = {
    **_COMMON,
    "temperature": _FLOATS,
    "max_tokens": st.integers(1, 999),
    "stop": st.lists(_WORDS.filter(bool), max_size=2),
    "system": _WORDS,
    "prompt": st.sampled_from(["{{ question }}", "Twice:\n{{ question }}\n{{ question }}\n", "é {{ question }}"]),
}
_TYPES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "generator": {**_ASKING, "samples": st.integers(1, 9)},
    "critic": _ASKING,
    "ranker": {**_ASKING, "keep": st.integers(1, 9)},
    "verifier": {**_ASKING, "votes": st.integers(1, 9), "keep": st.sampled_from(["passed", "all"])},
    "fuser": {**_ASKING, "samples": st.integers(1, 9)},
    "vote": {**_COMMON, "weight": st.sampled_from(["none", "score"])},
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document without holes, in a random order of writing."""
    models = draw(st.dictionaries(_NAMES, _MODELS, min_size=1, max_size=3))
    names = draw(st.lists(_NAMES, min_size=1, max_size=6, unique=True))
    nodes: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(names):
        last = place == len(names) - 1
        earlier = list(nodes)
        type_ = draw(st.sampled_from(sorted(_TYPES))) if earlier else "generator"
        node = {"type": type_, **draw(st.fixed_dictionaries({}, optional=_TYPES[type_]))}
        if type_ != "vote":
            node["model"] = draw(st.sampled_from(sorted(models)))
        used = {parent for each in nodes.values() for parent in each.get("after", [])}
        if last and earlier:
            after = draw(st.permutations([name for name in earlier if name not in used]))
        else:
            fewest = 0 if type_ == "generator" else 1
            after = draw(st.lists(st.sampled_from(earlier), min_size=fewest, unique=True)) if earlier else []
        if after:
            node["after"] = list(after)
        nodes[name] = node
    written = draw(st.permutations(list(nodes)))
    extra = st.fixed_dictionaries(
        {},
        optional={
            "name": _WORDS.filter(str.strip),
            "doc": _WORDS,
            "answer": st.sampled_from(["text", "number", "choice"]),
            "budget": st.fixed_dictionaries({"time_s": _FLOATS}, optional={"calls": st.integers(1, 9)}),
        },
    )
    return {
        "archloom": 1,
        **draw(extra),
        "models": models,
        "nodes": {n: nodes[n] for n in written},
        "output": names[-1],
    }


def _read(data: Mapping[str, Any]) -> Document:
    return Document.parse(yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True))


def _configured(data: Mapping[str, Any]) -> Configuration:
    return _read(data).configure()


# ---- what is written comes back ---------------------------------------------------------------------------------


@given(documents())
def test_written_workflow_is_the_same_workflow(data: dict[str, Any]) -> None:
    configuration = _configured(data)
    text = configuration.to_yaml(comment="where it\ncomes from")
    again = Document.parse(text).configure()
    assert again.id == configuration.id
    assert (dict(again.nodes), again.output, again.budget) == (
        dict(configuration.nodes),
        configuration.output,
        configuration.budget,
    )
    assert {name: again.models[name] for name in again.used_models} == {
        name: configuration.models[name] for name in configuration.used_models
    }
    assert (again.doc, again.name) == (configuration.doc, configuration.name)
    assert again.to_yaml() == configuration.to_yaml()


@given(documents())
def test_schema_accepts_what_the_reader_accepts(data: dict[str, Any]) -> None:
    document = _read(data)
    _SCHEMA.validate(document.data)
    _SCHEMA.validate(document.configure().to_data())


_SCHEMA = Draft202012Validator(document_schema())


# ---- identity ---------------------------------------------------------------------------------------------------


@given(documents(), st.randoms(use_true_random=False))
def test_identity_is_not_in_names_or_the_order_of_writing(data: dict[str, Any], random: Any) -> None:
    configuration = _configured(data)
    if len(set(configuration.signatures.values())) < len(configuration.nodes):
        return  # nodes that are equal in everything that leads to them are told apart by their names
    nodes = _renaming(data["nodes"], random)
    models = _renaming(data["models"], random)
    renamed = {nodes[name]: _renamed(node, nodes, models) for name, node in data["nodes"].items()}
    shuffled = random.sample(sorted(renamed), len(renamed))
    other = {
        **data,
        "name": "another",
        "doc": "other words",
        "models": {models[name]: data["models"][name] for name in random.sample(sorted(models), len(models))},
        "nodes": {name: renamed[name] for name in shuffled},
        "output": nodes[data["output"]],
    }
    assert _configured(other).id == configuration.id


def _renaming(names: Mapping[str, Any], random: Any) -> dict[str, str]:
    fresh = [f"n{number}" for number in range(len(names))]
    random.shuffle(fresh)
    return dict(zip(names, fresh, strict=True))


def _renamed(node: Mapping[str, Any], nodes: Mapping[str, str], models: Mapping[str, str]) -> dict[str, Any]:
    out = dict(node)
    if "model" in node:
        out["model"] = models[node["model"]]
    if "after" in node:
        out["after"] = [nodes[parent] for parent in node["after"]]
    return out


BASE = """\
archloom: 1
models:
  m: {provider: openai, model: x, base_url: "http://127.0.0.1:1/v1"}
  n: {provider: scripted, replies: ["1"]}
nodes:
  a: {type: generator, model: m, samples: 2}
  b: {type: generator, model: n}
  c: {type: critic, model: m, after: [a, b]}
  v: {type: vote, after: c}
output: v
"""

OTHER = {
    "samples": ("samples: 2", "samples: 3"),
    "temperature": ("samples: 2", "samples: 2, temperature: 0.1"),
    "prompt": ("samples: 2", 'samples: 2, prompt: "{{ question }}!"'),
    "policy": ("type: vote", "type: vote, on_error: drop"),
    "order of inputs": ("[a, b]", "[b, a]"),
    "an edge": ("after: c", "after: [c, a]"),
    "output": ("output: v\n", "  w: {type: vote, after: v}\noutput: w\n"),
    "what the model replies": ('replies: ["1"]', 'replies: ["2"]'),
    "name of the model at its provider": ("model: x", "model: y"),
    "node budget": ("samples: 2", "samples: 2, budget: {calls: 1}"),
    "task budget": ("nodes:", "budget: {calls: 9}\nnodes:"),
    "answer format": ("nodes:", "answer: number\nnodes:"),
    "which model": ("type: critic, model: m", "type: critic, model: n"),
}
SAME = {
    "name": ("archloom: 1", "archloom: 1\nname: other"),
    "doc": ("archloom: 1", "archloom: 1\ndoc: other words"),
    "address": ("127.0.0.1:1", "127.0.0.1:2"),
    "key": ("model: x,", 'model: x, api_key: "${OTHER}",'),
    "patience": ("model: x,", "model: x, timeout_s: 1, retries: 0, max_concurrency: 1,"),
    "a model that nobody asks": ("models:", "models:\n  o: {provider: llamacpp}"),
    "a default that is written": ("samples: 2", "samples: 2, temperature: 0.7, top_p: 1.0"),
    "one input as a list": ("after: c", "after: [c]"),
    "search block": ("output: v", "output: v\nsearch: {seed: 3}"),
}


@pytest.mark.parametrize(("old", "new"), OTHER.values(), ids=OTHER)
def test_other_content_is_another_workflow(old: str, new: str) -> None:
    assert old in BASE
    assert Document.parse(BASE.replace(old, new)).configure().id != Document.parse(BASE).configure().id


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_what_changes_no_answer_is_the_same_workflow(old: str, new: str) -> None:
    assert old in BASE
    assert Document.parse(BASE.replace(old, new)).configure().id == Document.parse(BASE).configure().id


def test_environment_values_stay_placeholders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = BASE.replace("model: x,", 'model: x, api_key: "${ARCHLOOM_TEST_KEY}",')
    (tmp_path / "w.yaml").write_text(text)
    unset = Document.load(tmp_path / "w.yaml").configure()
    monkeypatch.setenv("ARCHLOOM_TEST_KEY", "s3cret")
    document = Document.load(tmp_path / "w.yaml")
    configuration = document.configure()
    for shown in (configuration.to_yaml(), json.dumps(document.data), repr(configuration), repr(document)):
        assert "${ARCHLOOM_TEST_KEY}" in shown
        assert "s3cret" not in shown
    assert configuration.id == unset.id


# ---- holes ------------------------------------------------------------------------------------------------------

SPACE = """\
archloom: 1
models:
  m: {provider: scripted}
  n: {provider: scripted, replies: ["2"]}
nodes:
  a: {type: generator, model: m}
  b: {type: generator, model: n}
  c: {type: critic, model: m, after: [a, b]}
  v: {type: vote, after: c}
output: v
"""


def _space(old: str, new: str) -> Document:
    assert old in SPACE
    return Document.parse(SPACE.replace(old, new))


OPTIONS: dict[str, tuple[str, str, list[Any]]] = {
    "choice of numbers": ("model: n}\n  c", "model: n, samples: {choose: [4, 1, 2]}}\n  c", [4, 1, 2]),
    "choice of models": ("model: n}\n  c", "model: {choose: [n, m]}}\n  c", ["n", "m"]),
    "choice of texts": ("model: n}\n  c", "model: n, system: {choose: [short, 'on']}}\n  c", ["short", "on"]),
    "choice with nothing": ("model: n}\n  c", "model: n, system: {choose: [~, short]}}\n  c", [None, "short"]),
    "choice of lists": ("model: n}\n  c", "model: n, stop: {choose: [[], [x, y]]}}\n  c", [[], ["x", "y"]]),
    "range of integers": ("model: n}\n  c", "model: n, samples: {range: [1, 9], step: 4}}\n  c", [1, 5, 9]),
    "range that misses its end": ("model: n}\n  c", "model: n, samples: {range: [1, 8], step: 4}}\n  c", [1, 5]),
    "range of one": ("model: n}\n  c", "model: n, samples: {range: [3, 3], step: 1}}\n  c", [3]),
    "range of tenths": (
        "model: n}\n  c",
        "model: n, temperature: {range: [0.1, 0.4], step: 0.1}}\n  c",
        [0.1, 0.2, 0.3, 0.4],
    ),
    "range with a mixed step": (
        "model: n}\n  c",
        "model: n, temperature: {range: [0, 1], step: 0.5}}\n  c",
        [0.0, 0.5, 1.0],
    ),
    "subset": ("after: [a, b]", "after: {subset: [a, b]}", [["a"], ["b"], ["a", "b"]]),
    "subset that may be empty": ("model: n}\n  c", "model: n, after: {subset: [a], min: 0}}\n  c", [[], ["a"]]),
    "subset of bounded size": ("after: [a, b]", "after: {subset: [b, a], min: 2, max: 2}", [["b", "a"]]),
    "choice of edges": ("after: [a, b]", "after: {choose: [a, [a, b]]}", ["a", ["a", "b"]]),
    "output": ("output: v", "output: {choose: [v, c]}", ["v", "c"]),
    "optional": ("after: [a, b]}", "after: [a, b], optional: true}", [True, False]),
    "task budget": ("output: v", "budget: {tokens: {choose: [100, 200]}}\noutput: v", [100, 200]),
    "node budget": ("model: n}\n  c", "model: n, budget: {calls: {choose: [1, 2]}}}\n  c", [1, 2]),
}


@pytest.mark.parametrize(("old", "new", "options"), OPTIONS.values(), ids=OPTIONS)
def test_hole_offers_what_is_written(old: str, new: str, options: list[Any]) -> None:
    document = _space(old, new)
    [hole] = document.holes
    assert list(hole.options) == options
    assert [type(option) for option in hole.options] == [type(option) for option in options]
    ids = {document.configure({hole.name: option}).id for option in options}
    assert len(ids) == len(options)


@pytest.mark.parametrize(("old", "new", "options"), OPTIONS.values(), ids=OPTIONS)
def test_chosen_option_is_what_would_have_been_written(old: str, new: str, options: list[Any]) -> None:
    """A hole is where a value is not written yet, and nothing else; leaving out is shown below."""
    document = _space(old, new)
    [hole] = document.holes
    if hole.kind == "optional":
        return
    for option in options:
        configuration = document.configure({hole.name: option})
        written = _put(json.loads(json.dumps(document.data)), hole.name.split("."), option)
        written["nodes"] = {name: node for name, node in written["nodes"].items() if name in configuration.nodes}
        assert configuration.id == _configured(written).id


def _put(data: Any, path: list[str], value: Any) -> Any:
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


def test_optional_false_is_no_hole() -> None:
    document = _space("after: [a, b]}", "after: [a, b], optional: false}")
    assert document.holes == ()
    assert "c" in document.configure().nodes


def test_number_of_configurations_is_the_product_of_options() -> None:
    document = _space("model: n}\n  c", "model: {choose: [n, m]}, samples: {range: [1, 4], step: 1}}\n  c")
    assert [hole.name for hole in document.holes] == ["nodes.b.model", "nodes.b.samples"]
    assert [hole.ordered for hole in document.holes] == [False, True]


LEFT_OUT = {
    "a node between two": ("c: {type: critic, model: m, after: [a, b]}", "v", {"v": ("a", "b")}),
    "one of two inputs": ("b: {type: generator, model: n}", "v", {"c": ("a",), "v": ("c",)}),
    "the output": ("v: {type: vote, after: c}", "c", {"c": ("a", "b")}),
}


@pytest.mark.parametrize(("node", "output", "edges"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_neighbours_of_a_node_that_is_left_out_are_joined(
    node: str, output: str, edges: dict[str, tuple[str, ...]]
) -> None:
    document = _space(node, node.replace("}", ", optional: true}"))
    [hole] = document.holes
    kept = document.configure({hole.name: True})
    assert set(kept.nodes) == {"a", "b", "c", "v"}
    left = document.configure({hole.name: False})
    assert left.output == output
    assert {name: each.after for name, each in left.nodes.items() if each.after} == edges


def test_inputs_keep_the_place_of_the_node_that_is_left_out() -> None:
    text = SPACE.replace("after: [a, b]", "after: a, optional: true").replace("after: c", "after: [b, c]")
    document = Document.parse(text)
    assert document.configure({"nodes.c.optional": False}).nodes["v"].after == ("b", "a")


def test_nodes_left_out_in_a_row_are_joined_across() -> None:
    nodes = "  c: {type: critic, model: m, after: [a, b], optional: true}\n  d: {type: ranker, model: m, after: [c, a], optional: true}\n"
    document = _space(
        "  c: {type: critic, model: m, after: [a, b]}\n  v: {type: vote, after: c}\n",
        nodes + "  v: {type: vote, after: d}\n",
    )
    after = {
        (c, d): document.configure({"nodes.c.optional": c, "nodes.d.optional": d}).nodes["v"].after
        for c in (True, False)
        for d in (True, False)
    }
    assert after == {(True, True): ("d",), (True, False): ("c", "a"), (False, True): ("d",), (False, False): ("a", "b")}


@pytest.mark.parametrize("order", ["c d", "d c"])
def test_order_of_writing_does_not_matter_for_what_is_left_out(order: str) -> None:
    """The output and both nodes before it are left out: what they all came after gives the answer."""
    nodes = {
        "c": "  c: {type: critic, model: m, after: a, optional: true}\n",
        "d": "  d: {type: ranker, model: m, after: a, optional: true}\n",
    }
    text = SPACE.replace(
        "  b: {type: generator, model: n}\n  c: {type: critic, model: m, after: [a, b]}\n  v: {type: vote, after: c}\n",
        "",
    )
    vote = "  v: {type: vote, after: [c, d], optional: true}\n"
    for written in (vote + "".join(map(nodes.get, order.split())), "".join(map(nodes.get, order.split())) + vote):  # type: ignore[arg-type]
        document = Document.parse(text.replace("output: v", written + "output: v"))
        left = document.configure({hole.name: False for hole in document.holes})
        assert (left.output, set(left.nodes)) == ("a", {"a"})


def test_use_that_is_left_out_takes_its_inner_nodes_along() -> None:
    used = "c: {use: library/rank_then_fuse, with: {model: m, judge: n}, after: [a, b], optional: true}"
    document = _space("c: {type: critic, model: m, after: [a, b]}", used)
    kept = document.configure({"nodes.c.optional": True})
    assert set(kept.nodes) == {"a", "b", "c.draft", "c.review", "c.best", "c", "v"}
    left = document.configure({"nodes.c.optional": False})
    assert {name: each.after for name, each in left.nodes.items()} == {"a": (), "b": (), "v": ("a", "b")}


def test_nodes_that_nothing_leads_to_are_not_part_of_a_configuration() -> None:
    document = _space("after: [a, b]", "after: {subset: [a, b]}")
    assert set(document.configure({"nodes.c.after": ["b"]}).nodes) == {"b", "c", "v"}


def test_nodes_may_be_called_like_holes() -> None:
    text = SPACE.replace("a: {", "choose: {").replace("b: {", "range: {").replace("[a, b]", "[choose, range]")
    assert set(Document.parse(text).configure().nodes) == {"choose", "range", "c", "v"}


def test_hole_that_is_open_or_filled_with_something_else_is_refused() -> None:
    document = _space("model: n}\n  c", "model: n, samples: {choose: [1, 2]}}\n  c")
    with pytest.raises(InvalidConfigurationError, match=r"nodes\.b\.samples is still open"):
        document.configure()
    with pytest.raises(InvalidConfigurationError, match=r"nodes\.b\.samples does not offer 3"):
        document.configure({"nodes.b.samples": 3})


def test_choices_that_together_break_a_rule_are_refused_alone() -> None:
    document = _space("model: n}\n  c", "model: n, after: {choose: [a, c]}}\n  c")
    document.configure({"nodes.b.after": "a"})
    with pytest.raises(InvalidConfigurationError, match="wait for each other"):
        document.configure({"nodes.b.after": "c"})


def test_space_in_which_every_choice_breaks_a_rule_is_an_error() -> None:
    with pytest.raises(DocumentError, match="wait for each other"):
        _space("model: n}\n  c", "model: n, after: {choose: [c, v]}}\n  c")


BAD_HOLES = {
    "not a number": ("{range: [0, .nan], step: 1}", "must be finite"),
    "endless": ("{range: [0, .inf], step: 1}", "must be finite"),
    "step of nothing": ("{range: [0, 1], step: 0}", "positive 'step'"),
    "downwards": ("{range: [1, 0], step: 0.1}", "positive 'step'"),
    "too many": ("{range: [0, 1], step: 0.0001}", "more than 4096 options"),
    "text": ("{range: [a, b], step: 1}", "must be numbers"),
    "option of another type in a subset": ("{subset: [1]}", "valid number"),
}


@pytest.mark.parametrize(("hole", "says"), BAD_HOLES.values(), ids=BAD_HOLES)
def test_bad_hole_is_one_error_at_its_place(hole: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says) as caught:
        _space("model: n}\n  c", f"model: n, temperature: {hole}}}\n  c")
    assert [(each.path, each.line, each.column) for each in caught.value.problems] == [("nodes.b.temperature", 7, 34)]


def test_later_option_of_a_subset_is_checked_too() -> None:
    with pytest.raises(DocumentError, match="valid string"):
        _space("after: [a, b]", "after: {subset: [a, 1]}")


def test_inner_node_of_a_use_may_not_stand_there_twice() -> None:
    used = "c.draft: {type: generator, model: m}\n  c: {use: library/self_consistency, with: {model: m}}"
    with pytest.raises(DocumentError, match=r"nodes\.c\.draft: 'c' brings its own node of this name"):
        _space("c: {type: critic, model: m, after: [a, b]}", used)


# ---- YAML -------------------------------------------------------------------------------------------------------


def test_merged_mapping_can_be_overridden() -> None:
    text = SPACE.replace("a: {type: generator, model: m}", "a: &a {type: generator, model: m, samples: 3}")
    text = text.replace("b: {type: generator, model: n}", "b: {<<: *a, samples: 4}")
    nodes = Document.parse(text).configure().nodes
    assert [nodes[name].samples for name in "ab"] == [3, 4]  # type: ignore[attr-defined]
    with pytest.raises(DocumentError, match="key 'samples' stands twice"):
        Document.parse(text.replace("{<<: *a, samples: 4}", "{<<: *a, samples: 4, samples: 5}"))


@given(st.text(st.sampled_from("ab01:-{}[],\n \"'&*?|>#!%@`<=~_.\t\u00e9"), max_size=40))
def test_no_text_does_anything_but_give_document_errors(text: str) -> None:
    with pytest.raises(DocumentError):
        Document.parse(text)


@given(st.text(st.sampled_from("01_.:-+eExXobn~<="), min_size=1, max_size=8))
def test_any_scalar_is_a_value_or_a_document_error(scalar: str) -> None:
    with suppress(DocumentError):
        Document.parse(SPACE.replace('replies: ["2"]', f"replies: [{scalar}]"))


# ---- overrides --------------------------------------------------------------------------------------------------

SET = {
    "a number": ("nodes.a.samples=4", lambda c: c.nodes["a"].samples == 4),
    "a list": ("nodes.v.after=[c, a]", lambda c: c.nodes["v"].after == ("c", "a")),
    "an entry that was not there": ("budget.calls=3", lambda c: c.budget.calls == 3),
    "text that looks like a date": ("name=2020-01-01", lambda c: c.name == "2020-01-01"),
    "an equals sign in the value": ("doc=a=b", lambda c: c.doc == "a=b"),
    "a whole node": ("nodes.c={type: fuser, model: n, after: [a, b]}", lambda c: c.nodes["c"].type == "fuser"),
}


@pytest.mark.parametrize(("override", "holds"), SET.values(), ids=SET)
def test_override_replaces_an_entry(override: str, holds: Any) -> None:
    assert holds(Document.parse(SPACE, overrides=[override]).configure())


@pytest.mark.parametrize(
    "override", ["samples", "=3", "a..b=1", "name=[", "name=!!python/name:os.system", "archloom.x=1"]
)
def test_bad_override_is_bad_usage(override: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        Document.parse(SPACE, overrides=[override])
