"""The JSON schema agrees with the reader: it accepts what is right, and flags what an editor can know to be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from archloom.graphs import Document, DocumentError, document_schema, library_graph, library_names
from archloom.nodes import node_types

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WORKFLOWS = sorted(path for path in EXAMPLES.rglob("*.yaml") if "archloom: 1" in path.read_text())

GOOD = """\
archloom: 1
name: all
doc: Everything that a document may hold.
answer: number
models:
  m: {provider: scripted, replies: ["1", "2"], rules: {"^What": ["3"]}, price: {input: 1, output: 2}}
  o: {provider: openai, model: x, base_url: "http://127.0.0.1:1/v1", api_key: "${KEY}", retries: 0}
  l: {provider: llamacpp, context: 512, threads: 1}
  s: {provider: simulated, skill: [1, 2], fail: 0.5}
budget: {calls: 100, tokens: {choose: [1000, 2000]}, cost_usd: 0.5, time_s: 10}
nodes:
  a: {type: generator, model: {choose: [m, o]}, samples: {range: [1, 9], step: 2}, stop: ["\\n"], budget: {calls: {choose: [1, 2]}}}
  b: {type: critic, model: l, after: a, optional: true, prompt: "{{ question }}", on_error: drop}
  c: {type: ranker, model: s, after: {choose: [a, b, [a, b]]}, keep: 2}
  u: {use: library/best_of_n, with: {model: m, judge: s, samples: {choose: [1, 2]}}, after: {subset: [a, b]}, optional: true}
  f: {type: fuser, model: m, after: {subset: [c, u], min: 1, max: 2}}
  v: {type: vote, after: [f]}
output: {choose: [v, f]}
search:
  tasks: simulated:t
  objective: {maximize: score, within: {tokens: 10}, pareto: [score, tokens]}
  budget: {tokens: 100}
  options: {batch: 4}
"""

BAD = {
    "unknown top-level field": ("archloom: 1", "archloom: 1\nmodel: m"),
    "another version": ("archloom: 1", "archloom: 2"),
    "no models": ("models:\n", "model_s:\n"),
    "unknown field of a node": ("samples: {", "sampels: {"),
    "field of another node type": ("type: vote, after", "type: vote, samples: 2, after"),
    "unknown node type": ("type: vote", "type: veto"),
    "no node type": ("type: critic, ", ""),
    "missing model of a node": ("model: l, ", ""),
    "wrong type": ("keep: 2", "keep: many"),
    "out of range": ("keep: 2", "keep: 0"),
    "unknown policy": ("on_error: drop", "on_error: skip"),
    "unknown provider": ("provider: llamacpp", "provider: llamacc"),
    "no provider": ("provider: llamacpp, ", ""),
    "field of another provider": ("context: 512", "skill: [1, 2]"),
    "empty choice": ("{choose: [v, f]}", "{choose: []}"),
    "option twice": ("{choose: [v, f]}", "{choose: [v, v]}"),
    "range without step": ("{range: [1, 9], step: 2}", "{range: [1, 9]}"),
    "range of one bound": ("{range: [1, 9], step: 2}", "{range: [1], step: 2}"),
    "choice with a step": ("{choose: [v, f]}", "{choose: [v, f], step: 1}"),
    "subset as output": ("{choose: [v, f]}", "{subset: [v, f]}"),
    "unknown library graph": ("library/best_of_n", "library/best_of_m"),
    "field beside use": ("{use: library/best_of_n, with", "{use: library/best_of_n, type: vote, with"),
    "optional that is neither": ("optional: true, prompt", "optional: perhaps, prompt"),
    "budget of nothing": ("calls: 100", "calls: 0"),
    "unknown answer format": ("answer: number", "answer: float"),
    "unknown measure": ("pareto: [score, tokens]", "pareto: [score, words]"),
    "hole in the search block": ("tasks: simulated:t", "seed: {choose: [1, 2]}"),
}


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return Draft202012Validator(document_schema())


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(document_schema())
    json.dumps(document_schema())


def test_everything_a_document_may_hold_is_accepted(schema: Draft202012Validator) -> None:
    Document.parse(GOOD)
    schema.validate(yaml.safe_load(GOOD))


@pytest.mark.parametrize(("old", "new"), BAD.values(), ids=BAD)
def test_what_the_reader_refuses_is_flagged(schema: Draft202012Validator, old: str, new: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new)
    with pytest.raises(DocumentError):
        Document.parse(text)
    assert not schema.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_examples_are_accepted(schema: Draft202012Validator, path: Path) -> None:
    schema.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("name", library_names())
def test_uses_of_library_graphs_are_accepted(schema: Draft202012Validator, name: str) -> None:
    given = {key: each.get("default", "m") for key, each in library_graph(name)["parameters"].items()}  # type: ignore[union-attr]
    data = {
        "archloom": 1,
        "models": {"m": {"provider": "simulated"}},  # which can do all that some graphs ask for
        "nodes": {"x": {"use": name, "with": given}},
        "output": "x",
    }
    Document.parse(yaml.safe_dump(data))
    schema.validate(data)


def test_every_node_type_and_field_is_described() -> None:
    definitions = document_schema()["properties"]["nodes"]["additionalProperties"]["anyOf"]
    by_type: dict[str, Any] = {
        each["properties"]["type"]["const"]: each for each in definitions if "type" in each["properties"]
    }
    assert set(by_type) == set(node_types())
    undescribed = [
        f"{name}.{field}"
        for name, each in by_type.items()
        for field, value in each["properties"].items()
        if not value.get("description")
    ]
    assert undescribed == []
