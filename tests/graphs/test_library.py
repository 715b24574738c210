"""Every graph of the library is a workflow that runs, says where it comes from, and uses its parameters."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from archloom.graphs import Configuration, Document, library_graph, library_names
from archloom.orchestrator import ModelPool, Workflow, configuration_of
from archloom.orchestrator.models import MemoryStore
from archloom.tasks import load_tasks

NAMES = library_names()
MODELS = {"m": {"provider": "simulated", "tokens": 20}, "judge": {"provider": "simulated", "model": "judge"}}


def _parameters(name: str) -> dict[str, dict[str, Any]]:
    return library_graph(name)["parameters"]  # type: ignore[return-value]


def _needed(name: str) -> dict[str, str]:
    """Values for the parameters that have no default: all of them name a model."""
    return {key: "judge" if key == "judge" else "m" for key, each in _parameters(name).items() if "default" not in each}


def _document(name: str, given: dict[str, Any] | None = None, **extra: Any) -> Document:
    use = {"use": name, "with": {**_needed(name), **(given or {})}, **extra}
    data = {"archloom": 1, "answer": "number", "models": MODELS, "nodes": {"x": use}, "output": "x"}
    return Document.parse(yaml.safe_dump(data))


def test_library_has_the_graphs_that_everybody_asks_for() -> None:
    assert {"library/self_consistency", "library/best_of_n", "library/rank_then_fuse"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_graph_says_what_it_does_and_cites_its_source(name: str) -> None:
    graph = library_graph(name)
    assert f"library/{graph['name']}" == name
    assert re.search(r"et al\., .+, (19|20)\d\d\.", str(graph["doc"]))
    assert all(each["doc"] for each in _parameters(name).values())


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_their_uses_agree(name: str) -> None:
    used = re.findall(r"'param': '(\w+)'", repr(library_graph(name)["nodes"]))
    assert set(used) == set(_parameters(name))


@pytest.mark.parametrize("name", NAMES)
async def test_graph_answers_on_the_simulated_provider(name: str) -> None:
    configuration = configuration_of(_document(name))
    assert configuration.output == "x"
    assert all(node == "x" or node.startswith("x.") for node in configuration.nodes)
    async with ModelPool(MemoryStore()) as pool:
        workflow = Workflow(configuration, pool=pool)
        for example in load_tasks("simulated:library?size=3").examples:
            result = await workflow.arun(example.task)
            assert result.error is None
            assert result.answer is not None
            assert {outcome.node for outcome in result.nodes} == set(configuration.nodes)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_can_be_overridden(name: str) -> None:
    plain = configuration_of(_document(name))
    for key, each in _parameters(name).items():
        if "default" in each:
            changed = configuration_of(_document(name, {key: each["default"] / 2 if key == "temperature" else 3}))
            assert changed.id != plain.id, key


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_can_be_one_choice(name: str) -> None:
    """A parameter may be used in several places; a choice for it is the same in all of them."""
    for key in _parameters(name):
        options = ["m", "judge"] if key in _needed(name) else [1, 2]
        document = _document(name, {key: {"choose": options}})
        [hole] = document.holes
        assert hole.options == tuple(options)
        for option in options:
            chosen = document.configure({hole.name: option})
            assert chosen.id == configuration_of(_document(name, {key: option})).id


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
