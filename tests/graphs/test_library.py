"""Every graph of the library is a workflow that runs and uses its parameters."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from archloom.graphs import Configuration, Document, DocumentError, library_graph, library_names
from archloom.orchestrator import ModelPool, Workflow, configuration_of
from archloom.orchestrator.models import MemoryStore
from archloom.tasks import load_tasks

NAMES = library_names()
MODELS = {"m": {"provider": "simulated", "tokens": 20}, "judge": {"provider": "simulated", "model": "judge"}}


def _parameters(name: str) -> dict[str, dict[str, Any]]:
    return library_graph(name)["parameters"]  # type: ignore[return-value]


def _needed(name: str) -> dict[str, str]:
    """Values for the parameters that have no default: all of them name a model."""
    return {key: "m" if key == "model" else "judge" for key, each in _parameters(name).items() if "default" not in each}


WORDS: dict[str, list[Any]] = {
    "style": ["direct", "steps", "parts"],
    "schema_holds": ["names", "types", "keys"],
    "schema_tokens": [100, 200],
    "generators": [["first"], ["second", "third"]],
    "repairs": [["error"], ["empty", "timeout"]],
    "until": ["accepted", {"score": 0.5}],
    "text": ["none", "nothing"],
    "pause": [["Wait"], ["Hmm", "But"]],
}
"""Values of parameters that take not any number, by their names or the last words of these."""


def _others(key: str, default: Any) -> list[Any]:
    """Values that are allowed; at least one is not the default."""
    if words := WORDS.get(key) or WORDS.get(key.rpartition("_")[2]):
        return words
    if isinstance(default, bool):
        return [False, True]
    if isinstance(default, int):
        return [1, 3]
    return [default * 0.9, default * 0.8] if default else [0.1, 0.2]


def _document(name: str, given: dict[str, Any] | None = None, **extra: Any) -> Document:
    use = {"use": name, "with": {**_needed(name), **(given or {})}, **extra}
    data = {"archloom": 1, "answer": "number", "models": MODELS, "nodes": {"x": use}, "output": "x"}
    return Document.parse(yaml.safe_dump(data))


def test_library_has_the_graphs_that_everybody_asks_for() -> None:
    assert {"library/self_consistency", "library/best_of_n", "library/rank_then_fuse"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_their_uses_agree(name: str) -> None:
    used = re.findall(r"'param': '(\w+)'", repr(library_graph(name)["nodes"]))
    assert set(used) == set(_parameters(name))


@pytest.mark.parametrize("name", NAMES)
async def test_graph_answers_on_the_simulated_provider(name: str) -> None:
    lenient = {"threshold": 0.01} if name == "library/text2sql/abstain" else {}
    configuration = configuration_of(_document(name, lenient))
    assert configuration.output == "x"
    assert all(node == "x" or node.startswith("x.") for node in configuration.nodes)
    async with ModelPool(MemoryStore()) as pool:
        workflow = Workflow(configuration, pool=pool)
        for example in load_tasks("simulated:library?size=3").examples:
            result = await workflow.arun(example.task)
            assert result.error is None
            assert result.candidate is not None
            assert result.answer is not None or result.candidate.accepted is False, "it may decline"
            assert {outcome.node for outcome in result.nodes} == set(configuration.nodes)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_can_be_overridden(name: str) -> None:
    plain = configuration_of(_document(name))
    for key, each in _parameters(name).items():
        if "default" in each:
            other = next(value for value in _others(key, each["default"]) if value != each["default"])
            assert configuration_of(_document(name, {key: other})).id != plain.id, key


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_can_be_one_choice(name: str) -> None:
    """A parameter may be used in several places; a choice for it is the same in all of them."""
    for key, each in _parameters(name).items():
        options = ["m", "judge"] if key in _needed(name) else _others(key, each["default"])
        document = _document(name, {key: {"choose": options}})
        [hole] = document.holes
        for offered, option in zip(hole.options, options, strict=True):
            chosen = document.configure({hole.name: offered})
            assert chosen.id == configuration_of(_document(name, {key: option})).id


@pytest.mark.parametrize(
    ("generators", "nodes"),
    [
        pytest.param(["second"], {"x.second", "x.run", "x"}, id="one"),
        pytest.param("third", {"x.third", "x.run", "x"}, id="one without a list"),
        pytest.param(["first", "third"], {"x.first", "x.third", "x.run", "x"}, id="two"),
    ],
)
def test_nodes_that_a_parameter_leaves_out_are_gone(generators: object, nodes: set[str]) -> None:
    assert set(configuration_of(_document("library/text2sql/vote", {"generators": generators})).nodes) == nodes


def test_which_nodes_there_are_can_be_searched() -> None:
    mix = {"subset": ["first", "second", "third"], "min": 2}
    document = _document("library/text2sql/select", {"generators": mix, "samples": {"choose": [1, 3]}})
    assert sorted(len(hole.options) for hole in document.holes) == [2, 4]
    sizes = {len(document.configure({document.holes[0].name: each, document.holes[1].name: other}).nodes)
             for each in document.holes[0].options for other in document.holes[1].options}  # fmt: skip
    assert sizes == {6, 7}


def test_unknown_node_of_a_library_graph_is_named() -> None:
    with pytest.raises(DocumentError, match="there is no node 'fourth' to come after"):
        _document("library/text2sql/vote", {"generators": ["first", "fourth"]})


def test_graph_comes_after_what_its_use_names() -> None:
    nodes = """\
  first: {type: generator, model: m, samples: 2}
  x: {use: library/rank_then_fuse, with: {model: m, judge: judge}, after: first}
"""
    text = f"archloom: 1\nmodels: {yaml.safe_dump(MODELS, default_flow_style=True)}nodes:\n{nodes}output: x\n"
    nodes_of = configuration_of(Document.parse(text)).nodes
    assert {name: node.after for name, node in nodes_of.items()} == {
        "first": (),
        "x.draft": ("first",),
        "x.review": ("x.draft",),
        "x.best": ("x.review",),
        "x": ("x.best",),
    }


def test_graph_that_is_written_out_is_the_same_workflow() -> None:
    used = configuration_of(_document("library/self_consistency", {"samples": 5}))
    nodes = {"d": {"type": "generator", "model": "m", "samples": 5}, "v": {"type": "vote", "after": "d"}}
    data = {"archloom": 1, "answer": "number", "models": MODELS, "nodes": nodes, "output": "v"}
    written: Configuration = configuration_of(Document.parse(yaml.safe_dump(data)))
    assert used.id == written.id
